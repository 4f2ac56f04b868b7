//! Bilinear resampling of grids.
//!
//! Across first, then down: each row of the grid is stretched once, and a row of the
//! output is a blend of two of them, which runs as fast as memory takes it.

use rayon::prelude::*;

use crate::lanes::{Lanes, Level, Work, dispatch};
use crate::sizes::count;

/// Rows of the output that one task blends.
const ROWS: usize = 64;

/// A sample between two cells of an axis: `(1 - share) * low + share * high`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tap {
    low: u32,
    high: u32,
    keep: f32,
    share: f32,
}

/// The samples of two axes, made once for a pair of sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Bilinear {
    from: [usize; 2],
    to: [usize; 2],
    align_corners: bool,
    rows: Vec<Tap>,
    columns: Vec<Tap>,
}

impl Bilinear {
    /// From grids of `from = [rows, columns]` to `to`.
    ///
    /// With `align_corners` the centres of the corner cells fall onto each other;
    /// without, the outer edges do, and samples beyond the first and last centre take
    /// that cell's value. Both are PyTorch's `interpolate(mode="bilinear")`.
    ///
    /// # Panics
    /// `from` is empty, or has 2³² rows or columns.
    pub fn new(from: [usize; 2], to: [usize; 2], align_corners: bool) -> Self {
        Self {
            from,
            to,
            align_corners,
            rows: taps(from[0], to[0], align_corners),
            columns: taps(from[1], to[1], align_corners),
        }
    }

    /// Whether these are the samples that `new` would make of the same.
    pub fn is(&self, from: [usize; 2], to: [usize; 2], align_corners: bool) -> bool {
        (self.from, self.to, self.align_corners) == (from, to, align_corners)
    }

    /// Resamples each of any number of grids. `scratch` grows to the size of the grids
    /// stretched across, and is reused.
    ///
    /// # Shapes
    /// - grids: `[count, rows, columns]`
    /// - output: `[count, height, width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn resample(&self, grids: &[f32], output: &mut [f32], scratch: &mut Vec<f32>) {
        self.resample_at(Level::best(), grids, output, scratch);
    }

    fn resample_at(&self, level: Level, grids: &[f32], output: &mut [f32], scratch: &mut Vec<f32>) {
        let ([rows, columns], [height, width]) = (self.from, self.to);
        let cells = count([rows, columns]);
        assert!(grids.len().is_multiple_of(cells), "whole grids");
        let grid_count = grids.len() / cells;
        let numbers = count([grid_count, height, width]);
        assert_eq!(output.len(), numbers, "numbers of the output");
        if output.is_empty() {
            return;
        }
        scratch.resize(count([grid_count, rows, width]), 0.0);
        (scratch.par_chunks_exact_mut(width))
            .zip(grids.par_chunks_exact(columns))
            .with_min_len(8)
            .for_each(|(to, from)| {
                for (to, tap) in to.iter_mut().zip(&self.columns) {
                    *to = tap.keep * from[tap.low as usize] + tap.share * from[tap.high as usize];
                }
            });
        let stretched = &scratch[..];
        let blocks = height.div_ceil(ROWS);
        let grids = output.par_chunks_exact_mut(height * width);
        (grids.enumerate())
            .flat_map(|(grid, output)| {
                let blocks = output.par_chunks_mut(ROWS * width).enumerate();
                blocks.map(move |(block, output)| (grid, block, output))
            })
            .for_each(|(grid, block, output)| {
                debug_assert!(block < blocks);
                let rows = Rows {
                    stretched: &stretched[grid * rows * width..][..rows * width],
                    taps: &self.rows[block * ROWS..],
                    width,
                    output,
                };
                dispatch(level, rows);
            });
    }
}

impl Bilinear {
    /// The way back of [`Bilinear::resample`]: the gradient by the grids, from that by the
    /// output; each grid by one thread, in order.
    ///
    /// # Shapes
    /// - gradient: `[count, height, width]`
    /// - result: `[count, rows, columns]`
    ///
    /// # Panics
    /// The gradient is not of whole grids.
    pub fn transposed(&self, gradient: &[f32]) -> Vec<f32> {
        let ([rows, columns], [height, width]) = (self.from, self.to);
        let pixels = count([height, width]);
        assert!(
            pixels > 0 && gradient.len().is_multiple_of(pixels),
            "whole grids"
        );
        let grids = gradient.len() / pixels;
        let mut of_grids = vec![0.0; count([grids, rows, columns])];
        (of_grids.par_chunks_exact_mut(rows * columns))
            .zip(gradient.par_chunks_exact(pixels))
            .for_each_init(
                || vec![0.0; columns],
                |line, (to, from)| {
                    for (from, row) in from.chunks_exact(width).zip(&self.rows) {
                        line.fill(0.0);
                        for (x, tap) in from.iter().zip(&self.columns) {
                            line[tap.low as usize] += tap.keep * x;
                            line[tap.high as usize] += tap.share * x;
                        }
                        for (cells, share) in [(row.low, row.keep), (row.high, row.share)] {
                            let to = &mut to[cells as usize * columns..][..columns];
                            to.iter_mut()
                                .zip(&*line)
                                .for_each(|(to, x)| *to += share * x);
                        }
                    }
                },
            );
        of_grids
    }
}

/// `to` samples of an axis of `from` cells.
fn taps(from: usize, to: usize, align_corners: bool) -> Vec<Tap> {
    assert!(from > 0 && u32::try_from(from).is_ok(), "{from} cells");
    let tap = |sample: usize| {
        let position = if align_corners {
            // One sample alone has no far corner to align: it takes the first cell.
            sample as f64 * (from - 1) as f64 / (to.max(2) - 1) as f64
        } else {
            ((sample as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0)
        };
        let low = (position as usize).min(from - 1);
        let share = position - low as f64;
        Tap {
            low: low as u32,
            high: (low + 1).min(from - 1) as u32,
            keep: (1.0 - share) as f32,
            share: share as f32,
        }
    };
    (0..to).map(tap).collect()
}

/// Rows of one task: one for each of `width` numbers of `output`, and there are at
/// least as many taps, all of them rows of `stretched`.
struct Rows<'a> {
    stretched: &'a [f32],
    taps: &'a [Tap],
    width: usize,
    output: &'a mut [f32],
}

impl Work for Rows<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const R: usize>(self) {
        let width = self.width;
        for (output, tap) in self.output.chunks_exact_mut(width).zip(self.taps) {
            let low = &self.stretched[tap.low as usize * width..][..width];
            let high = &self.stretched[tap.high as usize * width..][..width];
            // SAFETY: all three have `width` numbers.
            unsafe {
                let (keep, share) = (L::splat(tap.keep), L::splat(tap.share));
                let whole = width - width % L::COUNT;
                for place in (0..whole).step_by(L::COUNT) {
                    let high = L::load(high.as_ptr().add(place)).mul(share);
                    let low = L::load(low.as_ptr().add(place));
                    (keep.mul_add(low, high)).store(output.as_mut_ptr().add(place));
                }
                if whole < width {
                    let high = L::load_part(high.as_ptr().add(whole), width - whole).mul(share);
                    let low = L::load_part(low.as_ptr().add(whole), width - whole);
                    let to = output.as_mut_ptr().add(whole);
                    keep.mul_add(low, high).store_part(to, width - whole);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `⟨resample(g), y⟩ = ⟨g, transposed(y)⟩` for all g and y.
    #[test]
    fn the_way_back_is_the_transposed_map() {
        for (from, to) in [([3, 5], [7, 4]), ([2, 2], [2, 9]), ([1, 4], [6, 8])] {
            for align_corners in [false, true] {
                let samples = Bilinear::new(from, to, align_corners);
                let wave = |count: usize, step: f32| -> Vec<f32> {
                    (0..count).map(|i| (i as f32 * step).sin()).collect()
                };
                let (grids, probe) = (
                    wave(2 * from[0] * from[1], 0.7),
                    wave(2 * to[0] * to[1], 1.3),
                );
                let mut resampled = vec![0.0; probe.len()];
                samples.resample(&grids, &mut resampled, &mut Vec::new());
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter()
                        .zip(b)
                        .map(|(a, b)| f64::from(*a) * f64::from(*b))
                        .sum()
                };
                let (ours, theirs) = (
                    dot(&resampled, &probe),
                    dot(&grids, &samples.transposed(&probe)),
                );
                assert!(
                    (ours - theirs).abs() < 1e-4,
                    "{from:?} {to:?}: {ours} {theirs}"
                );
            }
        }
    }

    /// Resampling as a sum over all cells, in f64.
    fn reference(grid: &[f32], from: [usize; 2], to: [usize; 2], align_corners: bool) -> Vec<f64> {
        let weight = |from: usize, to: usize, sample: usize, cell: usize| {
            let last = (from - 1) as f64;
            let position = match align_corners {
                true if to == 1 => 0.0,
                true => sample as f64 * last / (to - 1) as f64,
                false => (sample as f64 + 0.5) * from as f64 / to as f64 - 0.5,
            };
            (1.0 - (position.clamp(0.0, last) - cell as f64).abs()).max(0.0)
        };
        let mut output = Vec::new();
        for row in 0..to[0] {
            for column in 0..to[1] {
                let cells = (0..from[0]).flat_map(|r| (0..from[1]).map(move |c| (r, c)));
                output.push(
                    cells
                        .map(|(r, c)| {
                            weight(from[0], to[0], row, r)
                                * weight(from[1], to[1], column, c)
                                * f64::from(grid[r * from[1] + c])
                        })
                        .sum(),
                );
            }
        }
        output
    }

    #[test]
    fn any_sizes_and_both_conventions() {
        for (from, to) in [
            ([27, 27], [70, 509]),
            ([3, 5], [3, 5]),
            ([1, 1], [4, 9]),
            ([5, 4], [1, 1]),
            ([6, 7], [2, 3]),
            ([2, 3], [130, 17]),
        ] {
            let count = 3;
            let cells = from[0] * from[1];
            let grids: Vec<f32> = (0..count * cells).map(|i| (i as f32 * 0.7).sin()).collect();
            for align_corners in [false, true] {
                let bilinear = Bilinear::new(from, to, align_corners);
                for level in Level::all() {
                    let mut output = vec![f32::NAN; count * to[0] * to[1]];
                    bilinear.resample_at(level, &grids, &mut output, &mut vec![f32::NAN; 2]);
                    let grids = grids.chunks(cells).zip(output.chunks(to[0] * to[1]));
                    for (grid, output) in grids {
                        let expected = reference(grid, from, to, align_corners);
                        for (a, b) in output.iter().zip(&expected) {
                            assert!(
                                (f64::from(*a) - b).abs() < 1e-6,
                                "{level:?} {from:?} {to:?}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_grids_and_no_pixels() {
        let mut output = [];
        Bilinear::new([2, 2], [0, 5], true).resample(&[1.0; 8], &mut output, &mut Vec::new());
        Bilinear::new([2, 2], [5, 5], true).resample(&[], &mut output, &mut Vec::new());
    }
}
