//! Many scenes into one folder.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::bail;
use nephos::mask::MaskSummary;

use super::Args;
use super::claim::Claim;
use super::jobs::Job;
use super::run::Runner;
use super::table::{Outcome, failed, table};
use crate::ui::{Ui, say};

/// Runs all jobs, `--jobs` at a time; a scene that fails does not stop the others.
pub fn run(args: &Args, runner: &Runner, jobs: Vec<Job>, ui: &Ui) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Outcome>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..usize::from(args.jobs).min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { return };
                    // A fault in one scene's decoding must not cost the others.
                    let outcome = catch_unwind(AssertUnwindSafe(|| one(args, runner, job, ui)))
                        .unwrap_or_else(|_| Outcome::Failed("an internal error".to_owned()));
                    if let Outcome::Failed(why) = &outcome {
                        ui.status(format!("error: {}: {why}", job.name));
                    }
                    if let Ok(mut results) = results.lock() {
                        results[index] = Some(outcome);
                    }
                }
            });
        }
    });
    let results = results
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let named: Vec<(String, Outcome)> = (jobs.into_iter().zip(results))
        .map(|(job, outcome)| (job.name, outcome.unwrap_or(Outcome::Stopped)))
        .collect();
    if named.len() > 1 {
        ui.status(table(&named));
    }
    match failed(&named) {
        0 => Ok(()),
        count => bail!("{count} of {} scenes failed", named.len()),
    }
}

fn one(args: &Args, runner: &Runner, job: &Job, ui: &Ui) -> Outcome {
    let attempt = || -> anyhow::Result<Outcome> {
        if !args.overwrite && runner.is_done(job) {
            return Ok(Outcome::Skipped);
        }
        let Some(_claim) = Claim::take(&job.outputs.mask)? else {
            return Ok(Outcome::Elsewhere);
        };
        // It may have been finished between the look and the claim.
        if !args.overwrite && runner.is_done(job) {
            return Ok(Outcome::Skipped);
        }
        let start = Instant::now();
        let summary = runner.run(job, ui)?;
        report(args, job, &summary, ui)?;
        Ok(Outcome::Done {
            summary,
            seconds: start.elapsed().as_secs_f64(),
        })
    };
    attempt().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
}

/// Prints what one scene shows.
pub fn report(args: &Args, job: &Job, summary: &MaskSummary, ui: &Ui) -> anyhow::Result<()> {
    let line = if args.json {
        serde_json::to_string(summary)?
    } else {
        format!("{}: {summary}", job.outputs.mask.display())
    };
    ui.bars().suspend(|| say!("{line}"));
    Ok(())
}
