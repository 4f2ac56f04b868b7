//! A network in training.

use std::borrow::Cow;
use std::fmt::Debug;

use ndarray::{Array3, Array4};

use crate::error::Result;
use crate::weights::Parameter;
use crate::weights::torch::NamedTensor;

/// Images and their targets.
#[derive(Debug)]
pub struct TrainingBatch<'a> {
    /// `[B, channels, H, W]`.
    pub images: Array4<f32>,
    /// What the loss compares the scores with.
    pub target: Target<'a>,
    /// The loss is multiplied by it before the backward pass.
    pub scale: f64,
    /// What dropout is a function of.
    pub seed: u64,
    /// Whether the loss of each sample is asked for.
    pub each: bool,
}

/// What the loss compares the scores with.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// `[B, H, W]`: class codes, sets of classes, or 255, by the loss of the configuration.
    Labels(&'a Array3<u8>),
    /// Reconstruction of masked numbers: the mean distance from `truth`, `[B, bands, H, W]`,
    /// where `counts` is 1; 0 elsewhere.
    Reconstruction {
        /// `[B, bands, H, W]`.
        truth: &'a Array4<f32>,
        /// `[B, bands, H, W]`, 0 or 1.
        counts: &'a Array4<f32>,
    },
}

/// What a batch came to, beside its gradients.
#[derive(Debug, Clone)]
pub struct BatchLoss {
    /// The loss, not scaled.
    pub loss: f64,
    /// The loss of each sample, NaN where none is labelled; empty unless asked for.
    pub each: Vec<f64>,
}

/// Adam's moments of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Updates so far.
    pub updates: usize,
    /// Mean of the gradients.
    pub first: Vec<f32>,
    /// Mean of their squares.
    pub second: Vec<f32>,
}

/// A network in training: its parameters, the gradients of the step under way, its optimiser.
pub trait Learner: Debug + Send {
    /// Adds the gradients of a batch to those of the step.
    ///
    /// # Errors
    /// The device can't.
    ///
    /// # Panics
    /// Images and target that don't fit each other or the network.
    fn accumulate(&mut self, batch: TrainingBatch<'_>) -> Result<BatchLoss>;

    /// Euclidean norm of the step's gradients; not finite where one of them is not.
    ///
    /// # Errors
    /// The device can't.
    fn gradient_norm(&mut self) -> Result<f64>;

    /// The step's gradients under PyTorch's names and in its layouts, of those parameters that
    /// have one.
    ///
    /// # Errors
    /// The device can't.
    fn gradients(&self) -> Result<Vec<NamedTensor>>;

    /// One step of the optimiser along the gradients times `factor`; clears them. Parameters
    /// without a gradient stay as they are.
    ///
    /// # Errors
    /// The device can't.
    fn step(&mut self, factor: f64, lr: f64) -> Result<()>;

    /// Drops the step's gradients.
    fn clear(&mut self);

    /// All parameters, and the running statistics beside them, in the order of the network.
    ///
    /// # Errors
    /// The device can't.
    fn parameters(&self) -> Result<Cow<'_, [Parameter]>>;

    /// The optimiser's state of each parameter, in the order of
    /// [`parameters`](Learner::parameters); `None` before its first update.
    ///
    /// # Errors
    /// The device can't.
    fn moments(&self) -> Result<Cow<'_, [Option<Moments>]>>;

    /// Takes over parameters and moments, as of [`parameters`](Learner::parameters) and
    /// [`moments`](Learner::moments) of a network of the same configuration.
    ///
    /// # Errors
    /// The device can't.
    ///
    /// # Panics
    /// They are of another network.
    fn restore(&mut self, parameters: Vec<Parameter>, moments: Vec<Option<Moments>>) -> Result<()>;
}
