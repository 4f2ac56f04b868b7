//! Loss and gradients of a batch.

use std::borrow::Cow;

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use ndarray::{Array3, Axis, s};

use super::apart::{self, Apart};
use super::masked::Masking;
use super::trainer::Run;
use super::validate::check;
use crate::class::IGNORE;
use crate::dataset::{Batch, image_tensor, label_tensor};
use crate::error::Result;

/// What a batch came to, beside its gradients.
pub(super) struct Forward {
    /// Those of the batch are the sum of these.
    pub gradients: Vec<GradientsParams>,
    pub loss: f64,
    pub weight: f64,
    /// The loss of each sample, NaN where none is labelled; empty unless they decide
    /// which samples are drawn.
    pub each: Vec<f64>,
}

impl Run {
    /// Loss and gradients of one batch, the loss times `scale`.
    pub(super) fn forward(&self, batch: Batch, part: usize, scale: f64) -> Result<Forward> {
        check(&batch, &self.config.model)?;
        if let Some(masking) = &self.masking {
            return Ok(self.forward_masked(masking, batch, part, scale));
        }
        let weight = self
            .loss
            .batch_weight(&batch.class_counts(self.config.model.classes));
        let Batch { images, labels, .. } = batch;
        let precision = self.config.train.precision;
        let (coarse, apart) = if apart::suits(&self.config, &self.device) {
            let apart = Apart::forward(&self.model, images.view(), &self.device);
            (apart.scores(), Some(apart))
        } else {
            let images = image_tensor(images, &self.device);
            self.device
                .seed(dropout_seed(self.config.seed, self.state.step, part));
            (self.model.forward_coarse(images, precision), None)
        };
        let model = &self.config.model;
        let (_, height, width) = labels.dim();
        let padded = ignore_padding(&labels, model.padded(height, width));
        let aligned = model.aligns_corners();
        let each = match self.config.data.sampling.difficulty > 0.0 {
            true => self.loss_of_each(&coarse, &padded, aligned),
            false => Vec::new(),
        };
        let loss = (self.loss.of_coarse(&coarse, &padded, aligned)).unwrap_or_else(|| {
            let logits = self.model.upsample(coarse.clone(), [height, width]);
            self.loss
                .forward(logits, label_tensor(&labels, &self.device))
        });
        let scaled = if scale == 1.0 {
            loss.clone()
        } else {
            loss.clone().mul_scalar(scale)
        };
        // A GPU has all of the step to do before anyone waits for the loss.
        let mut gradients = scaled.backward();
        let value = loss.into_scalar::<f64>();
        let gradients = match apart {
            None => vec![GradientsParams::from_grads(gradients, &self.model)],
            Some(apart) => apart.backward(coarse.grad_remove(&mut gradients)),
        };
        Ok(Forward {
            gradients,
            loss: value,
            weight,
            // Where samples can't be told apart, each has the loss of all.
            each: each.iter().map(|loss| loss.unwrap_or(value)).collect(),
        })
    }

    /// As [`Run::forward`], of images alone.
    fn forward_masked(&self, masking: &Masking, batch: Batch, part: usize, scale: f64) -> Forward {
        let seed = dropout_seed(self.config.seed, self.state.step, part);
        let Batch { images, labels, .. } = batch;
        let mut masked = masking.hide(images, &labels, seed);
        let (_, height, width) = labels.dim();
        let images = image_tensor(std::mem::take(&mut masked.images), &self.device);
        self.device.seed(seed);
        let coarse = (self.model).forward_coarse(images, self.config.train.precision);
        let weight = masked.count();
        let told = self.model.upsample(coarse, [height, width]);
        let loss = masked.loss(told, &self.device);
        let gradients = loss.clone().mul_scalar(scale).backward();
        let value = loss.into_scalar::<f64>();
        Forward {
            gradients: vec![GradientsParams::from_grads(gradients, &self.model)],
            loss: value,
            weight,
            each: vec![value; labels.dim().0],
        }
    }

    /// The loss of each sample of a batch; NaN where it has no label, `None` off the
    /// CPU.
    fn loss_of_each(
        &self,
        coarse: &Tensor<4>,
        labels: &Array3<u8>,
        aligned: bool,
    ) -> Vec<Option<f64>> {
        let coarse = coarse.clone().inner();
        let samples = labels.axis_chunks_iter(Axis(0), 1).enumerate();
        samples
            .map(|(sample, labels)| {
                if labels.iter().all(|label| *label == IGNORE) {
                    return Some(f64::NAN);
                }
                let scores = coarse.clone().narrow(0, sample, 1);
                let evaluated = self
                    .loss
                    .evaluate_coarse(&scores, &labels.to_owned(), aligned);
                evaluated.map(|(loss, _)| loss)
            })
            .collect()
    }
}

/// Labels of an image that the network pads to `size`: what it adds counts nowhere.
fn ignore_padding(codes: &Array3<u8>, [height, width]: [usize; 2]) -> Cow<'_, Array3<u8>> {
    let (count, rows, cols) = codes.dim();
    if (rows, cols) == (height, width) {
        return Cow::Borrowed(codes);
    }
    let mut padded = Array3::from_elem((count, height, width), IGNORE);
    padded.slice_mut(s![.., ..rows, ..cols]).assign(codes);
    Cow::Owned(padded)
}

/// Seed of the dropout of batch `part` of step `step`: a resumed run draws what
/// one that never stopped would have drawn. (SplitMix64, Steele et al. 2014.)
fn dropout_seed(seed: u64, step: usize, part: usize) -> u64 {
    let mix = |value: u64| {
        let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    mix(mix(mix(seed) ^ step as u64) ^ part as u64)
}
