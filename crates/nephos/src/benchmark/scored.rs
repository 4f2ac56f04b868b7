//! Scores over folds, and how they are written into a table.

use serde::Serialize;

use crate::metrics::{ConfusionMatrix, Reliability, Scores, names};

/// Mean and standard deviation over the folds in which a score has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation (n − 1); 0 with a single fold.
    pub deviation: f64,
    /// Folds.
    pub folds: usize,
}

impl Spread {
    /// Of the values that are there; `None` where there is none.
    pub fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let values: Vec<f64> = values.flatten().collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (!values.is_empty()).then(|| Self {
            mean,
            deviation: (squares / (count - 1.0).max(1.0)).sqrt(),
            folds: values.len(),
        })
    }
}

/// Scores over folds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// IoU of each class, over folds.
    pub iou: Vec<Option<Spread>>,
    /// Mean IoU over the classes, over folds.
    pub miou: Option<Spread>,
    /// IoU of cloud, thick or thin, over folds.
    pub cloud_iou: Option<Spread>,
    /// Expected calibration error, over folds.
    pub calibration_error: Option<Spread>,
    /// Scores over the pixels of all folds together.
    pub pooled: Scores,
    /// Expected calibration error over the pixels of all folds together.
    pub pooled_calibration_error: Option<f64>,
}

impl Scored {
    /// Of folds, each with its pixels and the reliability of its probabilities.
    pub(super) fn over(folds: &[(&ConfusionMatrix, &Reliability)], classes: usize) -> Self {
        let mut confusion = ConfusionMatrix::new(classes);
        let mut reliability = Reliability::default();
        for (fold, reliable) in folds.iter().filter(|(fold, _)| fold.classes() == classes) {
            confusion.merge(fold);
            reliability.merge(reliable);
        }
        let scores: Vec<Scores> = folds.iter().map(|(fold, _)| fold.scores()).collect();
        let over = |value: &dyn Fn(&Scores) -> Option<f64>| Spread::of(scores.iter().map(value));
        Self {
            iou: (0..classes)
                .map(|class| over(&|scores| scores.classes.get(class)?.iou))
                .collect(),
            miou: over(&|scores| scores.miou),
            cloud_iou: over(&|scores| scores.cloud.as_ref()?.iou),
            calibration_error: Spread::of(
                (folds.iter()).map(|(_, reliable)| reliable.expected_calibration_error()),
            ),
            pooled: confusion.scores(),
            pooled_calibration_error: reliability.expected_calibration_error(),
        }
    }

    /// Cells of a table: IoUs in per cent, then calibration.
    pub(super) fn cells(&self, classes: usize) -> Vec<String> {
        let pooled = |iou: Option<f64>| iou.map_or_else(dash, |iou| format!("{:.1}", 100.0 * iou));
        let mut cells: Vec<String> = (0..classes)
            .map(|class| per_cent(self.iou.get(class).copied().flatten()))
            .collect();
        cells.extend([
            per_cent(self.miou),
            pooled(self.pooled.miou),
            per_cent(self.cloud_iou),
            pooled(self.pooled.cloud.as_ref().and_then(|cloud| cloud.iou)),
            plain(self.calibration_error, 3),
            self.pooled_calibration_error.map_or_else(dash, three),
        ]);
        cells
    }
}

/// Heads of [`Scored::cells`].
pub(super) fn heads(classes: usize) -> Vec<String> {
    let rest = [
        "mIoU",
        "mIoU, pooled",
        "cloud IoU",
        "cloud IoU, pooled",
        "ECE",
        "ECE, pooled",
    ];
    let mut heads: Vec<String> = (names(classes).into_iter())
        .map(|name| format!("IoU {name}"))
        .collect();
    heads.extend(rest.map(String::from));
    heads
}

pub(super) fn three(value: f64) -> String {
    format!("{value:.3}")
}

pub(super) fn dash() -> String {
    "–".to_owned()
}

fn per_cent(spread: Option<Spread>) -> String {
    spread.map_or_else(
        dash,
        |Spread {
             mean, deviation, ..
         }| { format!("{:.1} ± {:.1}", 100.0 * mean, 100.0 * deviation) },
    )
}

pub(super) fn plain(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        dash,
        |Spread {
             mean, deviation, ..
         }| { format!("{mean:.digits$} ± {deviation:.digits$}") },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_by_hand() {
        let spread = Spread::of([Some(1.0), None, Some(3.0)].into_iter()).unwrap();
        assert_eq!((spread.mean, spread.folds), (2.0, 2));
        assert!((spread.deviation - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of([Some(4.0)].into_iter()).unwrap().deviation, 0.0);
        assert_eq!(Spread::of([None].into_iter()), None);
    }
}
