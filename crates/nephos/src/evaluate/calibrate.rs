//! Calibration of a trained model on samples it was not trained on.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::ArrayView1;
use nephos_kernel::loss::{Label, SETS};

use super::recall::{Ranked, curves};
use crate::class::IGNORE;
use crate::config::{CalibrationConfig, ThresholdConfig};
use crate::data::Dataset;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::metrics::{ConfusionMatrix, names};
use crate::predict::{Decision, Model};
use crate::text;
use crate::weights::Bundle;

/// Pixels that are fitted on, at most: more do not change the result noticeably.
const MOST: usize = 400_000;

/// Steps of Newton's method; it converges in a few.
const ITERATIONS: usize = 40;

/// A bias that costs a class at most so much IoU is left out: what is likeliest is not always
/// what overlaps best. One that costs more means that labels and model disagree about what
/// the class is, and the fit is refused.
const MOST_LOST: f64 = 0.1;

/// Temperatures that a fit may end with.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.1..=10.0;

/// A target recall of a group of classes.
#[derive(Debug, Clone, PartialEq)]
pub struct MinRecall {
    /// The classes, by code.
    pub classes: Vec<usize>,
    /// Share of their pixels that is to be found, in (0, 1).
    pub recall: f64,
}

/// How a calibration is fitted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fitting {
    /// Whether a temperature alone is fitted, which leaves the classes as they are.
    pub temperature_only: bool,
    /// A recall that a threshold is to reach.
    pub min_recall: Option<MinRecall>,
}

/// What [`calibrate`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// For the model's configuration.
    pub config: CalibrationConfig,
    /// Mean cross-entropy of the pixels that were fitted on, before and after, in nats.
    pub loss: [f64; 2],
    /// Why there is no bias for each class; `None` where there is one.
    pub no_bias: Option<String>,
    /// Pixels that were fitted on.
    pub pixels: usize,
    /// IoU of each class over them before and after, the threshold included; `None` for a
    /// class that is neither labelled nor predicted.
    pub iou: Vec<[Option<f64>; 2]>,
}

/// A labelled pixel.
#[derive(Debug, Clone)]
pub(crate) struct Pixel {
    /// Scores of the classes.
    scores: Vec<f64>,
    label: Label,
    /// The half of the samples it is of.
    half: bool,
    /// The classes that were not annotated in its sample.
    unannotated: Arc<[usize]>,
}

impl Pixel {
    /// Whether it may be of `class`, as far as its sample was annotated.
    fn may_be(&self, class: usize) -> bool {
        self.label.has(class) || !self.unannotated.contains(&class)
    }

    /// Whether it is of one of `classes`; `None` where its label and its sample leave that
    /// open.
    fn is_of(&self, classes: &[usize]) -> Option<bool> {
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

/// Fits temperature and, where it helps, a bias for each class on `dataset`, by
/// likelihood; then, where a recall is requested, the highest threshold that reaches it.
///
/// A bias is accepted if each half of the samples, scored by the fit of the other half, has
/// a lower loss with it, and if it makes no class's IoU worse. In a sample in which a class
/// was not annotated, that class is left out of the likelihood; a class that no pixel is
/// labelled as is left out everywhere, and gets no bias. Pixels are taken evenly over all
/// samples, at most 400 000.
///
/// # Errors
/// A sample that can't be read, labels that are no class of the model, too few labelled
/// pixels, a recall of classes that are not there, or a fit that shows that labels and
/// model don't mean the same: a bias beyond [`CalibrationConfig::MOST_BIAS`], one that costs
/// a class more than 0.1 of IoU, or a temperature outside 0.1 to 10. The message
/// names the class and the figures.
pub fn calibrate(
    bundle: &Bundle,
    dataset: &Dataset,
    device: &Device,
    fitting: &Fitting,
    mut progress: impl FnMut(&str),
) -> Result<Fit> {
    let classes = bundle.config.model.classes;
    let pixels = labelled_pixels(bundle, dataset, device, MOST, &mut progress)?;
    if pixels.len() < 100 {
        let message = format!(
            "{} too few to calibrate on",
            match pixels.len() {
                1 => "1 labelled pixel is".to_owned(),
                number => format!("{} are", text::count(number, "labelled pixel")),
            }
        );
        return Err(Error::format(dataset.path(), message));
    }
    let refused = |message: String| Error::format(dataset.path(), message);
    let before = Scaling::given(&bundle.config.calibration, classes);
    let Chosen { model, no_bias } =
        choose(&pixels, classes, &before, fitting.temperature_only).map_err(refused)?;
    let every = |_: &Pixel| true;
    let loss = |model: &Scaling| model.loss(&pixels, every).unwrap_or(f64::NAN);
    let mut config = CalibrationConfig {
        temperature: 1.0 / model.factor,
        bias: match &no_bias {
            None => model.bias.clone(),
            Some(_) => Vec::new(),
        },
        threshold: None,
        curves: curves(classes, |group| model.ranked(&pixels, group)),
    };
    if let Some(target) = &fitting.min_recall {
        let found = model
            .ranked(&pixels, &target.classes)
            .reaching(target.recall);
        let found = found.ok_or_else(|| {
            refused(
                "no pixel is labelled as the class of the requested recall \
                 (`options.min_recall`)"
                    .to_owned(),
            )
        })?;
        config.threshold = Some(ThresholdConfig {
            classes: target.classes.clone(),
            probability: found.probability,
            recall: Some(found.recall),
            by_user: false,
        });
    }
    let decided = |config: &CalibrationConfig| {
        let model = Scaling::given(config, classes);
        model.iou(&pixels, config.threshold.as_ref())
    };
    let iou = (decided(&bundle.config.calibration).into_iter())
        .zip(decided(&config))
        .map(|(before, after)| [before, after])
        .collect();
    Ok(Fit {
        loss: [loss(&Scaling::identity(classes)), loss(&model)],
        config,
        no_bias,
        pixels: pixels.len(),
        iou,
    })
}

/// The accepted fit.
struct Chosen {
    model: Scaling,
    /// See [`Fit::no_bias`].
    no_bias: Option<String>,
}

/// Fits on `pixels` of a model that decides as `before` does.
///
/// # Errors
/// In words, why every fit is rejected.
fn choose(
    pixels: &[Pixel],
    classes: usize,
    before: &Scaling,
    temperature_only: bool,
) -> std::result::Result<Chosen, String> {
    let every = |_: &Pixel| true;
    let start = Scaling::of_classes_in(pixels, classes);
    let half = |side: bool| move |pixel: &Pixel| pixel.half == side;
    let helps = || {
        [false, true].into_iter().all(|side| {
            let taught = |bias| start.fitted(pixels, half(side), bias);
            let held = |model: Scaling| model.loss(pixels, half(!side));
            match (held(taught(true)), held(taught(false))) {
                (Some(with), Some(without)) => with < without,
                _ => false,
            }
        })
    };
    let alone = |why: String| {
        let model = start.fitted(pixels, every, false).of_all_classes();
        check_temperature(&model)?;
        // Only a model that carries a bias already can lose by that.
        if let Some((class, before, after)) = worst(before, &model, pixels) {
            return Err(format!(
                "calibration refused: without the bias that the model carries the IoU of {} on \
                 these samples goes from {before:.4} to {after:.4}",
                names(classes)[class]
            ));
        }
        Ok(Chosen {
            model,
            no_bias: Some(why),
        })
    };
    if temperature_only {
        return alone("a temperature alone was asked for".to_owned());
    }
    if !helps() {
        return alone("a bias for each class did not help".to_owned());
    }
    let model = start.fitted(pixels, every, true).of_all_classes();
    check_temperature(&model)?;
    let names = names(classes);
    if let Some((class, bias)) = (model.bias.iter().enumerate())
        .find(|(_, bias)| bias.abs() > CalibrationConfig::MOST_BIAS || bias.is_nan())
    {
        return Err(disagreement(&format!(
            "the likeliest bias of {} is {bias:.2}, and at most ±{} is allowed ({} of {} labelled \
             as it)",
            names[class],
            CalibrationConfig::MOST_BIAS,
            pixels.iter().filter(|pixel| pixel.label.has(class)).count(),
            text::count(pixels.len(), "pixel"),
        )));
    }
    match worst(before, &model, pixels) {
        Some((class, before, after)) => {
            let reason = format!(
                "a bias for each class would take the IoU of {} on these samples from {before:.4} \
                 to {after:.4}",
                names[class]
            );
            match before - after > MOST_LOST {
                true => Err(disagreement(&reason)),
                false => alone(reason),
            }
        }
        None => Ok(Chosen {
            model,
            no_bias: None,
        }),
    }
}

/// The class whose IoU over `pixels` `after` makes worst against `before`, with both; `None`
/// where it makes none worse.
fn worst(before: &Scaling, after: &Scaling, pixels: &[Pixel]) -> Option<(usize, f64, f64)> {
    let after = after.iou(pixels, None);
    (before.iou(pixels, None).into_iter().zip(after).enumerate())
        .filter_map(|(class, (before, after))| Some((class, before?, after?)))
        .filter(|(_, before, after)| after < before)
        .max_by(|a, b| (a.1 - a.2).total_cmp(&(b.1 - b.2)))
}

/// The message of a fit that is refused because of `what`.
fn disagreement(what: &str) -> String {
    format!(
        "calibration refused: {what}. Labels and model don't mean the same by it; is the class \
         annotated in all of these samples (else data.labels.annotated_in names those in which it \
         is)? `options.temperature_only` fits a temperature alone, which leaves the classes as \
         they are"
    )
}

fn check_temperature(model: &Scaling) -> std::result::Result<(), String> {
    let temperature = 1.0 / model.factor;
    match TEMPERATURES.contains(&temperature) {
        true => Ok(()),
        false => Err(format!(
            "calibration refused: the likeliest temperature is {temperature:.3}, and {} to {} are \
             allowed: {}",
            TEMPERATURES.start(),
            TEMPERATURES.end(),
            match temperature < 1.0 {
                true => "the labels follow the model as if it had made them",
                false => "the model's scores are unrelated to these labels",
            }
        )),
    }
}

/// The temperature that makes pixels likeliest.
pub(crate) fn temperature(pixels: &[Pixel]) -> f64 {
    let classes = pixels.first().map_or(0, |pixel| pixel.scores.len());
    1.0 / Scaling::identity(classes)
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
    let model = &bundle.config.model;
    let predictor = Model::new(bundle.clone(), device)?;
    let per_sample = most.div_ceil(dataset.len().max(1));
    let mut pixels = Vec::new();
    for index in 0..dataset.len() {
        let example = dataset.get(index)?;
        let scores = predictor.class_scores(&example.image, &example.valid)?;
        let unannotated: Arc<[usize]> = dataset.unannotated(index).into();
        let labelled: Vec<_> = (example.label.indexed_iter())
            .filter(|(_, label)| **label != IGNORE)
            .collect();
        let step = labelled.len().div_ceil(per_sample).max(1);
        for ((row, col), label) in labelled.into_iter().step_by(step) {
            let Some(label) = Label::of(*label) else {
                continue;
            };
            let class = label.last();
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
            pixels.push(Pixel {
                scores: of_pixel.iter().copied().map(f64::from).collect(),
                label,
                half: index % 2 == 1,
                unannotated: unannotated.clone(),
            });
        }
        progress(&example.name);
    }
    Ok(pixels)
}

/// Probabilities are the softmax of `factor · scores + bias`.
#[derive(Debug, Clone, PartialEq)]
struct Scaling {
    factor: f64,
    bias: Vec<f64>,
    /// Whether each class may be predicted; the others have no probability.
    known: Vec<bool>,
}

impl Scaling {
    fn identity(classes: usize) -> Self {
        Self {
            factor: 1.0,
            bias: vec![0.0; classes],
            known: vec![true; classes],
        }
    }

    /// The model's own calibration.
    fn given(config: &CalibrationConfig, classes: usize) -> Self {
        let bias = |class| config.bias.get(class).copied().unwrap_or(0.0);
        Self {
            factor: 1.0 / config.temperature,
            bias: (0..classes).map(bias).collect(),
            ..Self::identity(classes)
        }
    }

    /// A start for a fit on `pixels`: of the classes that they are labelled as. Of others
    /// nothing can be learnt but that they are not there.
    fn of_classes_in(pixels: &[Pixel], classes: usize) -> Self {
        let labelled = |class| pixels.iter().any(|pixel| pixel.label.has(class));
        Self {
            known: (0..classes).map(labelled).collect(),
            ..Self::identity(classes)
        }
    }

    fn of_all_classes(mut self) -> Self {
        self.known.fill(true);
        self
    }

    /// IoU of each class over `pixels`, as [`evaluate`](super::evaluate) counts: what is
    /// predicted as a class that was not annotated counts as clear.
    fn iou(&self, pixels: &[Pixel], threshold: Option<&ThresholdConfig>) -> Vec<Option<f64>> {
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
    fn predict(&self, pixel: &Pixel, decision: &Decision) -> u8 {
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
    fn ranked(&self, pixels: &[Pixel], group: &[usize]) -> Ranked {
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
    fn probabilities(&self, pixel: &Pixel) -> (Vec<f64>, f64) {
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
    fn within(&self, pixel: &Pixel) -> Vec<f64> {
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
    fn newton(&self, pixels: &[Pixel], of: impl Fn(&Pixel) -> bool, bias: bool) -> Vec<f64> {
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

/// The classes that a name means: `cloud` for thick and thin cloud, else one class
/// as [`names`](crate::metrics::names) has it, with `-` or `_` for a blank.
///
/// # Errors
/// A name of no class.
pub fn class_group(name: &str, classes: usize) -> Result<Vec<usize>> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], " ");
    let names = names(classes);
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

    #[test]
    fn a_bias_that_makes_a_class_worse_is_left_out() {
        // Half of the likeliest bias goes against class 1, which is found less: by hand its
        // IoU goes from 0.478 to 0.421.
        let pixels = overconfident([0.7, -0.1]);
        let plain = Scaling::identity(2);
        let chosen = choose(&pixels, 2, &plain, false).unwrap();
        let why = chosen.no_bias.unwrap();
        assert!(
            why.contains("the IoU of class 1 on these samples from 0.4"),
            "{why}"
        );
        assert_eq!(chosen.model.bias, [0.0, 0.0]);
        assert_eq!(chosen.model.iou(&pixels, None), plain.iou(&pixels, None));
    }

    #[test]
    fn a_bias_beyond_the_bound_is_refused_by_name() {
        // The third class is right wherever the model is all but sure that it is not.
        let mut pixels = overconfident([0.0, 0.0]);
        for (index, pixel) in pixels.iter_mut().enumerate() {
            pixel.scores.push(-16.0);
            if index % 21 == 0 {
                pixel.label = Label::Class(2);
            }
        }
        let Err(error) = choose(&pixels, 3, &Scaling::identity(3), false) else {
            panic!("a bias of some 10 was accepted");
        };
        assert!(
            error.contains("bias of class 2 is") && error.contains("±3"),
            "{error}"
        );
        assert!(error.contains("`options.temperature_only`"), "{error}");
    }

    #[test]
    fn a_temperature_without_sense_is_refused() {
        let plain = Scaling::identity(2);
        let refused = |pixels: &[Pixel]| match choose(pixels, 2, &plain, true) {
            Err(error) => error,
            Ok(chosen) => panic!("{:?}", chosen.model),
        };
        // Labels by a coin, and those of the model itself.
        let mut pixels = overconfident([0.0, 0.0]);
        for (index, pixel) in pixels.iter_mut().enumerate() {
            pixel.label = Label::Class(index / 2 % 2);
        }
        assert!(refused(&pixels).contains("unrelated to these labels"));
        for pixel in &mut pixels {
            pixel.label = Label::Class(usize::from(pixel.scores[0] < 0.0));
        }
        assert!(refused(&pixels).contains("as if it had made them"));
    }

    /// Pixels of three classes: the rarer third is likelier than the model says nowhere, and
    /// a bias that lowers it makes all likelier and loses it.
    fn rare(shown: u32) -> Vec<Pixel> {
        let mut pixels = Vec::new();
        for copy in 0..2000u32 {
            let class = match copy % 100 {
                place if place < shown => 2,
                90.. => ((copy + 1) % 2) as usize,
                _ => (copy % 2) as usize,
            };
            let mut scores = vec![0.0, 0.0, 0.0];
            scores[(copy % 2) as usize] = 2.0;
            // Said of a fifth of all pixels, which hold all that are of it.
            if copy % 100 < 20 {
                scores[2] = 2.2;
            }
            pixels.push(Pixel {
                scores,
                label: Label::Class(class),
                half: copy % 4 < 2,
                unannotated: Arc::default(),
            });
        }
        pixels
    }

    #[test]
    fn a_bias_that_loses_a_class_is_refused_with_its_figures() {
        let pixels = rare(8);
        let plain = Scaling::identity(3);
        let before = plain.iou(&pixels, None)[2].unwrap();
        assert!((before - 0.4).abs() < 1e-9, "{before}");
        let Err(error) = choose(&pixels, 3, &plain, false) else {
            panic!("a bias that loses class 2 was accepted");
        };
        assert!(
            error.contains("the IoU of class 2 on these samples from 0.4000 to 0.0000"),
            "{error}"
        );
        // A temperature leaves the classes as they are.
        let alone = choose(&pixels, 3, &plain, true).unwrap();
        assert_eq!(alone.model.iou(&pixels, None)[2], Some(before));
    }

    #[test]
    fn names_of_classes_and_of_cloud() {
        assert_eq!(class_group("cloud", 4).unwrap(), [1, 2]);
        assert_eq!(class_group("thin-cloud", 4).unwrap(), [2]);
        let error = class_group("snow", 4).unwrap_err().to_string();
        assert!(error.contains("thick-cloud"), "{error}");
    }
}
