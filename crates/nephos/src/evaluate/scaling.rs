//! Scores to probabilities by a temperature and a bias per class, fitted by likelihood
//! (Guo et al. 2017, doi:10.48550/arXiv.1706.04599).

use std::sync::Arc;

use nephos_kernel::loss::{Label, SETS};

use super::recall::Ranked;
use crate::config::{CalibrationConfig, ThresholdConfig};
use crate::metrics::ConfusionMatrix;
use crate::predict::Decision;

/// Steps of Newton's method; it converges in a few.
const ITERATIONS: usize = 40;

/// A labelled pixel.
#[derive(Debug, Clone)]
pub(crate) struct Pixel {
    /// Scores of the classes.
    pub(super) scores: Vec<f64>,
    pub(super) label: Label,
    /// The half of the samples it is of.
    pub(super) half: bool,
    /// The classes that were not annotated in its sample.
    pub(super) unannotated: Arc<[usize]>,
}

impl Pixel {
    /// Whether it may be of `class`, as far as its sample was annotated.
    pub(super) fn may_be(&self, class: usize) -> bool {
        self.label.has(class) || !self.unannotated.contains(&class)
    }

    /// Whether it is of one of `classes`; `None` where its label and its sample leave that
    /// open.
    pub(super) fn is_of(&self, classes: &[usize]) -> Option<bool> {
        let member = |class: &usize| self.label.has(*class);
        if (0..self.scores.len())
            .filter(|class| self.label.has(*class))
            .all(|class| classes.contains(&class))
        {
            Some(true)
        } else if classes
            .iter()
            .any(|class| member(class) || self.unannotated.contains(class))
        {
            None
        } else {
            Some(false)
        }
    }
}

/// Probabilities are the softmax of `factor · scores + bias`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaling {
    pub(super) factor: f64,
    pub(super) bias: Vec<f64>,
    /// Whether each class may be predicted; the others have no probability.
    pub(super) known: Vec<bool>,
}

impl Scaling {
    pub(super) fn identity(classes: usize) -> Self {
        Self {
            factor: 1.0,
            bias: vec![0.0; classes],
            known: vec![true; classes],
        }
    }

    /// The model's own calibration.
    pub(super) fn given(config: &CalibrationConfig, classes: usize) -> Self {
        let bias = |class| config.bias.get(class).copied().unwrap_or(0.0);
        Self {
            factor: 1.0 / config.temperature,
            bias: (0..classes).map(bias).collect(),
            ..Self::identity(classes)
        }
    }

    /// A start for a fit on `pixels`: of the classes that they are labelled as. Of others
    /// nothing can be fitted but that they are not there.
    pub(super) fn of_classes_in(pixels: &[Pixel], classes: usize) -> Self {
        let labelled = |class| pixels.iter().any(|pixel| pixel.label.has(class));
        Self {
            known: (0..classes).map(labelled).collect(),
            ..Self::identity(classes)
        }
    }

    pub(super) fn of_all_classes(mut self) -> Self {
        self.known.fill(true);
        self
    }

    /// IoU of each class over `pixels`, as [`evaluate`](super::evaluate) counts: what is
    /// predicted as a class that was not annotated counts as clear.
    pub(super) fn iou(
        &self,
        pixels: &[Pixel],
        threshold: Option<&ThresholdConfig>,
    ) -> Vec<Option<f64>> {
        let config = CalibrationConfig {
            threshold: threshold.cloned(),
            ..CalibrationConfig::default()
        };
        let classes = self.bias.len();
        let decision = Decision::new(&config, classes);
        let mut matrix = ConfusionMatrix::new(classes);
        for group in pixels.chunk_by(|a, b| Arc::ptr_eq(&a.unannotated, &b.unannotated)) {
            let (truth, predicted): (Vec<u8>, Vec<u8>) = (group.iter())
                .map(|pixel| (code(pixel.label), self.predict(pixel, &decision)))
                .unzip();
            matrix.add_sample(&truth, &predicted, &group[0].unannotated);
        }
        let scores = matrix.scores();
        scores.classes.iter().map(|class| class.iou).collect()
    }

    /// The class that is predicted for a pixel.
    pub(super) fn predict(&self, pixel: &Pixel, decision: &Decision) -> u8 {
        let scores: Vec<f64> = (pixel.scores.iter().zip(&self.bias))
            .map(|(score, bias)| self.factor * score + bias)
            .collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match decision.threshold() {
            None => scores
                .iter()
                .position(|score| *score == highest)
                .unwrap_or(0) as u8,
            Some(threshold) => {
                let p = ndarray::Array1::from_iter(scores.iter().map(|s| (s - highest).exp()));
                let p = &p / p.sum();
                threshold.class_of(p.mapv(|p| p as f32).view())
            }
        }
    }

    /// The pixels that are, and that are not, of `group`, by what a prediction gives them as
    /// its probability.
    pub(super) fn ranked(&self, pixels: &[Pixel], group: &[usize]) -> Ranked {
        let mut ranked = Ranked::default();
        for pixel in pixels {
            let Some(inside) = pixel.is_of(group) else {
                continue;
            };
            // Of all classes, as a prediction has them.
            let score = |class: usize| self.factor * pixel.scores[class] + self.bias[class];
            let scores: Vec<f64> = (0..self.bias.len()).map(score).collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let of = |class: usize| (scores[class] - highest).exp();
            let all: f64 = (0..scores.len()).map(of).sum();
            let own: f64 = group.iter().map(|class| of(*class)).sum();
            ranked.add(own / all, inside);
        }
        ranked
    }

    /// Probabilities of a pixel, and the logarithm of what falls to its label.
    pub(super) fn probabilities(&self, pixel: &Pixel) -> (Vec<f64>, f64) {
        let score = |class: usize| match self.known[class] && pixel.may_be(class) {
            true => self.factor * pixel.scores[class] + self.bias[class],
            false => f64::NEG_INFINITY,
        };
        let mut p: Vec<f64> = (0..self.bias.len()).map(score).collect();
        let highest = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // The label's likeliest class may be all but impossible: its logarithm stays finite.
        let members = || (0..self.bias.len()).filter(|class| pixel.label.has(*class));
        let best = (members().map(|class| p[class])).fold(f64::NEG_INFINITY, f64::max);
        let own = members().map(|class| (p[class] - best).exp()).sum::<f64>();
        p.iter_mut().for_each(|p| *p = (*p - highest).exp());
        let sum: f64 = p.iter().sum();
        p.iter_mut().for_each(|p| *p /= sum);
        (p, best - highest + own.ln() - sum.ln())
    }

    /// The probabilities of a pixel's classes, given that one of its label's is right.
    pub(super) fn within(&self, pixel: &Pixel) -> Vec<f64> {
        let members = || (0..self.bias.len()).filter(|class| pixel.label.has(*class));
        let score = |class: usize| self.factor * pixel.scores[class] + self.bias[class];
        let best = members().map(score).fold(f64::NEG_INFINITY, f64::max);
        let mut within = vec![0.0; self.bias.len()];
        members().for_each(|class| within[class] = (score(class) - best).exp());
        let sum: f64 = within.iter().sum();
        within.iter_mut().for_each(|p| *p /= sum);
        within
    }

    /// Mean cross-entropy; `None` without pixels.
    pub(super) fn loss(&self, pixels: &[Pixel], of: impl Fn(&Pixel) -> bool) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0usize);
        for pixel in pixels.iter().filter(|pixel| of(pixel)) {
            sum -= self.probabilities(pixel).1;
            count += 1;
        }
        (count > 0).then(|| sum / count as f64)
    }

    /// The likeliest parameters, by Newton's method with halved steps: the loss is
    /// convex in factor and bias. Without `bias` the factor alone.
    pub(super) fn fitted(
        &self,
        pixels: &[Pixel],
        of: impl Fn(&Pixel) -> bool + Copy,
        bias: bool,
    ) -> Self {
        let mut model = self.clone();
        let Some(mut loss) = model.loss(pixels, of) else {
            return model;
        };
        for _ in 0..ITERATIONS {
            let step = model.newton(pixels, of, bias);
            let mut length = 1.0;
            let mut better = None;
            while length > 1e-4 && better.is_none() {
                let moved = model.moved(&step, -length);
                let found = (moved.factor > 0.0)
                    .then(|| moved.loss(pixels, of))
                    .flatten();
                better = found
                    .filter(|found| *found < loss)
                    .map(|loss| (moved, loss));
                length /= 2.0;
            }
            let Some((moved, found)) = better else { break };
            let gain = loss - found;
            (model, loss) = (moved, found);
            if gain < 1e-9 {
                break;
            }
        }
        model
    }

    pub(super) fn moved(&self, step: &[f64], length: f64) -> Self {
        let mut model = self.clone();
        model.factor += length * step[0];
        for (bias, step) in model.bias.iter_mut().zip(&step[1..]) {
            *bias += length * step;
        }
        // Only differences of the biases matter; a class that is not known keeps its 0.
        let known = || model.known.iter().filter(|known| **known).count().max(1);
        let mean = model.bias.iter().sum::<f64>() / known() as f64;
        for (bias, known) in model.bias.iter_mut().zip(&model.known) {
            if *known {
                *bias -= mean;
            }
        }
        model
    }

    /// `H⁻¹ g` of factor and biases, `g` the gradient of the loss and `H` its Hessian, of
    /// labels that are sets the part of it that is never negative.
    pub(super) fn newton(
        &self,
        pixels: &[Pixel],
        of: impl Fn(&Pixel) -> bool,
        bias: bool,
    ) -> Vec<f64> {
        let size = 1 + if bias { self.bias.len() } else { 0 };
        let mut gradient = vec![0.0; size];
        let mut hessian = vec![vec![0.0; size]; size];
        let mut count = 0usize;
        for pixel in pixels.iter().filter(|pixel| of(pixel)) {
            let (p, _) = self.probabilities(pixel);
            let of_label = self.within(pixel);
            count += 1;
            // Classes without a score have no probability.
            let there = |class: usize| p[class] > 0.0;
            let score = |class: usize| {
                if there(class) {
                    pixel.scores[class]
                } else {
                    0.0
                }
            };
            let mean: f64 = (0..p.len()).map(|class| p[class] * score(class)).sum();
            let known: f64 = (0..p.len())
                .map(|class| of_label[class] * score(class))
                .sum();
            gradient[0] += mean - known;
            for class in 0..p.len() {
                let spread = score(class) - mean;
                hessian[0][0] += p[class] * spread * spread;
                if !bias {
                    continue;
                }
                gradient[1 + class] += p[class] - of_label[class];
                hessian[0][1 + class] += p[class] * spread;
                hessian[1 + class][0] += p[class] * spread;
                for other in 0..p.len() {
                    let own = if class == other { p[class] } else { 0.0 };
                    hessian[1 + class][1 + other] += own - p[class] * p[other];
                }
            }
        }
        // Biases are free up to a constant, and a class may be absent: a little of the
        // identity makes the solution unique.
        let ridge = 1e-6 * count.max(1) as f64;
        for (row, line) in hessian.iter_mut().enumerate() {
            line[row] += ridge;
        }
        let mut step = solve(hessian, gradient);
        step.resize(1 + self.bias.len(), 0.0);
        step
    }
}

/// The solution of `matrix x = values`, by elimination with the largest pivots.
fn solve(mut matrix: Vec<Vec<f64>>, mut values: Vec<f64>) -> Vec<f64> {
    let size = values.len();
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|a, b| {
                matrix[*a][column]
                    .abs()
                    .total_cmp(&matrix[*b][column].abs())
            })
            .unwrap_or(column);
        matrix.swap(column, pivot);
        values.swap(column, pivot);
        for row in column + 1..size {
            let factor = matrix[row][column] / matrix[column][column];
            let (above, below) = matrix.split_at_mut(row);
            for (value, pivot) in below[0][column..].iter_mut().zip(&above[column][column..]) {
                *value -= factor * pivot;
            }
            values[row] -= factor * values[column];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size)
            .map(|col| matrix[row][col] * values[col])
            .sum();
        values[row] = (values[row] - known) / matrix[row][row];
    }
    values
}

/// A label's code in a mask of labels.
fn code(label: Label) -> u8 {
    match label {
        Label::Class(class) => class as u8,
        Label::Either(bits) => SETS | bits,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Pixels whose labels follow the softmax of `0.5 · scores + bias` exactly in
    /// proportion: each score twice as far as it should be.
    pub(in crate::evaluate) fn overconfident(bias: [f64; 2]) -> Vec<Pixel> {
        let mut pixels = Vec::new();
        for step in -20..=20 {
            let score = f64::from(step) / 5.0;
            let margin = 0.5 * score + bias[0] - bias[1];
            let share = 1.0 / (1.0 + (-margin).exp());
            for copy in 0..200 {
                pixels.push(Pixel {
                    scores: vec![score, 0.0],
                    label: Label::Class(usize::from((f64::from(copy) + 0.5) / 200.0 > share)),
                    half: copy % 2 == 0,
                    unannotated: Arc::default(),
                });
            }
        }
        pixels
    }

    #[test]
    fn the_temperature_that_was_put_in_is_found() {
        let pixels = overconfident([0.0, 0.0]);
        let fitted = Scaling::identity(2).fitted(&pixels, |_| true, false);
        assert!((fitted.factor - 0.5).abs() < 0.01, "{fitted:?}");
        let pixels = overconfident([0.7, -0.1]);
        let fitted = Scaling::identity(2).fitted(&pixels, |_| true, true);
        assert!((fitted.factor - 0.5).abs() < 0.01, "{fitted:?}");
        assert!(
            (fitted.bias[0] - fitted.bias[1] - 0.8).abs() < 0.02,
            "{fitted:?}"
        );
    }

    #[test]
    fn a_class_that_was_not_annotated_is_left_out() {
        let mut pixels = overconfident([0.0, 0.0]);
        let unannotated: Arc<[usize]> = Arc::new([2]);
        for pixel in &mut pixels {
            pixel.scores.push(7.0);
            pixel.unannotated = unannotated.clone();
        }
        let fitted = Scaling::identity(3).fitted(&pixels, |_| true, true);
        assert!((fitted.factor - 0.5).abs() < 0.01, "{fitted:?}");
        assert!(fitted.loss(&pixels, |_| true).unwrap().is_finite());
        // What is predicted as it counts as clear, the first class.
        let iou = Scaling::identity(3).iou(&pixels, None);
        assert_eq!((iou[1], iou[2]), (Some(0.0), None));
    }

    /// Class 0 of two is split into two classes of half its probability, and labels say only
    /// that a pixel is of one of them: the same temperature and margin are found.
    #[test]
    fn labels_that_are_sets_teach_what_they_say() {
        let mut pixels = overconfident([0.7, -0.1]);
        for pixel in &mut pixels {
            // Twice as far as half of a probability of e^score.
            let first = pixel.scores[0];
            pixel.scores = vec![first, 0.0, first];
            if pixel.label == Label::Class(0) {
                pixel.label = Label::Either(0b101);
            }
        }
        let fitted = Scaling::identity(3).fitted(&pixels, |_| true, true);
        assert!((fitted.factor - 0.5).abs() < 0.01, "{fitted:?}");
        let margin = fitted.bias[0] + 2f64.ln() - fitted.bias[1];
        assert!((margin - 0.8).abs() < 0.02, "{fitted:?}");
        assert!((fitted.bias[0] - fitted.bias[2]).abs() < 1e-6, "{fitted:?}");
        // Two classes of one margin, so that each half has the loss of the two-class form.
        let plain = overconfident([0.7, -0.1]);
        let two = Scaling::identity(2).fitted(&plain, |_| true, true);
        let (two, three) = (two.loss(&plain, |_| true), fitted.loss(&pixels, |_| true));
        assert!((two.unwrap() - three.unwrap()).abs() < 1e-6);
    }

    #[test]
    fn a_pixel_is_of_a_group_where_label_and_sample_say_so() {
        let pixel = |label: Label, unannotated: &[usize]| Pixel {
            scores: vec![0.0; 4],
            label,
            half: false,
            unannotated: unannotated.into(),
        };
        let cloud = [1, 2];
        for (label, unannotated, expected) in [
            (Label::Class(2), &[][..], Some(true)),
            (Label::Class(0), &[3], Some(false)),
            (Label::Either(0b0110), &[], Some(true)),
            (Label::Either(0b1001), &[], Some(false)),
            (Label::Either(0b0011), &[], None),
            (Label::Class(0), &[2], None),
        ] {
            assert_eq!(
                pixel(label, unannotated).is_of(&cloud),
                expected,
                "{label:?}"
            );
        }
        assert_eq!(pixel(Label::Class(0), &[3]).is_of(&[3]), None);
    }

    #[test]
    fn a_threshold_is_about_the_probability_that_predictions_have() {
        // Cloud pixels of a sample without annotated shadow: its probability counts all the
        // same, since predictions have it. p(cloud) = 0.5 of each.
        let pixels: Vec<Pixel> = (0..200)
            .map(|index| Pixel {
                scores: vec![-30.0, 0.0, -30.0, 0.0],
                label: Label::Class(1),
                half: index % 2 == 0,
                unannotated: [3].into(),
            })
            .collect();
        let found = Scaling::identity(4).ranked(&pixels, &[1, 2]).reaching(0.9);
        let probability = found.unwrap().probability;
        assert!((probability - 0.5).abs() < 1e-5, "{probability}");
    }

    #[test]
    fn a_class_without_labels_gets_no_bias() {
        let mut pixels = overconfident([0.7, -0.1]);
        for pixel in &mut pixels {
            pixel.scores.push(-1.0);
        }
        let start = Scaling::of_classes_in(&pixels, 3);
        let bias = start.fitted(&pixels, |_| true, true).bias;
        assert!(
            (bias[0] - 0.4).abs() < 0.02 && (bias[1] + 0.4).abs() < 0.02,
            "{bias:?}"
        );
        assert_eq!(bias[2], 0.0);
    }
}
