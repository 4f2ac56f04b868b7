//! Loss and scores of a model over labelled samples.

use ndarray::{Array2, Array3};
use nephos_kernel::loss::Label;
use serde::Serialize;

use super::scorer::Scorer;
use crate::data::{Dataset, Example, possible_classes, set_possible_classes};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::metrics::{ConfusionMatrix, Reliability};
use crate::predict::{Decision, Model, Segmentation};
use crate::weights::Bundle;

/// What [`evaluate`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy over all labelled pixels, in nats; `None` without any.
    pub loss: Option<f64>,
    /// All labelled pixels.
    pub confusion: ConfusionMatrix,
    /// How often predictions of each confidence are right, over the same pixels.
    pub reliability: Reliability,
    /// Each sample, in the order of the data set.
    pub samples: Vec<SampleResult>,
}

/// The result on one sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleResult {
    /// Name in its container.
    pub name: String,
    /// Labelled pixels.
    pub pixels: u64,
    /// Mean cross-entropy over them, in nats.
    pub loss: Option<f64>,
    /// Mean IoU over the classes in truth or prediction.
    pub miou: Option<f64>,
    /// Share of them that is right.
    pub overall_accuracy: Option<f64>,
}

/// Runs a model over every sample of `dataset`; `progress` is called with each
/// result, and ends the evaluation with its error.
///
/// Pixels labelled 255, padding and pixels without data count nowhere; a class that is
/// not annotated in a sample is not scored in it ([`Dataset::unannotated`]). The loss
/// is plain cross-entropy, whatever the model was trained with.
///
/// # Errors
/// A sample that can't be read, has no label or other bands, or a label that is
/// no class of the model; what `progress` returns.
pub fn evaluate(
    bundle: &Bundle,
    dataset: &Dataset,
    device: &Device,
    mut progress: impl FnMut(&SampleResult) -> Result<()>,
) -> Result<Evaluation> {
    let config = &bundle.config.model;
    let model = Model::new(bundle.clone(), device)?;
    let decision = Decision::new(&bundle.config.calibration, config.classes);
    let mut confusion = ConfusionMatrix::new(config.classes);
    let mut reliability = Reliability::default();
    let mut samples = Vec::with_capacity(dataset.len());
    let mut total_loss = 0.0;
    for index in 0..dataset.len() {
        let example = dataset.get(index)?;
        let in_sample = |e: Error| match e {
            Error::Usage(message) => Error::format(
                dataset.path(),
                format!("sample {}: {message}", example.name),
            ),
            other => other,
        };
        check_labels(&example, config.classes).map_err(in_sample)?;
        let unannotated = dataset.unannotated(index);
        let mut label = example.label.clone();
        let possible = possible_classes(unannotated.clone(), label.view());
        set_possible_classes(label.view_mut(), &possible, config.classes);
        let mut scores = (model.class_scores(&example.image, &example.valid)).map_err(in_sample)?;
        decision.calibrate(&mut scores);
        let loss = cross_entropy(&scores, &label);
        let prediction = Segmentation::from_scores(scores, &example.valid, &decision);
        let scorer = Scorer::new(config.classes, &unannotated);
        let matrix = scorer.score(
            example.label.view(),
            prediction.classes.view(),
            Some((prediction.probabilities.view(), &mut reliability)),
        );
        let (pixels, scored) = (matrix.pixels(), matrix.scores());
        total_loss += loss;
        confusion.merge(&matrix);
        let result = SampleResult {
            name: example.name,
            pixels,
            loss: mean(loss, pixels),
            miou: scored.miou,
            overall_accuracy: scored.overall_accuracy,
        };
        progress(&result)?;
        samples.push(result);
    }
    Ok(Evaluation {
        loss: mean(total_loss, confusion.pixels()),
        confusion,
        reliability,
        samples,
    })
}

fn check_labels(example: &Example, classes: usize) -> Result<()> {
    let foreign =
        (example.label.iter()).find(|code| Label::of(**code).is_some_and(|l| l.last() >= classes));
    match foreign {
        None => Ok(()),
        Some(label) => Err(Error::usage(format!(
            "label {label} is none of the model's {classes} classes; map it in data.labels.map"
        ))),
    }
}

/// Sum over the labelled pixels of −ln of the softmax of `scores` that falls to what the
/// label allows, in f64.
fn cross_entropy(scores: &Array3<f32>, label: &Array2<u8>) -> f64 {
    let mut total = 0.0;
    for ((row, col), label) in label.indexed_iter() {
        let Some(label) = Label::of(*label) else {
            continue;
        };
        let pixel = scores.slice(ndarray::s![.., row, col]);
        let highest = pixel.fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let above = |score: f32| f64::from(score) - f64::from(highest);
        let sum: f64 = pixel.iter().map(|score| above(*score).exp()).sum();
        let members = pixel.iter().enumerate().filter(|(c, _)| label.has(*c));
        let members: Vec<f64> = members.map(|(_, score)| above(*score)).collect();
        let best = members.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let share: f64 = members.iter().map(|score| (score - best).exp()).sum();
        total += sum.ln() - (best + share.ln());
    }
    total
}

fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn cross_entropy_by_hand() {
        // Two pixels: scores (0, ln 3) and (1000, 0); the third is not labelled.
        let three = 3.0f32.ln();
        let scores = array![[[0.0, 1000.0, 5.0]], [[three, 0.0, 7.0]]];
        let loss = cross_entropy(&scores, &array![[1, 1, 255]]);
        assert!(
            (loss - ((4.0f64 / 3.0).ln() + 1000.0)).abs() < 1e-6,
            "{loss}"
        );
        assert_eq!(cross_entropy(&scores, &array![[255, 255, 255]]), 0.0);
    }

    #[test]
    fn probabilities_are_a_softmax_and_invalid_pixels_are_255() {
        let scores = array![[[0.0, 2.0, 9.0]], [[3.0f32.ln(), 2.0, 9.0]]];
        let valid = array![[true, true, false]];
        let prediction = Segmentation::from_scores(scores, &valid, &Decision::default());
        // A tie goes to the lower code.
        assert_eq!(prediction.classes, array![[1, 0, 255]]);
        let p = &prediction.probabilities;
        assert!((p[[1, 0, 0]] - 0.75).abs() < 1e-6);
        assert!((p[[0, 0, 1]] - 0.5).abs() < 1e-6);
        assert!(p[[0, 0, 2]].is_nan());
    }
}
