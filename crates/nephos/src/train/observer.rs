//! Callbacks of a training run.

use std::path::Path;

use super::history::EpochRecord;

/// An epoch that starts, or continues after a resume.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EpochStart {
    /// From 1.
    pub epoch: usize,
    /// Number of epochs of the run.
    pub epochs: usize,
    /// Training images of an epoch.
    pub images: usize,
    /// Of these, images seen before the run was stopped.
    pub images_done: usize,
    /// Validation images; 0 without validation.
    pub val_images: usize,
}

/// A batch that was trained on or validated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchReport {
    /// Optimiser steps of the run so far.
    pub step: usize,
    /// Images of this pass seen so far.
    pub images_done: usize,
    /// Loss of this batch.
    pub loss: f64,
    /// Mean loss of this pass so far.
    pub mean_loss: f64,
    /// Images per second in this pass.
    pub images_per_second: f64,
    /// Learning rate of the step; 0 in validation.
    pub lr: f64,
}

/// Follows a training run; every method does nothing unless written.
#[allow(unused_variables)]
pub trait TrainObserver {
    /// A note on the run, such as how its learning rate changes.
    fn note(&mut self, text: &str) {}
    /// An epoch starts.
    fn epoch_started(&mut self, start: &EpochStart) {}
    /// A training batch is done.
    fn batch(&mut self, report: &BatchReport) {}
    /// A validation batch is done.
    fn validation_batch(&mut self, report: &BatchReport) {}
    /// An epoch is done; `best` is whether its weights are the best so far.
    fn epoch_finished(&mut self, record: &EpochRecord, best: bool) {}
    /// A checkpoint was written.
    fn checkpoint_saved(&mut self, path: &Path) {}
    /// Whether to stop as soon as possible, as after Ctrl-C. Called between batches.
    fn should_stop(&mut self) -> bool {
        false
    }
}

/// Follows nothing.
impl TrainObserver for () {}
