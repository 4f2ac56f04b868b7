//! One scene after another, several at a time.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use nephos::mask::MaskSummary;
use nephos::text::one_line;

use super::Args;
use super::claim::{Claim, remove_abandoned};
use super::jobs::Job;
use super::mask_state::MaskState;
use super::run::Runner;
use super::table::{Outcome, missing, table};
use crate::ui::{Ui, in_words, say};

/// Interval of checks of the scenes that other processes have locked.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Least time to wait for them, from the last scene that was finished.
const MIN_WAIT: Duration = Duration::from_secs(60);
/// Least time to wait in multiples of the longest time a scene took here.
const WAIT_IN_SCENES: u32 = 5;

/// Runs all jobs, `--jobs` at a time; a scene that fails does not stop the others. Scenes
/// that another process has locked are tried again in the end: it may have been killed.
pub fn run(args: &Args, runner: &Runner, jobs: Vec<Job>, ui: &Ui) -> anyhow::Result<()> {
    clean(&jobs);
    let all: Vec<usize> = (0..jobs.len()).collect();
    let mut outcomes: Vec<Outcome> = jobs.iter().map(|_| Outcome::NotStarted).collect();
    pass(args, runner, &jobs, &all, &mut outcomes, ui)?;
    wait_for_others(args, runner, &jobs, &mut outcomes, ui)?;

    let named: Vec<(String, Outcome)> = (jobs.into_iter().zip(outcomes))
        .map(|(job, outcome)| (job.name, outcome))
        .collect();
    if let [(_, Outcome::Failed(why))] = named.as_slice() {
        bail!("{why}");
    }
    if named.len() > 1 {
        ui.status(table(&named));
    }
    match missing(&named) {
        None => Ok(()),
        Some(what) => bail!("{what}"),
    }
}

/// Removes the locks of killed runs in the folders of the masks.
fn clean(jobs: &[Job]) {
    let parent = |job: &Job| job.outputs.mask.parent().map(Path::to_owned);
    let folders: BTreeSet<PathBuf> = jobs.iter().filter_map(parent).collect();
    for folder in folders {
        let folder = match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder,
        };
        remove_abandoned(&folder);
    }
}

/// Runs the jobs at the positions `chosen`, `--jobs` at a time.
fn pass(
    args: &Args,
    runner: &Runner,
    jobs: &[Job],
    chosen: &[usize],
    outcomes: &mut [Outcome],
    ui: &Ui,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
    let work = || {
        while let Some(index) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let job = &jobs[*index];
            // A panic in one scene must not stop the others.
            let outcome = catch_unwind(AssertUnwindSafe(|| one(args, runner, job, ui)))
                .unwrap_or_else(|_| Outcome::Failed("an internal error".to_owned()));
            match &outcome {
                Outcome::Failed(why) if jobs.len() > 1 => {
                    ui.status(format!("error: {}: {why}", job.name));
                }
                _ => {}
            }
            if let Ok(mut found) = found.lock() {
                found.push((*index, outcome));
            }
        }
    };
    std::thread::scope(|scope| {
        let requested = usize::from(args.jobs).min(chosen.len());
        for started in 0..requested {
            // Fewer threads than requested are only slower.
            if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, work)
                && started == 0
            {
                bail!("no thread can be started: {error}");
            }
        }
        Ok(())
    })?;
    let found = found
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    for (index, outcome) in found {
        outcomes[index] = outcome;
    }
    Ok(())
}

/// Tries scenes again that other processes have locked, until there are none, or the others
/// have taken too long.
fn wait_for_others(
    args: &Args,
    runner: &Runner,
    jobs: &[Job],
    outcomes: &mut [Outcome],
    ui: &Ui,
) -> anyhow::Result<()> {
    let locked = |outcomes: &[Outcome]| -> Vec<usize> {
        let is_locked = |index: &usize| matches!(outcomes[*index], Outcome::Locked);
        (0..outcomes.len()).filter(is_locked).collect()
    };
    let longest = (outcomes.iter())
        .map(|outcome| match outcome {
            Outcome::Done { seconds, .. } => *seconds,
            _ => 0.0,
        })
        .fold(0.0, f64::max);
    let longest_wait = MIN_WAIT.max(Duration::from_secs_f64(longest) * WAIT_IN_SCENES);
    let mut left = locked(outcomes);
    let mut since = Instant::now();
    let mut announced = false;
    while !left.is_empty() && since.elapsed() < longest_wait {
        pass(args, runner, jobs, &left, outcomes, ui)?;
        let still = locked(outcomes);
        if still.len() < left.len() {
            since = Instant::now();
        } else if !announced {
            announced = true;
            let scenes = nephos::text::count(still.len(), "scene");
            ui.status(format!(
                "waiting for {scenes} that other processes are working on"
            ));
        }
        if !still.is_empty() {
            std::thread::sleep(POLL_INTERVAL);
        }
        left = still;
    }
    Ok(())
}

fn one(args: &Args, runner: &Runner, job: &Job, ui: &Ui) -> Outcome {
    let overwrite = args.overwrite.overwrite;
    let attempt = || -> anyhow::Result<Outcome> {
        let record = runner.record(job)?;
        let state = |claim: Option<&Claim>| {
            let unfinished = claim.and_then(Claim::unfinished);
            MaskState::of(job, &record, unfinished, overwrite)
        };
        // Without a claim, since its owner may be killed or very slow.
        if state(None) == MaskState::UpToDate {
            return skip(args, runner, job, ui);
        }
        let Some(mut claim) = Claim::take(&job.outputs.mask)? else {
            return Ok(Outcome::Locked);
        };
        match state(Some(&claim)) {
            MaskState::ToWrite => {}
            // It may have been finished between the check and the claim.
            MaskState::UpToDate => {
                claim.finish();
                return skip(args, runner, job, ui);
            }
            MaskState::NotReplaced(why) => bail!("{why}"),
        }
        claim.note(&record)?;
        let start = Instant::now();
        let summary = runner.run(job, &record, ui)?;
        claim.finish();
        report(args, job, &summary, ui)?;
        Ok(Outcome::Done {
            summary,
            seconds: start.elapsed().as_secs_f64(),
        })
    };
    // A row of the table, whatever a file's name holds.
    let failed = |error| Outcome::Failed(one_line(&in_words(&error)).into_owned());
    attempt().unwrap_or_else(failed)
}

/// Reports that a scene is skipped; of a single one also its summary.
fn skip(args: &Args, runner: &Runner, job: &Job, ui: &Ui) -> anyhow::Result<Outcome> {
    if args.out_dir.is_none() {
        ui.status(format!(
            "{}: skipped (up to date): {} is of this scene, by this model and these options; \
             --overwrite makes it again",
            job.name,
            job.outputs.mask.display()
        ));
        report(args, job, &runner.summary(job)?, ui)?;
    }
    Ok(Outcome::Skipped)
}

/// Prints the summary of one scene.
fn report(args: &Args, job: &Job, summary: &MaskSummary, ui: &Ui) -> anyhow::Result<()> {
    let line = if args.json {
        serde_json::to_string(summary)?
    } else {
        format!("{}: {summary}", job.outputs.mask.display())
    };
    ui.suspend(|| say!("{line}"));
    Ok(())
}
