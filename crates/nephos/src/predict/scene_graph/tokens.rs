//! The tokens of a whole scene.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use ndarray::{Array2, Array3, Axis, s};

use super::layout::Layout;
use super::{GraphForward, Halves};
use crate::error::{Error, Result};
use crate::predict::blend::Blender;
use crate::predict::source::Source;
use crate::predict::steps::{Step, assemble};
use crate::predict::stream::{RunOptions, RunStats, join, read, start};

/// The encoder's features of each patch of a scene.
pub(super) struct Tokens {
    /// `[rows, 2 · patch width, cols]`: embeddings, then the encoder's output.
    values: Array3<f32>,
    /// `[rows, cols]`: patches with a valid pixel.
    valid: Array2<bool>,
}

/// What the decoder needs of each patch.
pub(super) struct Grid {
    /// `[graph width, rows, cols]`, 0 where no pixel is valid.
    pub nodes: Array3<f32>,
    /// `[patch width, rows, cols]`
    pub embeddings: Array3<f32>,
}

/// Encodes the scene window by window and blends the tokens that windows share.
#[allow(clippy::too_many_arguments)]
pub(super) fn encode(
    model: &dyn GraphForward,
    source: &Source<'_>,
    options: &RunOptions,
    layout: &Layout,
    stats: &mut RunStats,
    tracker: &mut Halves<'_>,
) -> Result<Tokens> {
    let [rows, cols] = layout.tokens.size;
    let pixels = &layout.pixels;
    let width = pixels.size[1];
    let mut valid = Array2::from_elem((rows, cols), false);
    // Made with the first window, which states how many features a token has.
    let mut blended: Option<(Blender, Array3<f32>)> = None;
    let mut window_rows = 0;
    thread::scope(|scope| {
        let (to_windows, strips) = sync_channel(0);
        let (to_model, steps) = sync_channel(1);
        let reader = start(scope, move || {
            let all = 0..width;
            read(source, std::iter::once((all.clone(), all)), to_windows)
        })?;
        let cutter = start(scope, move || {
            let mut strips = strips.into_iter().flatten();
            assemble(
                pixels,
                source.channels(),
                options.batch_pixels,
                || strips.next(),
                |step| Ok(to_model.send(step).is_ok()),
            )
        })?;
        let mut work = |step| -> Result<()> {
            options.check_cancel()?;
            match step {
                Step::Windows { places, data } => {
                    let from = Instant::now();
                    let tokens = model.encode(data)?; // [n, features, window rows, window cols]
                    stats.forward_seconds += from.elapsed().as_secs_f64();
                    stats.windows += places.len() as u64;
                    stats.computed_pixels +=
                        (places.len() * pixels.window[0] * pixels.window[1]) as u64;
                    tracker.windows(places.len(), 0);
                    let features = tokens.len_of(Axis(1));
                    let (blender, _) = blended.get_or_insert_with(|| {
                        let blender = Blender::new(features, &layout.tokens);
                        (blender, Array3::zeros((rows, features, cols)))
                    });
                    for (place, tokens) in places.iter().zip(tokens.outer_iter()) {
                        let place = place.map(|pixel| pixel / layout.stride as isize);
                        blender.add(place, tokens);
                    }
                }
                Step::Rows {
                    first,
                    valid: pixel_valid,
                    skipped,
                } => {
                    for (row, line) in pixel_valid.outer_iter().enumerate() {
                        let row = layout.patch_of(first + row, rows);
                        for col in (0..width).filter(|col| line[*col]) {
                            valid[[row, layout.patch_of(col, cols)]] = true;
                        }
                    }
                    stats.skipped += skipped as u64;
                    tracker.windows(0, skipped);
                    tracker.pixels(pixel_valid.len());
                    let first = layout.tokens.tops[window_rows] as usize;
                    window_rows += 1;
                    let end =
                        (layout.tokens.tops.get(window_rows)).map_or(rows, |top| *top as usize);
                    if let Some((blender, values)) = &mut blended {
                        let taken = blender.take(first, end - first, 0..cols); // [features, rows, cols]
                        values
                            .slice_mut(s![first..end, .., ..])
                            .assign(&taken.permuted_axes([1, 0, 2]));
                    }
                }
            }
            Ok(())
        };
        let mut worked = Ok(());
        for step in &steps {
            worked = work(step);
            if worked.is_err() {
                break;
            }
        }
        drop(steps);
        let (read, cut) = (join(reader), join(cutter));
        worked.and(cut).and(read)
    })?;
    let values = match blended {
        Some((_, values)) => values,
        // No window had a valid pixel.
        None => Array3::zeros((rows, 0, cols)),
    };
    Ok(Tokens { values, valid })
}

impl Tokens {
    /// Runs the graph over all patches with a valid pixel at once.
    pub fn refine(self, model: &dyn GraphForward) -> Result<Grid> {
        let (rows, features, cols) = self.values.dim();
        let width = features / 2;
        let places: Vec<(usize, usize)> = (self.valid.indexed_iter())
            .filter_map(|(place, valid)| valid.then_some(place))
            .collect();
        let embeddings = self.values.slice(s![.., ..width, ..]);
        let embeddings = embeddings
            .permuted_axes([1, 0, 2])
            .as_standard_layout()
            .into_owned();
        if places.is_empty() || width == 0 {
            let nodes = Array3::zeros((0, rows, cols));
            return Ok(Grid { nodes, embeddings });
        }
        let mut encoded = Array2::zeros((places.len(), width));
        for (mut node, (row, col)) in encoded.outer_iter_mut().zip(&places) {
            node.assign(&self.values.slice(s![*row, width.., *col]));
        }
        drop(self.values);
        let refined = model.refine(encoded)?;
        if refined.nrows() != places.len() || refined.iter().any(|value| !value.is_finite()) {
            return Err(Error::model(
                "the model's graph gives numbers that are not finite: its weights are broken, or \
                 the image is far outside the range it was trained on (data.scale)",
            ));
        }
        let mut nodes = Array3::zeros((refined.ncols(), rows, cols));
        for (node, (row, col)) in refined.outer_iter().zip(&places) {
            nodes.slice_mut(s![.., *row, *col]).assign(&node);
        }
        Ok(Grid { nodes, embeddings })
    }
}
