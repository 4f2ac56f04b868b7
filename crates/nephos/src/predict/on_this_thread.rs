//! The steps of a run one after another, on the caller's thread.

use std::time::{Duration, Instant};

use super::blend::Blender;
use super::forward::forward_checked;
use super::source::Source;
use super::steps::{Step, assemble};
use super::stream::{FinalRows, Progress, RowSink, RunOptions, RunStats};
use crate::class::IGNORE;
use crate::error::Result;
use crate::network::Forward;
use crate::scene::Plan;

/// As [`run`](super::run), in the windows of `plan`, which covers the source. No thread is started: the steps
/// are the same, and parallel on the threads of the rayon pool that this is called in.
///
/// # Errors
/// As there.
pub(super) fn run_on_this_thread(
    forward: &dyn Forward,
    classes: usize,
    source: &Source<'_>,
    plan: &Plan,
    options: &RunOptions,
    sink: &mut dyn RowSink,
    report: &(dyn Fn(&Progress) + Sync),
) -> Result<RunStats> {
    let started = Instant::now();
    source.check()?;
    let mut working = Duration::ZERO;
    let mut counts = vec![0u64; usize::from(IGNORE) + 1];
    let mut progress = Progress {
        pixels_total: plan.size[0] as u64 * plan.size[1] as u64,
        windows_total: plan.windows() as u64,
        ..Progress::default()
    };
    let mut blender = Blender::new(classes, plan);
    let [_, width] = source.size();
    let mut blocks = source.blocks_of_rows(0..width, 0..width);
    let mut read = Vec::new().into_iter();
    let mut unreadable = None;
    let more = || loop {
        if let Some(strip) = read.next() {
            return Some(strip);
        }
        match blocks.next()? {
            Ok(strips) => read = strips.into_iter(),
            Err(error) => {
                unreadable = Some(error);
                return None;
            }
        }
    };
    let channels = source.channels();
    assemble(plan, channels, options.batch_pixels, more, |step| {
        options.check_cancel()?;
        match step {
            Step::Windows { places, data } => {
                let from = Instant::now();
                let scores = forward_checked(forward, classes, data)?;
                working += from.elapsed();
                for (place, scores) in places.iter().zip(scores.outer_iter()) {
                    blender.add(*place, scores);
                }
                progress.windows_done += places.len() as u64;
            }
            Step::Rows {
                first,
                valid,
                skipped,
            } => {
                progress.windows_done += skipped as u64;
                progress.skipped += skipped as u64;
                for rows in FinalRows::take(&mut blender, options, 0..width, first, &valid) {
                    let probabilities = rows.probabilities.as_ref().map(|p| p.view());
                    sink.rows(rows.first, rows.classes.view(), probabilities)?;
                    for code in &rows.classes {
                        counts[usize::from(*code)] += 1;
                    }
                    progress.pixels_done += rows.classes.len() as u64;
                }
            }
        }
        report(&progress);
        Ok(true)
    })?;
    if let Some(error) = unreadable {
        return Err(error);
    }
    counts.truncate(classes);
    let (valid, windows) = (
        counts.iter().sum(),
        progress.windows_done - progress.skipped,
    );
    Ok(RunStats {
        valid,
        no_data: progress.pixels_total - valid,
        windows,
        skipped: progress.skipped,
        computed_pixels: windows * plan.window[0] as u64 * plan.window[1] as u64,
        forward_seconds: working.as_secs_f64(),
        total_seconds: started.elapsed().as_secs_f64(),
        counts,
        ..RunStats::default()
    })
}
