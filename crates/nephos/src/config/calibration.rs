//! How a trained model's scores become probabilities and classes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::recall::{RecallCurve, group_name};
use super::require;

/// Parameters fitted on held-out samples after training; the defaults leave a model as it
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
    /// Thresholds and their recall for a group of classes; for a target recall where scenes
    /// are predicted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<RecallCurve>,
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
    /// Share of the pixels of these classes that it found on the samples of the calibration,
    /// where it was chosen by that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recall: Option<f64>,
    /// Whether the user of a run set it, in place of the model's own.
    #[serde(skip)]
    pub by_user: bool,
}

impl ThresholdConfig {
    /// The bound that a user sets.
    pub fn by_user(classes: Vec<usize>, probability: f64) -> Self {
        Self {
            classes,
            probability,
            recall: None,
            by_user: true,
        }
    }
}

impl fmt::Display for ThresholdConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = group_name(&self.classes);
        write!(f, "{name} from probability {:.6}", self.probability)?;
        let recall = self
            .recall
            .map(|recall| format!("recall {recall:.4} on its samples"));
        let by_user = self.by_user.then(|| "asked for".to_owned());
        let notes: Vec<String> = recall.into_iter().chain(by_user).collect();
        match notes.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", notes.join(", ")),
        }
    }
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            bias: Vec::new(),
            threshold: None,
            curves: Vec::new(),
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
            write!(f, ", {threshold}")?;
        }
        Ok(())
    }
}

impl CalibrationConfig {
    /// Largest bias of a class, either way: e³ times as likely. A larger one means that
    /// labels and model disagree about the class.
    pub const MOST_BIAS: f64 = 3.0;

    /// Whether it leaves a model as it is.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// The threshold that found at least the share `recall` of the pixels of `classes` on the
    /// samples of the calibration.
    ///
    /// # Errors
    /// No curve of these classes is stored, with the classes of the one that is; or the curve ends
    /// before that recall.
    pub fn reaching(&self, classes: &[usize], recall: f64) -> Result<ThresholdConfig, String> {
        let of = |curve: &&RecallCurve| curve.classes == classes;
        let Some(curve) = self.curves.iter().find(of) else {
            let known: Vec<String> = self.curves.iter().map(RecallCurve::name).collect();
            let known = match known.is_empty() {
                true => "none".to_owned(),
                false => format!("those of {}", known.join("; ")),
            };
            let name = group_name(classes);
            return Err(format!(
                "no curve of threshold and recall of {name} is in the model ({known})"
            ));
        };
        let point = curve.reaching(recall).ok_or_else(|| {
            let most = curve.points.last().map_or(0.0, |point| point.recall);
            format!(
                "the model's curve of {} ends at a recall of {most:.4}",
                curve.name()
            )
        })?;
        Ok(ThresholdConfig {
            recall: Some(point.recall),
            ..ThresholdConfig::by_user(classes.to_vec(), point.probability)
        })
    }

    pub(super) fn validate(&self, classes: usize) -> Result<(), String> {
        for curve in &self.curves {
            curve.validate(classes)?;
        }
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
