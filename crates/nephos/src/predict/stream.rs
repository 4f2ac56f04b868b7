//! A scene to a mask in bounded memory: decoding, computing, blending and writing at
//! the same time.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, s};

use super::blend::Blender;
use super::decide::decide;
use super::decision::Decision;
use super::forward::forward_checked;
use super::panel::{Panel, panels};
use super::source::Source;
use super::spool::Spool;
use super::steps::{Step, assemble};
use super::strip::Strip;
use crate::class::IGNORE;
use crate::config::OVERLAP;
use crate::error::{Error, Result};
use crate::network::Forward;
use crate::scene::{Plan, Scene};

/// Pixels that go through the model at once by default: enough to keep a
/// processor busy, few enough for memory.
pub(super) const BATCH_PIXELS: usize = 1 << 20;

/// Columns that are computed together by default: a Sentinel-2 tile has 10980.
const COLUMNS: usize = 11_264;

/// Most rows that are handed to a sink at once.
pub(super) const SINK_ROWS: usize = 64;

/// How a scene is cut into windows.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Rows and columns of a window, as from [`window_for`](super::window_for). A scene
    /// smaller than that is filled up with its own reflection.
    pub window: [usize; 2],
    /// What neighbouring windows share at least: below 1 a fraction of the window's
    /// side, from 1 a number of pixels.
    pub overlap: f64,
    /// Windows start at multiples of so many pixels, such as the model's patches; see
    /// [`Plan::new`].
    pub align: usize,
    /// Pixels by which the grid of windows is moved up and left, to see how much a
    /// mask depends on it; see [`Plan::new`].
    pub shift: usize,
    /// About how many pixels go through the model at once.
    pub batch_pixels: usize,
    /// Whether the sink gets probabilities too.
    pub probabilities: bool,
    /// How scores become probabilities and classes.
    pub decision: Decision,
    /// Stops the run with an error soon after it becomes true.
    pub cancel: Option<Arc<AtomicBool>>,
    /// About how many columns are computed from the scene's top to its end before the next:
    /// what bounds memory where the scene is wide.
    pub columns: usize,
    /// Where masks of such columns are kept until the scene is done, in files without a name.
    pub spool: PathBuf,
}

impl RunOptions {
    /// Windows of `window` rows and columns that overlap by a quarter, about a
    /// megapixel at once, classes only; columns as many as a Sentinel-2 tile has.
    pub fn new(window: [usize; 2]) -> Self {
        Self {
            window,
            overlap: OVERLAP,
            align: 1,
            shift: 0,
            batch_pixels: BATCH_PIXELS,
            probabilities: false,
            decision: Decision::default(),
            cancel: None,
            columns: COLUMNS,
            spool: std::env::temp_dir(),
        }
    }

    /// The windows of a scene of `size` rows and columns.
    ///
    /// # Errors
    /// Options that make no sense.
    pub(super) fn plan(&self, size: [usize; 2]) -> Result<Plan> {
        Plan::new(size, self.window, self.overlap, self.align, self.shift)
    }

    /// # Errors
    /// [`Error::Cancelled`] once the run is to stop.
    pub(super) fn check_cancel(&self) -> Result<()> {
        let asked = |cancel: &Arc<AtomicBool>| cancel.load(Ordering::Relaxed);
        match self.cancel.as_ref().is_some_and(asked) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }
}

/// Where the rows of a mask go as soon as they are final.
pub trait RowSink: Send {
    /// Takes rows from row `first` on; calls follow one another down the scene without
    /// gaps.
    ///
    /// # Shapes
    /// - classes: `[rows, width]`, 255 where there is no data
    /// - probabilities: `[classes, rows, width]`, NaN where there is no data; `None`
    ///   unless requested
    ///
    /// # Errors
    /// The rows can't be written; the run ends with this error.
    fn rows(
        &mut self,
        first: usize,
        classes: ArrayView2<'_, u8>,
        probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()>;
}

/// Progress of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pixels of the scene whose rows the sink has.
    pub pixels_done: u64,
    /// Pixels of the scene.
    pub pixels_total: u64,
    /// Windows computed or skipped.
    pub windows_done: u64,
    /// Windows planned.
    pub windows_total: u64,
    /// Windows skipped, since no pixel in them has data.
    pub skipped: u64,
}

/// Counts and times of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunStats {
    /// Pixels of each class.
    pub counts: Vec<u64>,
    /// Pixels with data: the sum of `counts`.
    pub valid: u64,
    /// Pixels without.
    pub no_data: u64,
    /// Windows computed.
    pub windows: u64,
    /// Windows skipped, since no pixel in them has data.
    pub skipped: u64,
    /// Pixels that went through the model, windows' overlaps counted each time.
    pub computed_pixels: u64,
    /// Time the model worked.
    pub forward_seconds: f64,
    /// Time the model waited for windows to be read or for scores to be taken.
    pub waiting_seconds: f64,
    /// Time from start to end.
    pub total_seconds: f64,
    /// Optional bands that are absent from some of the pixels with data, each with its
    /// share of them.
    pub absent_in_part: Vec<(String, f64)>,
}

impl RunStats {
    /// [`RunStats::absent_in_part`] in words, one sentence per band.
    pub fn gaps(&self) -> Vec<String> {
        let sentence = |(name, share): &(String, f64)| {
            format!(
                "{name} has no data in {} of the pixels with data, and is declared absent there.",
                percent(*share)
            )
        };
        self.absent_in_part.iter().map(sentence).collect()
    }
}

/// As in `12 %`, `0.3 %` or `less than 0.1 %`.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        share if share >= 10.0 => format!("{share:.0} %"),
        share if share >= 0.1 => format!("{share:.1} %"),
        _ => "less than 0.1 %".to_owned(),
    }
}

/// Segments a scene: model input = reflectance × `input_gain`, 0 where any of `bands`
/// has no data; such pixels become 255. `bands` are positions in the scene's.
///
/// Rows are read, computed, blended and written at the same time, each step on its own
/// thread and the model on the caller's. The steps and what is in each are fixed by the
/// scene and `options`: the result does not depend on the number or speed of threads.
///
/// Memory holds, over the scene's width, the bands of the rows of about one window and its
/// scores, two blocks of rows that are read ahead, and a few batches of windows;
/// nothing grows with the scene's height. A scene of more columns than `options.columns` is
/// computed in panels of about so many, each from the top to the end, whose masks are spooled to
/// `options.spool`; its rows reach the sink once the last panel is done. The masks are the same.
///
/// # Errors
/// Bands the scene lacks, options that make no sense ([`Plan::new`]), what the scene,
/// the model or the sink returns, scores that are not finite, or `options.cancel`. All
/// threads have ended then; the sink has some of the rows.
///
/// # Panics
/// A panic of the scene, the model or the sink is passed on after all threads have
/// ended.
#[allow(clippy::too_many_arguments)]
pub fn run(
    forward: &dyn Forward,
    classes: usize,
    scene: &dyn Scene,
    bands: &[usize],
    input_gain: f32,
    options: &RunOptions,
    sink: &mut dyn RowSink,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<RunStats> {
    let source = Source::plain(scene, bands, input_gain);
    run_source(forward, classes, &source, options, sink, progress)
}

/// The same of a source.
pub(super) fn run_source(
    forward: &dyn Forward,
    classes: usize,
    source: &Source<'_>,
    options: &RunOptions,
    sink: &mut dyn RowSink,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<RunStats> {
    let started = Instant::now();
    let size = source.size();
    source.check()?;
    let plan = options.plan(size)?;
    let panels = panels(&plan, options.columns);
    let tracker = &Tracker::new(size, &panels, progress);
    let mut stats = match panels.len() {
        1 => run_panels(forward, classes, source, &panels, options, sink, tracker)?,
        _ => {
            let scores = options.probabilities.then_some(classes);
            let own = panels.iter().map(|panel| panel.own.clone()).collect();
            let mut spool = Spool::new(&options.spool, size, own, scores)?;
            let stats = run_panels(
                forward, classes, source, &panels, options, &mut spool, tracker,
            )?;
            spool.hand_over(sink, || options.check_cancel())?;
            stats
        }
    };
    stats.valid = stats.counts.iter().sum();
    stats.no_data = size[0] as u64 * size[1] as u64 - stats.valid;
    stats.skipped = tracker.update(|_| ()).skipped;
    stats.total_seconds = started.elapsed().as_secs_f64();
    Ok(stats)
}

/// Computes panels one after the other; `sink` receives the columns that each makes final. The
/// threads are the same for all panels: memory that one freed serves the next.
fn run_panels(
    forward: &dyn Forward,
    classes: usize,
    source: &Source<'_>,
    panels: &[Panel],
    options: &RunOptions,
    sink: &mut dyn RowSink,
    tracker: &Tracker<'_>,
) -> Result<RunStats> {
    thread::scope(|scope| {
        // Strips are handed over only on request, so that just one more block of rows is
        // read ahead. So is a batch of windows: one is cut while one is worked on.
        let (to_windows, strips) = sync_channel(0);
        let (to_model, windows) = sync_channel(0);
        let (to_blender, scores) = sync_channel(0);
        let (to_sink, rows) = sync_channel(1);
        let reader = start(scope, move || {
            let columns = |panel: &Panel| (panel.columns.clone(), panel.own.clone());
            read(source, panels.iter().map(columns), to_windows)
        })?;
        let cutter = start(scope, move || {
            let mut strips = strips.into_iter().flatten();
            // A panel needs its strips to the last, and none of the next.
            (panels.iter()).try_for_each(|panel| {
                assemble(
                    &panel.plan,
                    source.channels(),
                    options.batch_pixels,
                    || strips.next(),
                    |step| Ok(to_model.send(step).is_ok()),
                )
            })
        })?;
        let blender = start(scope, move || {
            blend(panels, classes, options, scores, to_sink)
        })?;
        let writer = start(scope, move || write(sink, classes, rows, tracker))?;

        let inferred = infer(forward, classes, options, windows, to_blender, tracker);
        // A step that fails ends its neighbours without an error, theirs end theirs: one
        // error is left.
        let read = join(reader);
        join(cutter)?;
        join(blender);
        let written = join(writer);
        read?;
        let counts = written?;
        let stats = inferred?;
        Ok::<_, Error>(RunStats { counts, ..stats })
    })
}

/// Starts a step on a thread of its own. Where one can't be started, those that were end
/// with the channels to their neighbours.
pub(super) fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    step: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    (thread::Builder::new().spawn_scoped(scope, step))
        .map_err(|e| Error::limits("threads", format!("no more can be started: {e}")))
}

/// The result of a step; its panic is passed on.
pub(super) fn join<T>(step: ScopedJoinHandle<'_, T>) -> T {
    step.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reads columns of the scene from its top, some whole blocks of rows at a time, then the next
/// columns; the second of each are those that no others hold.
pub(super) fn read(
    source: &Source<'_>,
    panels: impl Iterator<Item = (Range<usize>, Range<usize>)>,
    to_windows: SyncSender<Vec<Strip>>,
) -> Result<()> {
    for (columns, own) in panels {
        for strips in source.blocks_of_rows(columns, own) {
            if to_windows.send(strips?).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Runs the model.
fn infer(
    forward: &dyn Forward,
    classes: usize,
    options: &RunOptions,
    windows: Receiver<Step>,
    to_blender: SyncSender<Step>,
    tracker: &Tracker<'_>,
) -> Result<RunStats> {
    let started = Instant::now();
    let mut working = Duration::ZERO;
    let mut stats = RunStats::default();
    for step in windows {
        options.check_cancel()?;
        let step = match step {
            Step::Windows { places, data } => {
                let count = places.len() as u64;
                let from = Instant::now();
                let data = forward_checked(forward, classes, data)?;
                working += from.elapsed();
                stats.windows += count;
                tracker.update(|progress| progress.windows_done += count);
                Step::Windows { places, data }
            }
            Step::Rows { skipped, .. } => {
                if skipped > 0 {
                    tracker.update(|progress| {
                        progress.windows_done += skipped as u64;
                        progress.skipped += skipped as u64;
                    });
                }
                step
            }
        };
        if to_blender.send(step).is_err() {
            break;
        }
    }
    let pixels = options.window[0] as u64 * options.window[1] as u64;
    stats.computed_pixels = stats.windows * pixels;
    stats.forward_seconds = working.as_secs_f64();
    stats.waiting_seconds = started.elapsed().saturating_sub(working).as_secs_f64();
    Ok(stats)
}

/// Rows that are final.
pub(super) struct FinalRows {
    pub first: usize,
    pub classes: Array2<u8>,
    pub probabilities: Option<Array3<f32>>,
}

impl FinalRows {
    /// Takes the columns `own` of rows that no later window reaches from `blender`, few rows at a
    /// time, and decides on them; `valid` is `[rows, width]`.
    pub fn take<'a>(
        blender: &'a mut Blender,
        options: &'a RunOptions,
        own: Range<usize>,
        first: usize,
        valid: &'a Array2<bool>,
    ) -> impl Iterator<Item = Self> + 'a {
        let (probabilities, decision) = (options.probabilities, &options.decision);
        (0..valid.nrows()).step_by(SINK_ROWS).map(move |start| {
            let end = valid.nrows().min(start + SINK_ROWS);
            let mut scores = blender.take(first + start, end - start, own.clone());
            decision.calibrate(&mut scores);
            let valid = valid.slice(s![start..end, own.clone()]);
            Self {
                first: first + start,
                classes: decide(&mut scores, valid, probabilities, decision.threshold()),
                probabilities: probabilities.then_some(scores),
            }
        })
    }
}

/// Blends windows and decides on the rows that are final, panel by panel.
fn blend(
    panels: &[Panel],
    classes: usize,
    options: &RunOptions,
    scores: Receiver<Step>,
    to_sink: SyncSender<FinalRows>,
) {
    let mut scores = scores.into_iter();
    for panel in panels {
        if !blend_panel(panel, classes, options, &mut scores, &to_sink) {
            return;
        }
    }
}

/// The same of one panel; whether all of it was handed on.
fn blend_panel(
    panel: &Panel,
    classes: usize,
    options: &RunOptions,
    steps: &mut impl Iterator<Item = Step>,
    to_sink: &SyncSender<FinalRows>,
) -> bool {
    let mut blender = Blender::new(classes, &panel.plan);
    let own = panel.own_within();
    // One for each row of windows.
    let mut left = panel.plan.tops.len();
    while left > 0 {
        let Some(step) = steps.next() else {
            return false;
        };
        match step {
            Step::Windows { places, data } => {
                for (place, scores) in places.iter().zip(data.outer_iter()) {
                    blender.add(*place, scores);
                }
            }
            Step::Rows { first, valid, .. } => {
                left -= 1;
                for rows in FinalRows::take(&mut blender, options, own.clone(), first, &valid) {
                    if to_sink.send(rows).is_err() {
                        return false;
                    }
                }
            }
        }
    }
    true
}

/// Hands final rows to the sink and counts their classes.
fn write(
    sink: &mut dyn RowSink,
    classes: usize,
    rows: Receiver<FinalRows>,
    tracker: &Tracker<'_>,
) -> Result<Vec<u64>> {
    // One place for every code that a byte can have.
    let mut counts = vec![0; usize::from(IGNORE) + 1];
    for rows in rows {
        let probabilities = rows.probabilities.as_ref().map(|p| p.view());
        sink.rows(rows.first, rows.classes.view(), probabilities)?;
        for code in &rows.classes {
            counts[usize::from(*code)] += 1;
        }
        tracker.update(|progress| progress.pixels_done += rows.classes.len() as u64);
    }
    counts.truncate(classes);
    Ok(counts)
}

/// Reports progress, one step at a time in order.
struct Tracker<'a> {
    progress: Mutex<Progress>,
    report: &'a (dyn Fn(&Progress) + Sync),
}

impl<'a> Tracker<'a> {
    fn new(
        [height, width]: [usize; 2],
        panels: &[Panel],
        report: &'a (dyn Fn(&Progress) + Sync),
    ) -> Self {
        let windows = panels.iter().map(|panel| panel.plan.windows() as u64);
        let progress = Progress {
            pixels_total: height as u64 * width as u64,
            windows_total: windows.sum(),
            ..Progress::default()
        };
        Self {
            progress: Mutex::new(progress),
            report,
        }
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) -> Progress {
        let mut progress = (self.progress.lock()).unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        (self.report)(&progress);
        *progress
    }
}
