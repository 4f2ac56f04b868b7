//! Bilinear resampling along one side, cell by cell.

use std::ops::Range;

use crate::sizes::sum;

/// How each of a line of samples lies between two of a line of cells.
#[derive(Debug, Clone)]
pub(super) struct Taps {
    /// Share of the cell before each sample, and of the cell after it; one together.
    near: Vec<f32>,
    far: Vec<f32>,
    /// First sample whose cell before is the `i`-th; one more at the end.
    starts: Vec<usize>,
}

impl Taps {
    /// `from` cells read at `to` samples, with PyTorch's two conventions: the
    /// centres of the outermost cells and samples fall onto each other
    /// (`align_corners`), or their outer edges do.
    ///
    /// # Panics
    /// There are no cells.
    pub(super) fn new(from: usize, to: usize, align_corners: bool) -> Self {
        assert!(from > 0, "no cells to resample");
        let mut taps = Self {
            near: Vec::with_capacity(to),
            far: Vec::with_capacity(to),
            starts: vec![0; sum([from, 1])],
        };
        for sample in 0..to {
            let position = if align_corners {
                // One sample alone has no far corner to align: it takes the first cell.
                sample as f64 * (from - 1) as f64 / (to.max(2) - 1) as f64
            } else {
                ((sample as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0)
            };
            let cell = (position as usize).min(from - 1);
            let share = position - cell as f64;
            taps.near.push((1.0 - share) as f32);
            taps.far.push(share as f32);
            taps.starts[cell + 1] = sample + 1;
        }
        // Cells that no sample follows end where the cell before them ends.
        for cell in 1..=from {
            taps.starts[cell] = taps.starts[cell].max(taps.starts[cell - 1]);
        }
        taps
    }

    pub(super) fn cells(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn samples(&self) -> usize {
        self.near.len()
    }

    /// Each cell, the next one, and the samples between the two.
    #[inline(always)]
    fn spans(&self) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
        let last = self.cells() - 1;
        (0..=last).map(move |cell| {
            let next = (cell + 1).min(last);
            (cell, next, self.starts[cell]..self.starts[cell + 1])
        })
    }

    /// The cell before `sample`, the one after, and their shares.
    #[inline(always)]
    pub(super) fn at(&self, sample: usize) -> [(usize, f32); 2] {
        let cell = self.starts.partition_point(|start| *start <= sample) - 1;
        let next = (cell + 1).min(self.cells() - 1);
        [(cell, self.near[sample]), (next, self.far[sample])]
    }

    /// Reads `cells` at all samples.
    #[inline(always)]
    pub(super) fn read(&self, cells: &[f32], samples: &mut [f32]) {
        for (cell, next, span) in self.spans() {
            let (near, far) = (cells[cell], cells[next]);
            let out = &mut samples[span.clone()];
            let shares = self.near[span.clone()].iter().zip(&self.far[span]);
            for (sample, (a, b)) in out.iter_mut().zip(shares) {
                *sample = a * near + b * far;
            }
        }
    }

    /// The transpose of [`Taps::read`]: writes what each cell gave to all samples,
    /// weighted.
    #[inline(always)]
    pub(super) fn gather(&self, samples: &[f32], cells: &mut [f32]) {
        cells.fill(0.0);
        for (cell, next, span) in self.spans() {
            let samples = &samples[span.clone()];
            cells[cell] += dot(samples, &self.near[span.clone()]);
            cells[next] += dot(samples, &self.far[span]);
        }
    }
}

/// The inner product, in eight sums that a vector holds.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_conventions_of_the_corners() {
        let read = |cells: &[f32], to, align_corners| {
            let mut samples = vec![f32::NAN; to];
            Taps::new(cells.len(), to, align_corners).read(cells, &mut samples);
            samples
        };
        assert_eq!(read(&[0.0, 4.0], 5, true), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(read(&[0.0, 4.0], 4, false), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(read(&[3.0, 9.0], 1, true), [3.0]);
        assert_eq!(read(&[3.0], 3, false), [3.0, 3.0, 3.0]);
        assert_eq!(read(&[1.0, 2.0, 5.0], 3, true), [1.0, 2.0, 5.0]);
    }

    #[test]
    fn gathering_is_the_transpose_of_reading() {
        for (from, to) in [(27, 509), (1, 7), (5, 3), (9, 9), (40, 2), (2, 1)] {
            for align_corners in [false, true] {
                let taps = Taps::new(from, to, align_corners);
                assert_eq!((taps.cells(), taps.samples()), (from, to));
                for cell in 0..from {
                    let mut unit = vec![0.0; from];
                    unit[cell] = 1.0;
                    let mut column = vec![f32::NAN; to];
                    taps.read(&unit, &mut column);
                    for (sample, weight) in column.iter().enumerate() {
                        let mut unit = vec![0.0; to];
                        unit[sample] = 1.0;
                        let mut row = vec![f32::NAN; from];
                        taps.gather(&unit, &mut row);
                        assert_eq!(row[cell], *weight);
                        let at = taps.at(sample).into_iter().filter(|(c, _)| *c == cell);
                        assert_eq!(at.map(|(_, share)| share).sum::<f32>(), *weight);
                    }
                }
            }
        }
    }
}
