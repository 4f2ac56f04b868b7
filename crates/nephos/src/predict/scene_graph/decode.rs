//! From the patches of a whole scene to its pixels, strip by strip.

use std::ops::Range;
use std::time::Instant;

use ndarray::{Array2, Array3, ArrayView3, Axis, s};

use super::layout::at_least_a_patch;
use super::tokens::Grid;
use super::{GraphForward, Halves};
use crate::class::IGNORE;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::predict::decide::decide;
use crate::predict::source::Source;
use crate::predict::stream::{RowSink, RunOptions, RunStats, SINK_ROWS};
use crate::raster::Window;

/// Decodes rows of patches from the top; each strip reads as many more rows of patches
/// above and below as the decoder's receptive field, so that strips leave no trace.
#[allow(clippy::too_many_arguments)]
pub(super) fn decode(
    model: &dyn GraphForward,
    config: &ModelConfig,
    source: &Source<'_>,
    options: &RunOptions,
    grid: &Grid,
    sink: &mut dyn RowSink,
    stats: &mut RunStats,
    tracker: &mut Halves<'_>,
) -> Result<()> {
    let [height, width] = source.size();
    let (_, rows, cols) = grid.embeddings.dim();
    let [least, least_width] = at_least_a_patch(config, [height, width]);
    let [padded, padded_width] = config.padded(least, least_width);
    let cells = 1 << config.decoder.stages.len();
    let down = Axis1::new(rows * cells, padded, config.decoder.align_corners);
    let across = Axis1::new(cols * cells, padded_width, config.decoder.align_corners);
    // One row more, between whose cells and the strip's own the last pixels are.
    let halo = config.decoder_reach() + 1;
    // Half a batch: the decoder's grids of a strip are what a scene's graph needs most memory for.
    let pixels_at_once = options.batch_pixels / 2;
    let patch_rows = (pixels_at_once / (config.patch.stride * width)).max(2 * halo + 1);
    let empty = grid.nodes.len_of(Axis(0)) == 0;
    let mut first = 0;
    for start in (0..rows).step_by(patch_rows) {
        options.check_cancel()?;
        let end = rows.min(start + patch_rows);
        // Pixels whose upper cell is one of the strip's.
        let last = match end == rows {
            true => height,
            false => down.first_at(end * cells).min(height),
        };
        let seen = start.saturating_sub(halo)..rows.min(end + halo);
        let (strip, valid) = pixels(config, source, &seen, first..last)?;
        if empty {
            let classes = Array2::from_elem((last - first, width), IGNORE);
            let scores = Array3::from_elem((config.classes, last - first, width), f32::NAN);
            give(
                sink,
                first,
                classes,
                options.probabilities.then_some(scores),
                stats,
            )?;
        } else {
            let part = |values: &Array3<f32>| values.slice(s![.., seen.clone(), ..]).to_owned();
            let from = Instant::now();
            let scores = model.decode(strip, part(&grid.nodes), part(&grid.embeddings))?;
            stats.forward_seconds += from.elapsed().as_secs_f64();
            if scores.iter().any(|score| !score.is_finite()) {
                return Err(Error::model("the model gives scores that are not finite"));
            }
            let mut scores = resample(
                scores.view(),
                seen.start * cells,
                &down,
                &across,
                first..last,
                width,
            );
            options.decision.calibrate(&mut scores);
            let threshold = options.decision.threshold();
            let classes = decide(&mut scores, valid.view(), options.probabilities, threshold);
            give(
                sink,
                first,
                classes,
                options.probabilities.then_some(scores),
                stats,
            )?;
        }
        tracker.pixels((last - first) * width);
        first = last;
    }
    Ok(())
}

/// The image under the rows of patches `seen`, and which of the pixels in the rows
/// `own` are valid.
fn pixels(
    config: &ModelConfig,
    source: &Source<'_>,
    seen: &Range<usize>,
    own: Range<usize>,
) -> Result<(Array3<f32>, Array2<bool>)> {
    let [height, cols] = source.size();
    let rows = match config.decoder_sees_image() {
        false => own.clone(),
        true => seen.start * config.patch.size..height.min(seen.end * config.patch.size),
    };
    let window = Window {
        row: rows.start,
        col: 0,
        rows: rows.len(),
        cols,
    };
    let (input, valid) = source.read(window)?;
    let own = own.start - rows.start..own.end - rows.start;
    Ok((input, valid.slice(s![own, ..]).to_owned()))
}

fn give(
    sink: &mut dyn RowSink,
    first: usize,
    classes: Array2<u8>,
    probabilities: Option<Array3<f32>>,
    stats: &mut RunStats,
) -> Result<()> {
    for class in classes.iter().filter(|class| **class != IGNORE) {
        stats.counts[usize::from(*class)] += 1;
    }
    for start in (0..classes.nrows()).step_by(SINK_ROWS) {
        let end = classes.nrows().min(start + SINK_ROWS);
        let probabilities = probabilities
            .as_ref()
            .map(|p| p.slice(s![.., start..end, ..]));
        sink.rows(
            first + start,
            classes.slice(s![start..end, ..]),
            probabilities,
        )?;
    }
    Ok(())
}

/// Bilinear upsampling along one axis, as PyTorch's.
struct Axis1 {
    cells: usize,
    pixels: usize,
    align_corners: bool,
}

impl Axis1 {
    fn new(cells: usize, pixels: usize, align_corners: bool) -> Self {
        Self {
            cells,
            pixels,
            align_corners,
        }
    }

    /// The lower of the two cells between which a pixel is, and the share of the
    /// upper.
    fn place(&self, pixel: usize) -> (usize, f32) {
        let position = if self.align_corners {
            pixel as f64 * (self.cells - 1) as f64 / (self.pixels.max(2) - 1) as f64
        } else {
            ((pixel as f64 + 0.5) * self.cells as f64 / self.pixels as f64 - 0.5).max(0.0)
        };
        let low = (position as usize).min(self.cells - 1);
        (low, (position - low as f64) as f32)
    }

    /// The first pixel whose lower cell is `cell` or beyond.
    fn first_at(&self, cell: usize) -> usize {
        let (mut low, mut high) = (0, self.pixels);
        while low < high {
            let middle = low.midpoint(high);
            if self.place(middle).0 < cell {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Scores `[classes, own.len(), width]` of the pixels in the rows `own`, from cells
/// whose first row is the scene's row of cells `top`.
fn resample(
    cells: ArrayView3<'_, f32>,
    top: usize,
    down: &Axis1,
    across: &Axis1,
    own: Range<usize>,
    width: usize,
) -> Array3<f32> {
    let (classes, rows, cols) = cells.dim();
    let places: Vec<(usize, f32)> = (0..width).map(|col| across.place(col)).collect();
    let mut scores = Array3::zeros((classes, own.len(), width));
    for (cells, mut scores) in cells.outer_iter().zip(scores.outer_iter_mut()) {
        for (pixel, mut line) in own.clone().zip(scores.outer_iter_mut()) {
            let (low, share) = down.place(pixel);
            let [upper, lower] = [low, low + 1].map(|row| (row - top).min(rows - 1));
            let mixed: Vec<f32> = (cells.row(upper).iter().zip(cells.row(lower)))
                .map(|(a, b)| a + (b - a) * share)
                .collect();
            for (score, (left, share)) in line.iter_mut().zip(&places) {
                let (a, b) = (mixed[*left], mixed[(left + 1).min(cols - 1)]);
                *score = a + (b - a) * share;
            }
        }
    }
    scores
}
