//! Calibration of a trained model on samples it has not seen.

use std::collections::BTreeMap;

use burn::tensor::Device;
use ndarray::ArrayView1;

use super::network::Network;
use crate::class::IGNORE;
use crate::config::{CalibrationConfig, ThresholdConfig};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::model::Bundle;

/// Pixels that are fitted on, at most: more change nothing that can be seen.
const MOST: usize = 400_000;

/// Steps of Newton's method; it converges in a few.
const ITERATIONS: usize = 40;

/// A wished-for recall of a group of classes.
#[derive(Debug, Clone, PartialEq)]
pub struct MinRecall {
    /// The classes, by code.
    pub classes: Vec<usize>,
    /// Share of their pixels that is to be found, in (0, 1).
    pub recall: f64,
}

/// What [`calibrate`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// For the model's configuration.
    pub config: CalibrationConfig,
    /// Mean cross-entropy of the pixels that were fitted on, before and after, in nats.
    pub loss: [f64; 2],
    /// Whether a bias for each class made samples that were left out likelier than a
    /// temperature alone did, so that it is in `config`.
    pub per_class: bool,
    /// Pixels that were fitted on.
    pub pixels: usize,
}

/// A labelled pixel.
#[derive(Debug, Clone)]
pub(crate) struct Pixel {
    /// Scores of the classes; of those that were not drawn in its sample −∞.
    scores: Vec<f64>,
    class: usize,
    /// The half of the samples it is of.
    half: bool,
}

/// Fits temperature and, where it helps, a bias for each class on `dataset`, by
/// likelihood; then, where a recall is wished for, the highest threshold that reaches it.
///
/// A bias is kept if each half of the samples, scored by what the other half teaches, has
/// a lower loss with it. In a sample in which a class was not drawn, that class is left
/// out of the likelihood. Pixels are taken evenly over all samples, at most 400 000.
///
/// # Errors
/// A sample that can't be read, labels that are no class of the model, too few labelled
/// pixels, or a recall of classes that are not there.
pub fn calibrate(
    bundle: &Bundle,
    dataset: &Dataset,
    device: &Device,
    wish: Option<&MinRecall>,
    mut progress: impl FnMut(&str),
) -> Result<Fit> {
    let classes = bundle.config.model.classes;
    let pixels = labelled_pixels(bundle, dataset, device, MOST, &mut progress)?;
    if pixels.len() < 100 {
        let message = format!(
            "{} labelled pixels are too few to calibrate on",
            pixels.len()
        );
        return Err(Error::format(dataset.path(), message));
    }
    let every = |_: &Pixel| true;
    let plain = Model::identity(classes);
    let half = |side: bool| move |pixel: &Pixel| pixel.half == side;
    let per_class = [false, true].into_iter().all(|side| {
        let taught = |bias| plain.fitted(&pixels, half(side), bias);
        let held = |model: Model| model.loss(&pixels, half(!side));
        match (held(taught(true)), held(taught(false))) {
            (Some(with), Some(without)) => with < without,
            _ => false,
        }
    });
    let fitted = plain.fitted(&pixels, every, per_class);
    let loss = |model: &Model| model.loss(&pixels, every).unwrap_or(f64::NAN);
    let mut config = CalibrationConfig {
        temperature: 1.0 / fitted.factor,
        bias: if per_class {
            fitted.bias.clone()
        } else {
            Vec::new()
        },
        threshold: None,
    };
    if let Some(wish) = wish {
        config.threshold = Some(threshold(&fitted, &pixels, wish, dataset)?);
    }
    Ok(Fit {
        config,
        loss: [loss(&plain), loss(&fitted)],
        per_class,
        pixels: pixels.len(),
    })
}

/// The temperature that makes pixels likeliest.
pub(crate) fn temperature(pixels: &[Pixel]) -> f64 {
    let classes = pixels.first().map_or(0, |pixel| pixel.scores.len());
    1.0 / Model::identity(classes)
        .fitted(pixels, |_| true, false)
        .factor
}

/// Labelled pixels with their scores, evenly over all samples, about `most`.
pub(crate) fn labelled_pixels(
    bundle: &Bundle,
    dataset: &Dataset,
    device: &Device,
    most: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Pixel>> {
    let (model, labels) = (&bundle.config.model, &bundle.config.data.labels);
    let network = Network::new(bundle.segmenter.clone(), device);
    let room = most.div_ceil(dataset.len().max(1));
    let mut pixels = Vec::new();
    for index in 0..dataset.len() {
        let example = dataset.get(index)?;
        let scores = network.class_scores(model, &example.image, &example.valid)?;
        let undrawn = labels.undrawn(&example.name);
        let labelled: Vec<_> = (example.label.indexed_iter())
            .filter(|(_, label)| **label != IGNORE)
            .collect();
        let step = labelled.len().div_ceil(room).max(1);
        for ((row, col), label) in labelled.into_iter().step_by(step) {
            let class = usize::from(*label);
            if class >= model.classes {
                return Err(Error::format(
                    dataset.path(),
                    format!(
                        "sample {}: label {class} is no class of the model",
                        example.name
                    ),
                ));
            }
            let of_pixel: ArrayView1<'_, f32> = scores.slice(ndarray::s![.., row, col]);
            let score = |(code, score): (usize, &f32)| match undrawn.contains(&code) {
                true if code != class => f64::NEG_INFINITY,
                _ => f64::from(*score),
            };
            pixels.push(Pixel {
                scores: of_pixel.iter().enumerate().map(score).collect(),
                class,
                half: index % 2 == 1,
            });
        }
        progress(&example.name);
    }
    Ok(pixels)
}

/// Probabilities are the softmax of `factor · scores + bias`.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    factor: f64,
    bias: Vec<f64>,
}

impl Model {
    fn identity(classes: usize) -> Self {
        Self {
            factor: 1.0,
            bias: vec![0.0; classes],
        }
    }

    /// Probabilities of a pixel, and the logarithm of that of its class.
    fn probabilities(&self, pixel: &Pixel) -> (Vec<f64>, f64) {
        let mut p: Vec<f64> = (pixel.scores.iter().zip(&self.bias))
            .map(|(score, bias)| self.factor * score + bias)
            .collect();
        let highest = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let own = p[pixel.class] - highest;
        p.iter_mut().for_each(|p| *p = (*p - highest).exp());
        let sum: f64 = p.iter().sum();
        p.iter_mut().for_each(|p| *p /= sum);
        (p, own - sum.ln())
    }

    /// Mean cross-entropy; `None` without pixels.
    fn loss(&self, pixels: &[Pixel], of: impl Fn(&Pixel) -> bool) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0usize);
        for pixel in pixels.iter().filter(|pixel| of(pixel)) {
            sum -= self.probabilities(pixel).1;
            count += 1;
        }
        (count > 0).then(|| sum / count as f64)
    }

    /// The likeliest parameters, by Newton's method with halved steps: the loss is
    /// convex in factor and bias. Without `bias` the factor alone.
    fn fitted(&self, pixels: &[Pixel], of: impl Fn(&Pixel) -> bool + Copy, bias: bool) -> Self {
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

    fn moved(&self, step: &[f64], length: f64) -> Self {
        let mut model = self.clone();
        model.factor += length * step[0];
        for (bias, step) in model.bias.iter_mut().zip(&step[1..]) {
            *bias += length * step;
        }
        // Only differences of the biases matter.
        let mean = model.bias.iter().sum::<f64>() / model.bias.len().max(1) as f64;
        model.bias.iter_mut().for_each(|bias| *bias -= mean);
        model
    }

    /// `H⁻¹ g` of factor and biases, `H` the Hessian of the loss and `g` its gradient.
    fn newton(&self, pixels: &[Pixel], of: impl Fn(&Pixel) -> bool, bias: bool) -> Vec<f64> {
        let size = 1 + if bias { self.bias.len() } else { 0 };
        let mut gradient = vec![0.0; size];
        let mut hessian = vec![vec![0.0; size]; size];
        let mut count = 0usize;
        for pixel in pixels.iter().filter(|pixel| of(pixel)) {
            let (p, _) = self.probabilities(pixel);
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
            gradient[0] += mean - pixel.scores[pixel.class];
            for class in 0..p.len() {
                let spread = score(class) - mean;
                hessian[0][0] += p[class] * spread * spread;
                if !bias {
                    continue;
                }
                gradient[1 + class] += p[class] - f64::from(u8::from(class == pixel.class));
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

/// The highest threshold with the wished-for recall.
fn threshold(
    model: &Model,
    pixels: &[Pixel],
    wish: &MinRecall,
    dataset: &Dataset,
) -> Result<ThresholdConfig> {
    let inside = |class: usize| wish.classes.contains(&class);
    let mut found: Vec<f64> = (pixels.iter())
        .filter(|pixel| inside(pixel.class))
        .map(|pixel| {
            let (p, _) = model.probabilities(pixel);
            p.iter()
                .enumerate()
                .filter(|(class, _)| inside(*class))
                .map(|(_, p)| p)
                .sum()
        })
        .collect();
    if found.is_empty() {
        return Err(Error::format(
            dataset.path(),
            "no pixel is labelled as the class whose recall is wished for",
        ));
    }
    found.sort_by(|a, b| b.total_cmp(a));
    // So many of the likeliest must be found; a little less than the last one's
    // probability finds it in f32 too.
    let needed = ((wish.recall * found.len() as f64).ceil() as usize).clamp(1, found.len());
    let probability = (found[needed - 1] * (1.0 - 1e-6)).clamp(1e-6, 1.0 - 1e-6);
    Ok(ThresholdConfig {
        classes: wish.classes.clone(),
        probability,
    })
}

/// The classes that a name stands for: `cloud` for thick and thin cloud, else one class
/// as [`names`](crate::report::names) has it, with `-` or `_` for a blank.
///
/// # Errors
/// A name of no class.
pub fn class_group(name: &str, classes: usize) -> Result<Vec<usize>> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], " ");
    let names = crate::report::names(classes);
    let mut groups: BTreeMap<String, Vec<usize>> = (names.iter().enumerate())
        .map(|(code, name)| (plain(name), vec![code]))
        .collect();
    if classes == crate::class::CLASS_COUNT {
        groups.insert("cloud".to_owned(), vec![1, 2]);
    }
    let known: Vec<String> = groups.keys().map(|name| name.replace(' ', "-")).collect();
    groups.remove(&plain(name)).ok_or_else(|| {
        Error::usage(format!(
            "`{name}` is no class; there are {}",
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels whose labels follow the softmax of `0.5 · scores + bias` exactly in
    /// proportion: each score twice as far as it should be.
    fn overconfident(bias: [f64; 2]) -> Vec<Pixel> {
        let mut pixels = Vec::new();
        for step in -20..=20 {
            let score = f64::from(step) / 5.0;
            let margin = 0.5 * score + bias[0] - bias[1];
            let share = 1.0 / (1.0 + (-margin).exp());
            for copy in 0..200 {
                pixels.push(Pixel {
                    scores: vec![score, 0.0],
                    class: usize::from((f64::from(copy) + 0.5) / 200.0 > share),
                    half: copy % 2 == 0,
                });
            }
        }
        pixels
    }

    #[test]
    fn the_temperature_that_was_put_in_is_found() {
        let pixels = overconfident([0.0, 0.0]);
        let fitted = Model::identity(2).fitted(&pixels, |_| true, false);
        assert!((fitted.factor - 0.5).abs() < 0.01, "{fitted:?}");
        let pixels = overconfident([0.7, -0.1]);
        let fitted = Model::identity(2).fitted(&pixels, |_| true, true);
        assert!((fitted.factor - 0.5).abs() < 0.01, "{fitted:?}");
        assert!(
            (fitted.bias[0] - fitted.bias[1] - 0.8).abs() < 0.02,
            "{fitted:?}"
        );
    }

    #[test]
    fn a_class_that_was_not_drawn_is_left_out() {
        let mut pixels = overconfident([0.0, 0.0]);
        for pixel in &mut pixels {
            pixel.scores.push(f64::NEG_INFINITY);
        }
        let fitted = Model::identity(3).fitted(&pixels, |_| true, true);
        assert!((fitted.factor - 0.5).abs() < 0.01, "{fitted:?}");
        assert!(fitted.loss(&pixels, |_| true).unwrap().is_finite());
    }

    #[test]
    fn names_of_classes_and_of_cloud() {
        assert_eq!(class_group("cloud", 4).unwrap(), [1, 2]);
        assert_eq!(class_group("thin-cloud", 4).unwrap(), [2]);
        let error = class_group("snow", 4).unwrap_err().to_string();
        assert!(error.contains("thick-cloud"), "{error}");
    }
}
