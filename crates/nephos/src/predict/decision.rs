//! How scores become probabilities and classes.

use ndarray::{Array3, ArrayView1, Axis};

use crate::config::CalibrationConfig;

/// A model's calibration, ready for use; the default leaves scores as they are and takes
/// the likeliest class.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Factor of all scores, and a term for each class; `None`: 1 and 0.
    affine: Option<(f32, Vec<f32>)>,
    threshold: Option<Threshold>,
}

/// When a pixel is of a group of classes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    /// Whether each class, by code, is in the group; past the end it is not.
    inside: Vec<bool>,
    /// Least probability of the group.
    probability: f32,
}

impl Threshold {
    /// The class of a pixel with these probabilities: the likeliest of the group where
    /// they reach the bound together, else the likeliest of the others.
    pub(crate) fn class_of(&self, probabilities: ArrayView1<'_, f32>) -> u8 {
        let each = || probabilities.iter().zip(&self.inside);
        let group: f32 = each().filter(|(_, inside)| **inside).map(|(p, _)| *p).sum();
        let wanted = group >= self.probability;
        let (mut highest, mut best) = (f32::NEG_INFINITY, 0);
        for (code, (p, inside)) in (0u8..).zip(each()) {
            if *inside == wanted && *p > highest {
                (highest, best) = (*p, code);
            }
        }
        best
    }
}

impl Decision {
    /// The decision that the configuration of a model of `classes` classes states.
    pub fn new(config: &CalibrationConfig, classes: usize) -> Self {
        let plain = config.temperature == 1.0 && config.bias.is_empty();
        let bias = |class| config.bias.get(class).copied().unwrap_or(0.0) as f32;
        Self {
            affine: (!plain).then(|| {
                let factor = (1.0 / config.temperature) as f32;
                (factor, (0..classes).map(bias).collect())
            }),
            threshold: config.threshold.as_ref().map(|threshold| Threshold {
                inside: (0..classes)
                    .map(|class| threshold.classes.contains(&class))
                    .collect(),
                probability: threshold.probability as f32,
            }),
        }
    }

    /// Brings scores `[classes, height, width]` to those whose softmax is calibrated.
    pub fn calibrate(&self, scores: &mut Array3<f32>) {
        let Some((factor, bias)) = &self.affine else {
            return;
        };
        for (mut plane, bias) in scores.axis_iter_mut(Axis(0)).zip(bias) {
            plane.mapv_inplace(|score| score * factor + bias);
        }
    }

    pub(crate) fn threshold(&self) -> Option<&Threshold> {
        self.threshold.as_ref()
    }
}
