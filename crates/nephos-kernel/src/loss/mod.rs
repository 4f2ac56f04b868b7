//! Losses of class scores that are upsampled to the pixels of an image, fused.
//!
//! Neither the upsampled scores nor their probabilities are ever stored: each row
//! of pixels is made from two rows of cells, and made again for the gradient.
//!
//! With p the softmax of the upsampled scores, y a pixel's label, w the weight of
//! its class:
//!
//! - cross-entropy is −Σ w log p_y / Σ w; with label smoothing s it becomes
//!   −Σ ((1 − s) w log p_y + s/C Σ_c w_c log p_c) / Σ w, PyTorch's convention;
//! - focal loss (Lin et al. 2017) is −Σ w (1 − p_y)^γ log p_y / Σ w;
//! - Dice (Milletari et al. 2016) is one minus the mean over the classes of
//!   (2 Σ p t + 1) / (Σ p² + Σ t² + 1), t one where a pixel has the class.
//!
//! Where a label is a set of classes, of which the pixel has one, p_y is the sum of their
//! probabilities, w the weight of the first, and Dice leaves the pixel out (Cour et al.
//! 2011, learning from partial labels).
//!
//! Sums run over all pixels of the batch that have a label.

mod label;
mod row;
mod upsample;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::sizes::count;
pub use label::{Label, SETS, either};
use row::{Row, Scales};
use upsample::Taps;

/// Keeps a mean over no pixels at 0 instead of 0/0.
const TINY: f64 = 1e-12;

/// Added to both parts of the Dice fraction, in pixels.
const DICE_SMOOTH: f64 = 1.0;

/// Rows of pixels that one task computes.
const BLOCK: usize = 16;

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Cross-entropy; its label smoothing, in 0..=1.
    CrossEntropy(f32),
    /// Focal loss; its exponent γ ≥ 0.
    Focal(f32),
    /// Dice.
    Dice,
    /// The sum of Dice and cross-entropy with this label smoothing.
    CrossEntropyDice(f32),
}

/// A loss to be minimised.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Which.
    pub kind: Kind,
    /// One weight a class, for cross-entropy and focal loss; none: all one.
    pub class_weights: Vec<f32>,
}

/// The cross-entropy part of an objective.
struct Cross {
    smoothing: f32,
    gamma: Option<f32>,
}

impl Objective {
    fn cross(&self) -> Option<Cross> {
        let cross = |smoothing, gamma| Some(Cross { smoothing, gamma });
        match self.kind {
            Kind::CrossEntropy(smoothing) | Kind::CrossEntropyDice(smoothing) => {
                cross(smoothing, None)
            }
            Kind::Focal(gamma) => cross(0.0, Some(gamma)),
            Kind::Dice => None,
        }
    }

    fn has_dice(&self) -> bool {
        matches!(self.kind, Kind::Dice | Kind::CrossEntropyDice(_))
    }

    #[inline(always)]
    fn weight(&self, class: usize) -> f32 {
        self.class_weights.get(class).copied().unwrap_or(1.0)
    }
}

/// Scores on a coarse grid, and the labels of the pixels they are upsampled to.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    coarse: &'a [f32],
    labels: &'a [u8],
    classes: usize,
    rows: Taps,
    cols: Taps,
}

impl<'a> Target<'a> {
    /// # Shapes
    /// - coarse: `[batch, classes, rows, cols]` for `grid = [rows, cols]`
    /// - labels: `[batch, height, width]` for `size = [height, width]`, class codes or
    ///   what [`Label::of`] reads
    ///
    /// With `align_corners` the centres of the corner cells and corner pixels fall
    /// onto each other, without, their outer edges (PyTorch's `interpolate`).
    ///
    /// # Panics
    /// A slice has another length, an extent is zero, or a label is of no class.
    pub fn new(
        coarse: &'a [f32],
        labels: &'a [u8],
        classes: usize,
        grid: [usize; 2],
        size: [usize; 2],
        align_corners: bool,
    ) -> Self {
        let (cells, pixels) = (count([classes, grid[0], grid[1]]), count(size));
        assert!(cells > 0 && pixels > 0, "no cells or no pixels");
        assert!(
            coarse.len().is_multiple_of(cells)
                && labels.len() == count([coarse.len() / cells, pixels]),
            "{} scores of {cells} an image, {} labels of {pixels}",
            coarse.len(),
            labels.len()
        );
        let known = |label: u8| Label::of(label).is_none_or(|label| label.last() < classes);
        assert!(labels.iter().all(|l| known(*l)), "a label of no class");
        Self {
            coarse,
            labels,
            classes,
            rows: Taps::new(grid[0], size[0], align_corners),
            cols: Taps::new(grid[1], size[1], align_corners),
        }
    }

    fn cells(&self) -> usize {
        self.rows.cells() * self.cols.cells()
    }

    /// Calls `each` with every row of pixels: its number among those of all images,
    /// its probabilities, its labels, and its part of `out`.
    fn rows<T: Send>(&self, out: &mut [T], each: impl Fn(&mut Row, &[u8], &mut [T]) + Sync) {
        let (height, width) = (self.rows.samples(), self.cols.samples());
        let part = out.len() / (self.labels.len() / width);
        out.par_chunks_mut(BLOCK * part)
            .zip(self.labels.par_chunks(BLOCK * width))
            .enumerate()
            .for_each(|(block, (out, labels))| {
                let mut row = Row::new(self.classes, &self.cols);
                let parts = out.chunks_mut(part).zip(labels.chunks(width));
                for (line, (out, labels)) in (block * BLOCK..).zip(parts) {
                    let image = &self.coarse[line / height * self.classes * self.cells()..];
                    row.read(image, [&self.rows, &self.cols], line % height);
                    each(&mut row, labels, out);
                }
            });
    }
}

/// What a loss came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The loss; 0 for cross-entropy and focal loss where no pixel has a label.
    pub loss: f64,
    /// Σ w.
    weight: f64,
    /// Σ p t and Σ p² + Σ t² of each class, for Dice.
    overlap: Vec<[f64; 2]>,
}

/// Sums over pixels, of one row or of all.
struct Totals<'a> {
    loss: &'a mut f64,
    weight: &'a mut f64,
    overlap: &'a mut [[f64; 2]],
}

impl<'a> Totals<'a> {
    fn new(sums: &'a mut [[f64; 2]]) -> Self {
        let ([loss, weight], overlap) = sums.split_first_mut().expect("a row has sums");
        Self {
            loss,
            weight,
            overlap,
        }
    }
}

impl Objective {
    /// The loss of `target`.
    pub fn evaluate(&self, target: &Target<'_>) -> Evaluation {
        let per_row = 1 + target.classes;
        let lines = target.labels.len() / target.cols.samples();
        let mut sums = vec![[0.0; 2]; lines * per_row];
        target.rows(&mut sums, |row, labels, sums| {
            row.add_to(&mut Totals::new(sums), self, labels);
        });
        self.sum_up(&sums, per_row)
    }

    /// [`Objective::evaluate`], and the class of the largest upsampled score of each
    /// pixel, the first of equals.
    ///
    /// # Shapes
    /// - best: `[batch, height, width]`
    ///
    /// # Panics
    /// `best` has another length than the labels.
    pub fn evaluate_and_classify(&self, target: &Target<'_>, best: &mut [u8]) -> Evaluation {
        assert_eq!(best.len(), target.labels.len(), "one class a pixel");
        let width = target.cols.samples();
        let per_row = 1 + target.classes;
        let mut parts: Vec<_> = (best.chunks_mut(width))
            .map(|best| (vec![[0.0; 2]; per_row], best))
            .collect();
        target.rows(&mut parts, |row, labels, part| {
            for (sums, best) in part {
                row.add_to(&mut Totals::new(sums), self, labels);
                row.best(best);
            }
        });
        let sums: Vec<_> = parts.into_iter().flat_map(|(sums, _)| sums).collect();
        self.sum_up(&sums, per_row)
    }

    /// The sums of all rows, in their order.
    fn sum_up(&self, sums: &[[f64; 2]], per_row: usize) -> Evaluation {
        let mut all = vec![[0.0; 2]; per_row];
        for row in sums.chunks_exact(per_row) {
            for (all, row) in all.iter_mut().zip(row) {
                all[0] += row[0];
                all[1] += row[1];
            }
        }
        let [loss, weight] = all.remove(0);
        let mut loss = loss / weight.max(TINY);
        if self.has_dice() {
            let score = |[both, sum]: &[f64; 2]| (2.0 * both + DICE_SMOOTH) / (sum + DICE_SMOOTH);
            loss += 1.0 - all.iter().map(score).sum::<f64>() / all.len() as f64;
        }
        Evaluation {
            loss,
            weight,
            overlap: all,
        }
    }

    /// Writes the gradient of the loss, times `factor`, with respect to the coarse
    /// scores; `evaluation` is that of the same target.
    ///
    /// # Shapes
    /// - out: `[batch, classes, rows, cols]`
    ///
    /// # Panics
    /// `out` has another length.
    pub fn gradient(
        &self,
        target: &Target<'_>,
        evaluation: &Evaluation,
        factor: f32,
        out: &mut [f32],
    ) {
        assert_eq!(out.len(), target.coarse.len(), "one gradient a score");
        let scales = self.scales(evaluation, factor);
        let (classes, cols) = (target.classes, target.cols.cells());
        let lines = target.labels.len() / target.cols.samples();
        // [batch, height, classes, cols]: a row of cells for each row of pixels.
        let mut across = vec![0.0; lines * classes * cols];
        target.rows(&mut across, |row, labels, across| {
            row.gradient(self, labels, &target.cols, &scales, across);
        });
        let (cells, height) = (target.cells(), target.rows.samples());
        out.par_chunks_mut(classes * cells)
            .zip(across.par_chunks(height * classes * cols))
            .for_each(|(out, across)| {
                out.fill(0.0);
                for (y, line) in across.chunks_exact(classes * cols).enumerate() {
                    for (row, share) in target.rows.at(y) {
                        let maps = out.chunks_exact_mut(cells).zip(line.chunks_exact(cols));
                        for (map, line) in maps {
                            let row = &mut map[row * cols..][..cols];
                            for (out, gradient) in row.iter_mut().zip(line) {
                                *out += share * gradient;
                            }
                        }
                    }
                }
            });
    }

    fn scales(&self, evaluation: &Evaluation, factor: f32) -> Scales {
        let factor = f64::from(factor);
        let classes = evaluation.overlap.len() as f64;
        let dice = |[both, sum]: &[f64; 2]| {
            let sum = sum + DICE_SMOOTH;
            let hit = -2.0 / sum / classes;
            let square = (2.0 * both + DICE_SMOOTH) / (sum * sum) / classes;
            [(factor * hit) as f32, (factor * square) as f32]
        };
        Scales {
            cross: (factor / evaluation.weight.max(TINY)) as f32,
            dice: if self.has_dice() {
                evaluation.overlap.iter().map(dice).collect()
            } else {
                Vec::new()
            },
        }
    }
}
