//! A graph over all patches of a scene.
//!
//! Windows are for the encoder alone: its tokens are blended on the scene's own grid
//! of patches, the graph attention runs over all of them at once, and the decoder goes down
//! the scene in strips that overlap by as much as it reaches. Where the encoder runs over the
//! whole scene in one window, the result is the model's on that scene as one image.
//!
//! Memory grows with the number of patches: some `4 · (2 · patch width + 2 · graph
//! width)` bytes per patch.

mod decode;
mod layout;
mod tokens;

use std::time::Instant;

use super::source::Source;
use super::stream::{Progress, RowSink, RunOptions, RunStats};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::network::GraphForward;
use crate::scene::Scene;
use layout::Layout;

/// As [`run`](super::run), with one graph over the whole scene. The scene is read
/// twice: for the encoder, and for the decoder.
///
/// # Errors
/// As [`run`](super::run); the graph can't take so many nodes.
#[allow(clippy::too_many_arguments)]
pub fn run_scene_graph(
    model: &dyn GraphForward,
    config: &ModelConfig,
    scene: &dyn Scene,
    bands: &[usize],
    input_gain: f32,
    options: &RunOptions,
    sink: &mut dyn RowSink,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<RunStats> {
    let source = Source::plain(scene, bands, input_gain);
    run_source(model, config, &source, options, sink, progress)
}

/// The same of a source.
pub(super) fn run_source(
    model: &dyn GraphForward,
    config: &ModelConfig,
    source: &Source<'_>,
    options: &RunOptions,
    sink: &mut dyn RowSink,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<RunStats> {
    let started = Instant::now();
    source.check()?;
    let size = source.size();
    let layout = Layout::new(config, size, options)?;
    let mut stats = RunStats {
        counts: vec![0; config.classes],
        ..RunStats::default()
    };
    let mut tracker = Halves::new(size, &layout, progress);
    let tokens = tokens::encode(model, source, options, &layout, &mut stats, &mut tracker)?;
    let from = Instant::now();
    let grid = tokens.refine(model)?;
    stats.forward_seconds += from.elapsed().as_secs_f64();
    decode::decode(
        model,
        config,
        source,
        options,
        &grid,
        sink,
        &mut stats,
        &mut tracker,
    )?;
    stats.valid = stats.counts.iter().sum();
    stats.no_data = size[0] as u64 * size[1] as u64 - stats.valid;
    stats.total_seconds = started.elapsed().as_secs_f64();
    stats.waiting_seconds = stats.total_seconds - stats.forward_seconds;
    Ok(stats)
}

/// Progress over both passes: a pixel encoded is half done.
struct Halves<'a> {
    state: Progress,
    halves: u64,
    report: &'a (dyn Fn(&Progress) + Sync),
}

impl<'a> Halves<'a> {
    fn new(size: [usize; 2], layout: &Layout, report: &'a (dyn Fn(&Progress) + Sync)) -> Self {
        Self {
            state: Progress {
                pixels_total: size[0] as u64 * size[1] as u64,
                windows_total: layout.pixels.windows() as u64,
                ..Progress::default()
            },
            halves: 0,
            report,
        }
    }

    /// `pixels` more have gone through one of the passes.
    fn pixels(&mut self, pixels: usize) {
        self.halves += pixels as u64;
        self.state.pixels_done = self.halves / 2;
        (self.report)(&self.state);
    }

    fn windows(&mut self, computed: usize, skipped: usize) {
        self.state.windows_done += (computed + skipped) as u64;
        self.state.skipped += skipped as u64;
        (self.report)(&self.state);
    }
}
