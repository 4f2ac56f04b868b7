//! Training on a CPU.

use std::borrow::Cow;

use ndarray::{Array3, Array4, Axis, s};
use nephos_kernel::adam::{self, Adam, Decay};
use nephos_kernel::dropout::mix;
use nephos_kernel::format::Format;
use nephos_kernel::interpolate::Bilinear;
use nephos_kernel::loss::Objective;
use nephos_kernel::pool;
use rayon::prelude::*;

use super::gradients::Gradients;
use super::layers::{Layers, Saved};
use super::shape::Shape;
use super::weights::Source;
use crate::class::IGNORE;
use crate::config::{Config, OptimizerConfig, OptimizerKind, Precision};
use crate::error::Result;
use crate::loss::{self, ignore_padding};
use crate::network::{BatchLoss, Learner, Moments, Target, TrainingBatch};
use crate::weights::torch::NamedTensor;
use crate::weights::{Parameter, Parameters, exchange};

/// Images that one thread computes together in a network of many short loops. How a batch is
/// cut does not depend on the number of threads, so neither do the sums.
const IMAGES: usize = 2;

/// The graph transformer in training.
#[derive(Debug)]
pub struct CpuLearner {
    config: Config,
    channels: usize,
    parameters: Parameters,
    gradients: Gradients,
    objective: Objective,
    moments: Vec<Option<Moments>>,
}

impl CpuLearner {
    /// Training of `parameters`, those of a validated configuration.
    pub fn new(config: &Config, parameters: Parameters) -> Self {
        Self {
            channels: config.channels(),
            objective: loss::objective(&config.loss),
            moments: vec![None; parameters.iter().len()],
            gradients: Gradients::default(),
            config: config.clone(),
            parameters,
        }
    }

    /// Images of a part. A stem and stages are many short loops: data parallelism over images spares the
    /// threads waiting for each other at the end of each.
    fn part(&self, batch: usize) -> usize {
        match self.config.model.stem.channels.is_empty() {
            true => batch,
            false => IMAGES,
        }
    }

    fn layers(&self) -> Layers<'_> {
        let format = match self.config.train.precision {
            Precision::F32 => Format::F32,
            Precision::Bf16 => Format::Bf16,
            Precision::F16 => Format::F16,
        };
        let source = Source::Trained(&self.parameters, format);
        Layers::new(&self.config.model, source).expect("parameters of the configuration")
    }

    /// Rows and columns of the cells that are scored.
    fn cells(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let config = &self.config.model;
        let grid = Shape::of(config, [1, height, width]).grid;
        grid.map(|side| side << config.decoder.stages.len())
    }

    /// The loss, that of each sample where asked for, and the gradient by the scores.
    ///
    /// # Shapes
    /// - scores: `[B, classes, cells]`
    fn loss(&self, scores: &[f32], batch: &TrainingBatch<'_>) -> (BatchLoss, Vec<f32>) {
        let (count, _, height, width) = batch.images.dim();
        let cells = self.cells([height, width]);
        let factor = batch.scale as f32;
        match batch.target {
            Target::Labels(labels) => {
                let padded = self.config.model.padded(height, width);
                let labels = ignore_padding(labels, padded);
                self.label_loss(scores, cells, &labels, factor, batch.each)
            }
            Target::Reconstruction { truth, counts } => {
                let sizes = [[height, width], cells];
                let (loss, gradient) = self.reconstruction(scores, sizes, truth, counts, factor);
                let each = vec![loss; if batch.each { count } else { 0 }];
                (BatchLoss { loss, each }, gradient)
            }
        }
    }

    fn label_loss(
        &self,
        scores: &[f32],
        cells: [usize; 2],
        labels: &Array3<u8>,
        factor: f32,
        each: bool,
    ) -> (BatchLoss, Vec<f32>) {
        let (classes, aligned) = (
            self.config.model.classes,
            self.config.model.aligns_corners(),
        );
        let all = loss::Codes::of(labels);
        let target = all.target(scores, classes, cells, aligned);
        let evaluation = self.objective.evaluate(&target);
        let mut gradient = vec![0.0; scores.len()];
        (self.objective).gradient(&target, &evaluation, factor, &mut gradient);
        let image = scores.len() / labels.dim().0;
        let of_sample = |(labels, scores): (ndarray::ArrayView3<'_, u8>, &[f32])| {
            if labels.iter().all(|label| *label == IGNORE) {
                return f64::NAN;
            }
            let labels = labels.to_owned();
            let codes = loss::Codes::of(&labels);
            let target = codes.target(scores, classes, cells, aligned);
            self.objective.evaluate(&target).loss
        };
        let samples = labels
            .axis_chunks_iter(Axis(0), 1)
            .zip(scores.chunks_exact(image));
        let each = match each {
            true => samples.map(of_sample).collect(),
            false => Vec::new(),
        };
        let loss = evaluation.loss;
        (BatchLoss { loss, each }, gradient)
    }

    /// Mean distance of the upsampled scores from `truth` where `counts` is 1.
    fn reconstruction(
        &self,
        scores: &[f32],
        [[height, width], cells]: [[usize; 2]; 2],
        truth: &Array4<f32>,
        counts: &Array4<f32>,
        factor: f32,
    ) -> (f64, Vec<f32>) {
        let [rows, cols] = self.config.model.padded(height, width);
        let upsample = Bilinear::new(cells, [rows, cols], self.config.model.aligns_corners());
        let (batch, bands, ..) = truth.dim();
        let mut predicted = Array4::zeros((batch, bands, rows, cols));
        if let Some(to) = predicted.as_slice_mut() {
            upsample.resample(scores, to, &mut Vec::new());
        }
        let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
        let slope = factor / total.max(1.0) as f32;
        let mut sum = 0.0;
        let mut seen = predicted.slice_mut(s![.., .., ..height, ..width]);
        ndarray::Zip::from(&mut seen)
            .and(truth)
            .and(counts)
            .for_each(|x, truth, count| {
                let distance = *x - truth;
                sum += f64::from(distance.abs() * count);
                *x = match distance {
                    d if d > 0.0 => slope * count,
                    d if d < 0.0 => -slope * count,
                    // Zero, or no number, which must show.
                    d => d,
                };
            });
        predicted.slice_mut(s![.., .., height.., ..]).fill(0.0);
        predicted.slice_mut(s![.., .., .., width..]).fill(0.0);
        let gradient = upsample.transposed(predicted.as_slice().unwrap_or_default());
        (sum / total.max(1.0), gradient)
    }
}

impl Learner for CpuLearner {
    fn accumulate(&mut self, batch: TrainingBatch<'_>) -> Result<BatchLoss> {
        let (count, channels, height, width) = batch.images.dim();
        assert_eq!(channels, self.channels, "channels of the images");
        let images = batch.images.as_standard_layout();
        let images = images.as_slice().unwrap_or_default();
        let (part, image) = (self.part(count), channels * height * width);
        let (this, layers) = (&*self, self.layers());
        let checkpointing = self.config.train.checkpointing;
        // In training, tokens attend to all of the image, which is a crop.
        let shape = |images: &[f32]| {
            let sizes = [images.len() / image, height, width];
            Shape::of(&this.config.model, sizes).without_reach()
        };
        let (loss, parts) = pool::with_spinning_workers(|| {
            let parts: Vec<(u64, Vec<f32>, Saved)> = (images.par_chunks(part * image))
                .enumerate()
                .with_max_len(1)
                .map(|(index, images)| {
                    let seed = match part == count {
                        true => batch.seed,
                        false => mix(batch.seed ^ index as u64),
                    };
                    let (scores, saved) =
                        layers.forward_and_save(images, shape(images), seed, checkpointing);
                    (seed, scores, saved)
                })
                .collect();
            let scores: Vec<f32> = parts
                .iter()
                .flat_map(|(_, scores, _)| scores)
                .copied()
                .collect();
            let (loss, gradient) = this.loss(&scores, &batch);
            let of_part = parts
                .first()
                .map_or(1, |(_, scores, _)| scores.len())
                .max(1);
            let images = images.chunks(part * image);
            let parts: Vec<_> = (parts.into_iter().zip(images))
                .zip(gradient.chunks(of_part))
                .collect();
            let gradients: Vec<Gradients> = (parts.into_par_iter())
                .with_max_len(1)
                .map(|(((seed, _, saved), images), gradient)| {
                    layers.backward(images, shape(images), seed, saved, gradient)
                })
                .collect();
            (loss, gradients)
        });
        for gradients in parts {
            self.gradients.merge(gradients);
        }
        Ok(loss)
    }

    fn gradient_norm(&mut self) -> Result<f64> {
        let of_each = self.parameters.iter();
        let of_each = of_each.map(|tensor| self.gradients.get(&tensor.name));
        let sum: f64 = pool::with_spinning_workers(|| of_each.map(adam::sum_of_squares).sum());
        Ok(sum.sqrt())
    }

    fn gradients(&self) -> Result<Vec<NamedTensor>> {
        let export = |tensor: &Parameter| {
            let gradient = self.gradients.get(&tensor.name);
            (!gradient.is_empty())
                .then(|| exchange::export(&tensor.name, &tensor.shape, gradient.to_vec()))
        };
        Ok(self.parameters.iter().filter_map(export).collect())
    }

    fn step(&mut self, factor: f64, lr: f64) -> Result<()> {
        let (optimizer, depth) = (
            &self.config.train.optimizer,
            self.config.model.encoder.depth,
        );
        let gradients = std::mem::take(&mut self.gradients);
        let tensors = self.parameters.iter_mut().zip(&mut self.moments);
        pool::with_spinning_workers(|| {
            for (tensor, moments) in tensors {
                let gradient = gradients.get(&tensor.name);
                if gradient.is_empty() {
                    continue;
                }
                let moments = moments.get_or_insert_with(|| Moments {
                    updates: 0,
                    first: vec![0.0; gradient.len()],
                    second: vec![0.0; gradient.len()],
                });
                moments.updates += 1;
                let share = layer_share(&tensor.name, depth, optimizer.layer_decay);
                let adam = update(optimizer, lr * share, moments.updates);
                let both = [&mut moments.first[..], &mut moments.second];
                adam.step(&mut tensor.values, gradient, factor, both);
            }
        });
        Ok(())
    }

    fn clear(&mut self) {
        self.gradients = Gradients::default();
    }

    fn parameters(&self) -> Result<Cow<'_, [Parameter]>> {
        Ok(self.parameters.iter().as_slice().into())
    }

    fn moments(&self) -> Result<Cow<'_, [Option<Moments>]>> {
        Ok(self.moments.as_slice().into())
    }

    fn restore(&mut self, parameters: Vec<Parameter>, moments: Vec<Option<Moments>>) -> Result<()> {
        assert_eq!(parameters.len(), self.moments.len(), "number of parameters");
        assert_eq!(moments.len(), self.moments.len(), "number of moments");
        for (own, tensor) in self.parameters.iter_mut().zip(parameters) {
            assert_eq!(own.name, tensor.name, "name of a parameter");
            assert_eq!(own.shape, tensor.shape, "shape of {}", own.name);
            own.values = tensor.values;
        }
        self.moments = moments;
        Ok(())
    }
}

/// The optimiser's step number `updates` of a parameter.
fn update(config: &OptimizerConfig, lr: f64, updates: usize) -> Adam {
    let decay = f64::from(config.weight_decay);
    Adam {
        lr,
        betas: config.betas.map(f64::from),
        epsilon: f64::from(config.eps),
        decay: match config.kind {
            OptimizerKind::Adam => Decay::Coupled(decay),
            OptimizerKind::Adamw => Decay::Decoupled(decay),
        },
        time: i32::try_from(updates).unwrap_or(i32::MAX),
    }
}

/// The learning rate of parameter `path` as a share of that above the encoder (layer-wise
/// decay, Clark et al. 2020, doi:10.48550/arXiv.2003.10555).
pub fn layer_share(path: &str, depth: usize, decay: f64) -> f64 {
    let below = match path.split('.').collect::<Vec<_>>()[..] {
        ["stem" | "patch_embed" | "position", ..] => depth + 1,
        ["encoder", "layers", layer, ..] => match layer.parse::<usize>() {
            Ok(layer) => depth.saturating_sub(layer),
            Err(_) => 0,
        },
        _ => 0,
    };
    decay.powi(below as i32)
}
