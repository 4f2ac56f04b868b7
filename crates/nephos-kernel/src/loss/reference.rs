//! Losses and their gradients as they are defined, in f64.

use super::{DICE_SMOOTH, Kind, Label, Objective, TINY};

/// A batch with scores `[batch, classes, rows, cols]` and labels `[batch, height,
/// width]`.
pub(super) struct Case {
    pub batch: usize,
    pub classes: usize,
    pub grid: [usize; 2],
    pub size: [usize; 2],
    pub align_corners: bool,
    pub labels: Vec<u8>,
}

/// The weights of `from` cells in each of `to` samples.
fn weights(from: usize, to: usize, align_corners: bool) -> Vec<Vec<f64>> {
    let row = |sample: usize| {
        let position = if align_corners {
            sample as f64 * (from - 1) as f64 / (to.max(2) - 1) as f64
        } else {
            ((sample as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64)
        };
        let share = |cell: usize| (1.0 - (position - cell as f64).abs()).max(0.0);
        (0..from).map(share).collect()
    };
    (0..to).map(row).collect()
}

impl Case {
    /// The upsampled scores `[classes]` of every pixel.
    fn pixels(&self, coarse: &[f64]) -> Vec<Vec<f64>> {
        let ([rows, cols], [height, width]) = (self.grid, self.size);
        let down = weights(rows, height, self.align_corners);
        let across = weights(cols, width, self.align_corners);
        let score = |image: usize, y: usize, x: usize, class: usize| {
            let cell = |r: usize, c: usize| {
                let map = image * self.classes + class;
                down[y][r] * across[x][c] * coarse[(map * rows + r) * cols + c]
            };
            let row = |r: usize| (0..cols).map(|c| cell(r, c)).sum::<f64>();
            (0..rows).map(row).sum()
        };
        let mut pixels = Vec::new();
        for image in 0..self.batch {
            for y in 0..height {
                for x in 0..width {
                    pixels.push((0..self.classes).map(|c| score(image, y, x, c)).collect());
                }
            }
        }
        pixels
    }

    /// The loss of `coarse`.
    pub(super) fn loss(&self, objective: &Objective, coarse: &[f64]) -> f64 {
        let weight = |class: usize| f64::from(objective.weight(class));
        let classes = self.classes;
        let (mut cross, mut total) = (0.0, 0.0);
        let (mut both, mut sum) = (vec![0.0; classes], vec![0.0; classes]);
        for (scores, label) in self.pixels(coarse).iter().zip(&self.labels) {
            let Some(label) = Label::of(*label) else {
                continue;
            };
            let log_sum = scores.iter().map(|s| s.exp()).sum::<f64>().ln();
            let log_p = |class: usize| scores[class] - log_sum;
            let has = |class: &usize| label.has(*class);
            let likelihood: f64 = (0..classes).filter(has).map(|c| log_p(c).exp()).sum();
            let (hit, first) = (likelihood.ln(), weight(label.first()));
            total += first;
            cross -= match objective.kind {
                Kind::Focal(gamma) => {
                    let miss = (1.0 - likelihood).max(1e-6);
                    first * miss.powf(f64::from(gamma)) * hit
                }
                Kind::CrossEntropy(s) | Kind::CrossEntropyDice(s) => {
                    let s = f64::from(s);
                    let spread: f64 = (0..classes).map(|c| weight(c) * log_p(c)).sum();
                    (1.0 - s) * first * hit + s / classes as f64 * spread
                }
                Kind::Dice => 0.0,
            };
            let Label::Class(truth) = label else {
                continue;
            };
            for class in 0..classes {
                let (p, t) = (log_p(class).exp(), f64::from(u8::from(class == truth)));
                both[class] += p * t;
                sum[class] += p * p + t;
            }
        }
        let score = |c: usize| (2.0 * both[c] + DICE_SMOOTH) / (sum[c] + DICE_SMOOTH);
        let dice = 1.0 - (0..classes).map(score).sum::<f64>() / classes as f64;
        match objective.kind {
            Kind::Dice => dice,
            Kind::CrossEntropyDice(_) => cross / total.max(TINY) + dice,
            _ => cross / total.max(TINY),
        }
    }

    /// The gradient of [`Case::loss`] by central differences.
    pub(super) fn gradient(&self, objective: &Objective, coarse: &[f64]) -> Vec<f64> {
        const STEP: f64 = 1e-5;
        let mut coarse = coarse.to_vec();
        (0..coarse.len())
            .map(|cell| {
                let value = coarse[cell];
                coarse[cell] = value + STEP;
                let above = self.loss(objective, &coarse);
                coarse[cell] = value - STEP;
                let below = self.loss(objective, &coarse);
                coarse[cell] = value;
                (above - below) / (2.0 * STEP)
            })
            .collect()
    }
}
