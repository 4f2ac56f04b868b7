//! Loss and scores of a network on a data set.

use std::time::Instant;

use nephos_kernel::loss::Label;

use super::observer::{BatchReport, TrainObserver};
use crate::config::{Config, ModelConfig};
use crate::data::{Batch, Dataset, Loader, possible_classes, set_possible_classes};
use crate::error::{Error, Result};
use crate::loss::{Codes, batch_weight, objective};
use crate::metrics::ConfusionMatrix;
use crate::network::Forward;

/// What a network scores on a data set.
#[derive(Debug, Clone)]
pub struct Validation {
    /// Mean loss over all labelled pixels.
    pub loss: f64,
    /// All labelled pixels, truth against prediction.
    pub confusion: ConfusionMatrix,
}

/// Runs `network` over `dataset`; `None` when the
/// observer stopped it. `step` is only passed on to the observer.
///
/// # Errors
/// A sample that can't be read or does not fit the network, no labelled pixel at
/// all, or a loss that is not a number.
pub fn validate(
    network: &(impl Forward + ?Sized),
    dataset: &Dataset,
    config: &Config,
    step: usize,
    observer: &mut dyn TrainObserver,
) -> Result<Option<Validation>> {
    let classes = config.model.classes;
    let objective = objective(&config.loss);
    let mut confusion = ConfusionMatrix::new(classes);
    let (mut sum, mut weight, mut images_done) = (0.0, 0.0, 0);
    let started = Instant::now();
    let order = (0..dataset.len()).collect();
    let train = &config.train;
    for batch in Loader::start(dataset, order, train.batch_size, train.prefetch)? {
        if observer.should_stop() {
            return Ok(None);
        }
        let mut batch = batch?;
        check(&batch, &config.model)?;
        images_done += batch.len();
        let truth: Vec<u8> = batch.labels.iter().copied().collect();
        // Batches come in the order of the data set.
        let unannotated: Vec<Vec<usize>> = (images_done - batch.len()..images_done)
            .map(|index| dataset.unannotated(index))
            .collect();
        for (label, unannotated) in batch.labels.outer_iter_mut().zip(&unannotated) {
            let possible = possible_classes(unannotated.clone(), label.view());
            set_possible_classes(label, &possible, classes);
        }
        let batch_weight = batch_weight(&config.loss, classes, &batch.class_counts(classes));
        let Batch {
            images,
            labels,
            names,
        } = batch;
        let (_, height, width) = labels.dim();
        let scores = network.forward(images)?; // [B, classes, H, W]
        let scores = scores.as_standard_layout();
        let scores = scores.as_slice().unwrap_or_default();
        let mut predicted = vec![0; labels.len()];
        let codes = Codes::of(&labels);
        let target = codes.target(scores, classes, [height, width], false);
        let batch_loss = objective
            .evaluate_and_classify(&target, &mut predicted)
            .loss;
        let pixels = truth.len() / names.len().max(1);
        let samples = truth.chunks(pixels).zip(predicted.chunks(pixels));
        for ((truth, predicted), unannotated) in samples.zip(&unannotated) {
            confusion.add_sample(truth, predicted, unannotated);
        }
        if batch_weight > 0.0 {
            sum += batch_loss * batch_weight;
            weight += batch_weight;
        }
        observer.validation_batch(&BatchReport {
            step,
            images_done,
            loss: batch_loss,
            mean_loss: if weight > 0.0 { sum / weight } else { 0.0 },
            images_per_second: images_done as f64 / started.elapsed().as_secs_f64().max(1e-9),
            lr: 0.0,
        });
    }
    let loss = sum / weight;
    if weight == 0.0 {
        return Err(Error::format(
            dataset.path(),
            "no pixel is labelled: there is nothing to validate on",
        ));
    }
    if !loss.is_finite() {
        return Err(Error::usage(format!(
            "the validation loss is {loss} at step {step}: try a smaller train.optimizer.lr \
             or train.clip_norm"
        )));
    }
    Ok(Some(Validation { loss, confusion }))
}

/// Checks that a batch fits the network.
///
/// # Errors
/// A class the network lacks, or an image smaller than one patch; the sample is
/// named.
pub(super) fn check(batch: &Batch, model: &ModelConfig) -> Result<()> {
    let name = |index: usize| batch.names.get(index).map_or("?", String::as_str);
    let (_, _, height, width) = batch.images.dim();
    if model.grid(height, width).is_none() {
        return Err(Error::usage(format!(
            "sample {} is {height}×{width} pixels, smaller than one patch of {} (model.patch.size)",
            name(0),
            model.patch.size
        )));
    }
    let unknown = batch
        .labels
        .indexed_iter()
        .find(|(_, label)| Label::of(**label).is_some_and(|label| label.last() >= model.classes));
    match unknown {
        Some(((index, _, _), label)) => Err(Error::usage(format!(
            "sample {} has class {label}, but model.classes is {}; map it in data.labels.map",
            name(index),
            model.classes
        ))),
        None => Ok(()),
    }
}
