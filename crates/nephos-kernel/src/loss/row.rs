//! One row of pixels: probabilities, their loss, and its gradient.

use super::upsample::Taps;
use super::{Label, Objective, Totals};
use crate::exponential::exp;
use crate::versions::versions;

/// Room for one row of pixels, `[classes, width]` where not said otherwise.
pub(super) struct Row {
    classes: usize,
    /// One row of cells `[classes, cols]`.
    cells: Vec<f32>,
    /// Scores less the largest score of the pixel.
    scores: Vec<f32>,
    probabilities: Vec<f32>,
    gradient: Vec<f32>,
    /// `[width]`: the logarithm of the sum of exponentials of `scores`.
    log_sum: Vec<f32>,
    /// `[width]`: the largest score, and then whatever is needed a pixel.
    pixel: Vec<f32>,
}

impl Row {
    pub(super) fn new(classes: usize, cols: &Taps) -> Self {
        let pixels = || vec![0.0; classes * cols.samples()];
        Self {
            classes,
            cells: vec![0.0; classes * cols.cells()],
            scores: pixels(),
            probabilities: pixels(),
            gradient: pixels(),
            log_sum: vec![0.0; cols.samples()],
            pixel: vec![0.0; cols.samples()],
        }
    }

    /// Reads the scores of pixel row `y` of an image and makes probabilities of
    /// them.
    ///
    /// # Shapes
    /// - coarse: `[classes, rows, cols]`
    pub(super) fn read(&mut self, coarse: &[f32], [rows, cols]: [&Taps; 2], y: usize) {
        let image = coarse.chunks_exact(rows.cells() * cols.cells());
        let [(above, near), (below, far)] = rows.at(y);
        for (cells, map) in self.cells.chunks_exact_mut(cols.cells()).zip(image) {
            let above = &map[above * cols.cells()..][..cols.cells()];
            let below = &map[below * cols.cells()..][..cols.cells()];
            for ((cell, above), below) in cells.iter_mut().zip(above).zip(below) {
                *cell = near * above + far * below;
            }
        }
        soften(self, cols);
    }

    /// The class of the largest score of each pixel, the first of equals.
    pub(super) fn best(&self, out: &mut [u8]) {
        let width = out.len();
        for (x, best) in out.iter_mut().enumerate() {
            let score = |class: usize| self.scores[class * width + x];
            // The largest score of a pixel was taken from all: it is zero now.
            *best = (0..self.classes).find(|c| score(*c) >= 0.0).unwrap_or(0) as u8;
        }
    }

    /// Adds the row to `totals`.
    pub(super) fn add_to(&self, totals: &mut Totals<'_>, objective: &Objective, labels: &[u8]) {
        let width = labels.len();
        let known = (labels.iter().enumerate()).filter_map(|(x, l)| Some((x, Label::of(*l)?)));
        if let Some(cross) = objective.cross() {
            let share = f64::from(cross.smoothing) / self.classes as f64;
            for (x, label) in known.clone() {
                let log_p =
                    |class: usize| f64::from(self.scores[class * width + x] - self.log_sum[x]);
                let weight = f64::from(objective.weight(label.first()));
                let hit = label_log_likelihood(&self.scores, self.log_sum[x], label, [x, width]);
                let hit = f64::from(hit);
                *totals.weight += weight;
                let term = match cross.gamma {
                    Some(gamma) => focus(hit as f32, gamma)[0],
                    None => 1.0 - cross.smoothing,
                };
                *totals.loss -= f64::from(term) * weight * hit;
                if share > 0.0 {
                    let weighted = |class| f64::from(objective.weight(class)) * log_p(class);
                    *totals.loss -= share * (0..self.classes).map(weighted).sum::<f64>();
                }
            }
        }
        if objective.has_dice() {
            for (x, label) in known {
                let Label::Class(truth) = label else { continue };
                for (class, sums) in totals.overlap.iter_mut().enumerate() {
                    let p = f64::from(self.probabilities[class * width + x]);
                    let there = f64::from(u8::from(class == truth));
                    sums[0] += p * there;
                    sums[1] += p * p + there;
                }
            }
        }
    }

    /// The gradient of the row with respect to one row of cells, in units of
    /// `1 / weight` for cross-entropy and with `slopes` for Dice, both times
    /// `factor`.
    ///
    /// # Shapes
    /// - slopes: for each class the derivatives of the loss by Σ p t and Σ p²
    /// - out: `[classes, cols]`
    pub(super) fn gradient(
        &mut self,
        objective: &Objective,
        labels: &[u8],
        cols: &Taps,
        scales: &Scales,
        out: &mut [f32],
    ) {
        slope(self, objective, labels, scales);
        gather(&self.gradient, cols, out);
    }
}

/// What a gradient is multiplied by.
pub(super) struct Scales {
    /// Of cross-entropy: the factor of the loss over the total weight.
    pub cross: f32,
    /// Of Dice, a class: the derivatives of the loss by Σ p t and by Σ p², times
    /// the factor of the loss.
    pub dice: Vec<[f32; 2]>,
}

/// The logarithm of the probability that pixel `x` of `width` has a class of `label`; of a
/// set taken from the largest, so that tiny shares stay finite.
#[inline(always)]
fn label_log_likelihood(scores: &[f32], log_sum: f32, label: Label, [x, width]: [usize; 2]) -> f32 {
    if let Label::Class(class) = label {
        return scores[class * width + x] - log_sum;
    }
    let members = || {
        (scores[x..].iter().step_by(width).enumerate())
            .filter(|(class, _)| label.has(*class))
            .map(|(_, score)| *score)
    };
    let largest = members().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = members().map(|score| (score - largest).exp()).sum();
    largest + sum.ln() - log_sum
}

/// The focal factor (1 − p)^γ and its derivative by log p.
///
/// At exactly 1 − p = 0 the slope of a power below one is infinite, so less than
/// 1e-6 counts as 1e-6, without a slope.
fn focus(log_p: f32, gamma: f32) -> [f32; 2] {
    const LEAST: f32 = 1e-6;
    let p = log_p.exp();
    let miss = 1.0 - p;
    if miss < LEAST {
        [LEAST.powf(gamma), 0.0]
    } else {
        [miss.powf(gamma), -gamma * miss.powf(gamma - 1.0) * p]
    }
}

versions! {
    /// From one row of cells to the scores and probabilities of its pixels.
    fn soften(row: &mut Row, cols: &Taps) {
        let width = cols.samples();
        let Row { cells, scores, probabilities, log_sum, pixel: largest, .. } = row;
        largest.fill(f32::NEG_INFINITY);
        for (cells, scores) in cells.chunks_exact(cols.cells()).zip(scores.chunks_exact_mut(width)) {
            cols.read(cells, scores);
            for (largest, score) in largest.iter_mut().zip(scores) {
                *largest = if *score > *largest { *score } else { *largest };
            }
        }
        log_sum.fill(0.0);
        let classes = scores.chunks_exact_mut(width).zip(probabilities.chunks_exact_mut(width));
        for (scores, probabilities) in classes {
            let pixels = scores.iter_mut().zip(probabilities).zip(log_sum.iter_mut());
            for (((score, p), sum), largest) in pixels.zip(largest.iter()) {
                *score -= largest;
                *p = exp(*score);
                *sum += *p;
            }
        }
        for probabilities in probabilities.chunks_exact_mut(width) {
            for (p, sum) in probabilities.iter_mut().zip(log_sum.iter()) {
                *p /= sum;
            }
        }
        for sum in log_sum {
            *sum = sum.ln();
        }
    }
}

versions! {
    /// From probabilities to the gradient by the scores of a row.
    fn slope(row: &mut Row, objective: &Objective, labels: &[u8], scales: &Scales) {
        let width = labels.len();
        let Row { classes, scores, probabilities, gradient, log_sum, pixel, .. } = row;
        gradient.fill(0.0);
        if let Some(cross) = objective.cross() {
            let share = scales.cross * cross.smoothing / *classes as f32;
            let all: f32 = (0..*classes).map(|class| objective.weight(class)).sum();
            for (x, (label, pull)) in labels.iter().zip(pixel.iter_mut()).enumerate() {
                *pull = 0.0;
                if let Some(label) = Label::of(*label) {
                    let weight = scales.cross * objective.weight(label.first());
                    let log_p = label_log_likelihood(scores, log_sum[x], label, [x, width]);
                    let hit = match cross.gamma {
                        Some(gamma) => {
                            let [focus, slope] = focus(log_p, gamma);
                            weight * (focus + slope * log_p)
                        }
                        None => weight * (1.0 - cross.smoothing),
                    };
                    match label {
                        Label::Class(class) => gradient[class * width + x] -= hit,
                        set => for class in (0..*classes).filter(|class| set.has(*class)) {
                            let at = class * width + x;
                            gradient[at] -= hit * (scores[at] - log_sum[x] - log_p).exp();
                        }
                    }
                    *pull = hit + share * all;
                }
            }
            let classes = gradient.chunks_exact_mut(width).zip(probabilities.chunks_exact(width));
            for (class, (gradient, probabilities)) in classes.enumerate() {
                let spread = share * objective.weight(class);
                let pixels = gradient.iter_mut().zip(probabilities).zip(pixel.iter());
                for ((gradient, p), pull) in pixels {
                    let spread = if *pull == 0.0 { 0.0 } else { spread };
                    *gradient += pull * p - spread;
                }
            }
        }
        for (x, label) in labels.iter().enumerate() {
            let Some(Label::Class(truth)) = Label::of(*label) else { continue };
            // The derivative by each probability, less its mean over the classes.
            let by_p = |class: usize| {
                let [hit, square] = scales.dice[class];
                let there = if class == truth { hit } else { 0.0 };
                there + 2.0 * square * probabilities[class * width + x]
            };
            let dice = 0..scales.dice.len();
            let mean: f32 = dice.clone().map(|c| by_p(c) * probabilities[c * width + x]).sum();
            for class in dice {
                let at = class * width + x;
                gradient[at] += probabilities[at] * (by_p(class) - mean);
            }
        }
    }
}

versions! {
    /// From the gradient of a row of pixels to that of its row of cells.
    fn gather(gradient: &[f32], cols: &Taps, out: &mut [f32]) {
        let classes = gradient.chunks_exact(cols.samples());
        for (pixels, cells) in classes.zip(out.chunks_exact_mut(cols.cells())) {
            cols.gather(pixels, cells);
        }
    }
}
