//! How a trained model's scores become probabilities and classes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::require;
use crate::class::code_name;

/// What was fitted on held-out samples after training; the defaults leave a model as it
/// is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalibrationConfig {
    /// Scores are divided by it before the softmax (Guo et al. 2017,
    /// doi:10.48550/arXiv.1706.04599).
    pub temperature: f64,
    /// Added to the score of each class after that; empty: nothing.
    pub bias: Vec<f64>,
    /// When a pixel is of a group of classes; absent: the likeliest class counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ThresholdConfig>,
}

/// A pixel whose probabilities of some classes together reach a bound is of the
/// likeliest of these, else of the likeliest of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdConfig {
    /// The classes, by code.
    pub classes: Vec<usize>,
    /// The bound, in (0, 1).
    pub probability: f64,
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            bias: Vec::new(),
            threshold: None,
        }
    }
}

impl fmt::Display for CalibrationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "temperature {:.4}", self.temperature)?;
        if !self.bias.is_empty() {
            let bias: Vec<String> = self.bias.iter().map(|b| format!("{b:.4}")).collect();
            write!(f, ", bias {}", bias.join(", "))?;
        }
        if let Some(threshold) = &self.threshold {
            let names: Vec<String> = threshold.classes.iter().map(|c| code_name(*c)).collect();
            let probability = threshold.probability;
            write!(
                f,
                ", {} from probability {probability:.6}",
                names.join(" or ")
            )?;
        }
        Ok(())
    }
}

impl CalibrationConfig {
    /// Largest bias of a class, either way: e³ times as likely. A larger one means that
    /// labels and model disagree about what the class is.
    pub const MOST_BIAS: f64 = 3.0;

    /// Whether it leaves a model as it is.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn validate(&self, classes: usize) -> Result<(), String> {
        require(
            (0.01..=100.0).contains(&self.temperature),
            "calibration.temperature",
            "0.01 to 100",
        )?;
        require(
            self.bias.is_empty()
                || (self.bias.len() == classes
                    && self.bias.iter().all(|b| b.abs() <= Self::MOST_BIAS)),
            "calibration.bias",
            "empty, or one number from -3 to 3 per class",
        )?;
        let Some(threshold) = &self.threshold else {
            return Ok(());
        };
        let members = |class: usize| threshold.classes.contains(&class);
        let inside = (0..classes).filter(|class| members(*class)).count();
        require(
            threshold.classes.iter().all(|class| *class < classes)
                && inside > 0
                && inside < classes,
            "calibration.threshold.classes",
            "some of the model's classes, and not all",
        )?;
        require(
            threshold.probability > 0.0 && threshold.probability < 1.0,
            "calibration.threshold.probability",
            "between 0 and 1",
        )
    }
}
