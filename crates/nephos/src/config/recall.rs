//! Recall of a class by threshold.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::require;
use crate::class::code_name;

/// Scores of thresholds on the summed probability of some classes, on the labelled samples that
/// a model was calibrated on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallCurve {
    /// The classes, by code.
    pub classes: Vec<usize>,
    /// By falling threshold, and so by rising recall.
    pub points: Vec<RecallPoint>,
}

/// One threshold and its scores. As text
/// `0.4123 recall 0.9500 precision 0.9310 false-alarms 0.0210`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecallPoint {
    /// Least probability of the classes together, in (0, 1).
    pub probability: f64,
    /// Share of the pixels of the classes that is found.
    pub recall: f64,
    /// Share of the pixels predicted as them that is right.
    pub precision: f64,
    /// Share of all other pixels that is predicted as them.
    pub false_alarms: f64,
}

impl RecallCurve {
    /// The point with the least recall of `recall` or more; `None` where none reaches it.
    pub fn reaching(&self, recall: f64) -> Option<RecallPoint> {
        (self.points.iter().copied()).find(|point| point.recall >= recall)
    }

    /// The names of its classes, as in `thick cloud or thin cloud`.
    pub fn name(&self) -> String {
        group_name(&self.classes)
    }

    pub(super) fn validate(&self, classes: usize) -> Result<(), String> {
        let key = "calibration.curves";
        require(
            !self.classes.is_empty() && self.classes.iter().all(|class| *class < classes),
            key,
            "curves of the model's classes",
        )?;
        let falls = |pair: &[RecallPoint]| {
            pair[0].probability > pair[1].probability && pair[0].recall <= pair[1].recall
        };
        require(
            !self.points.is_empty() && self.points.windows(2).all(falls),
            key,
            "curves of points whose thresholds fall and whose recalls rise",
        )
    }
}

/// The names of classes, as in `thick cloud or thin cloud`.
pub(super) fn group_name(classes: &[usize]) -> String {
    let names: Vec<String> = classes.iter().map(|class| code_name(*class)).collect();
    names.join(" or ")
}

impl fmt::Display for RecallPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            probability,
            recall,
            precision,
            false_alarms,
        } = self;
        write!(
            f,
            "{probability:.8} recall {recall:.4} precision {precision:.4} \
             false-alarms {false_alarms:.4}"
        )
    }
}

impl FromStr for RecallPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let share =
            |text: &str| (text.parse().ok()).filter(|number: &f64| (0.0..=1.0).contains(number));
        let point = match words.as_slice() {
            [
                probability,
                "recall",
                recall,
                "precision",
                precision,
                "false-alarms",
                false_alarms,
            ] => share(probability)
                .filter(|p| *p > 0.0 && *p < 1.0)
                .zip(share(recall))
                .zip(share(precision).zip(share(false_alarms))),
            _ => None,
        };
        let ((probability, recall), (precision, false_alarms)) = point.ok_or_else(|| {
            format!(
                "`{text}` is no point of a curve; expected \
                 `0.4 recall 0.95 precision 0.93 false-alarms 0.02` with shares from 0 to 1"
            )
        })?;
        Ok(Self {
            probability,
            recall,
            precision,
            false_alarms,
        })
    }
}

impl TryFrom<String> for RecallPoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RecallPoint> for String {
    fn from(point: RecallPoint) -> Self {
        point.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CURVE: &str = "[[calibration.curves]]
classes = [1, 2]
points = ['0.8 recall 0.5 precision 1 false-alarms 0', '0.25 recall 0.9 precision 0.75 false-alarms 0.125']";

    #[test]
    fn a_curve_is_read_as_it_is_written() {
        let config = Config::parse(CURVE, "x.toml", &[]).unwrap();
        let curve = &config.calibration.curves[0];
        let expected = RecallPoint {
            probability: 0.25,
            recall: 0.9,
            precision: 0.75,
            false_alarms: 0.125,
        };
        assert_eq!(curve.points[1], expected);
        let text = config.to_toml().unwrap();
        assert_eq!(Config::parse(&text, "x.toml", &[]).unwrap(), config);
        assert!(!Config::default().to_toml().unwrap().contains("curves"));
    }

    #[test]
    fn the_first_point_that_reaches_a_recall_is_taken() {
        let config = Config::parse(CURVE, "x.toml", &[]).unwrap();
        let reaching = |recall| {
            let point = config.calibration.curves[0].reaching(recall);
            point.map(|point| point.probability)
        };
        assert_eq!(reaching(0.1), Some(0.8));
        assert_eq!(reaching(0.5), Some(0.8));
        assert_eq!(reaching(0.51), Some(0.25));
        assert_eq!(reaching(0.91), None);
    }

    #[test]
    fn broken_curves_are_errors_that_name_the_key_or_the_text() {
        let fails = |curve: &str, expected: &str| {
            let error = Config::parse(curve, "x.toml", &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        fails(&CURVE.replace("[1, 2]", "[4]"), "`calibration.curves`");
        fails(
            &CURVE.replace("0.25 recall", "0.9 recall"),
            "thresholds fall",
        );
        fails(
            &CURVE.replace("0.9 precision", "1.9 precision"),
            "no point of a curve",
        );
        fails(
            &CURVE.replace(" false-alarms 0.125", ""),
            "no point of a curve",
        );
    }
}
