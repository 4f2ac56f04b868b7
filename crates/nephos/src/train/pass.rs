//! Loss and gradients of a batch.

use nephos_kernel::dropout::mix;

use super::trainer::Run;
use super::validate::check;
use crate::data::Batch;
use crate::error::Result;
use crate::loss::batch_weight;
use crate::network::{BatchLoss, Target, TrainingBatch};

/// The loss of a batch; the learner holds its gradients.
pub(super) struct Forward {
    pub loss: f64,
    pub weight: f64,
    /// The loss of each sample, NaN where none is labelled; empty unless they decide
    /// which samples are drawn.
    pub each: Vec<f64>,
}

impl Run {
    /// Loss and gradients of one batch, the loss times `scale`.
    pub(super) fn forward(&mut self, batch: Batch, part: usize, scale: f64) -> Result<Forward> {
        check(&batch, &self.config.model)?;
        let seed = dropout_seed(self.config.seed, self.state.step, part);
        let each = self.config.data.sampling.difficulty > 0.0;
        let classes = self.config.model.classes;
        let counted = batch.class_counts(classes);
        let Batch { images, labels, .. } = batch;
        let (weight, result) = match &self.masking {
            None => {
                let batch = TrainingBatch {
                    images,
                    target: Target::Labels(&labels),
                    scale,
                    seed,
                    each,
                };
                let weight = batch_weight(&self.config.loss, classes, &counted);
                (weight, self.learner.accumulate(batch)?)
            }
            Some(masking) => {
                let mut masked = masking.mask(images, &labels, seed);
                let batch = TrainingBatch {
                    images: std::mem::take(&mut masked.images),
                    target: Target::Reconstruction {
                        truth: &masked.target,
                        counts: &masked.counts,
                    },
                    scale,
                    seed,
                    each,
                };
                (masked.count(), self.learner.accumulate(batch)?)
            }
        };
        let BatchLoss { loss, each } = result;
        Ok(Forward { loss, weight, each })
    }
}

/// Seed of the dropout of batch `part` of step `step`: a resumed run draws what
/// one that never stopped would have drawn.
fn dropout_seed(seed: u64, step: usize, part: usize) -> u64 {
    mix(mix(mix(seed) ^ step as u64) ^ part as u64)
}
