//! The table, the JSON and the plot of a benchmark.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::measure::Cost;
use super::result::{FoldResult, write_json};
use crate::error::{Error, Result};
use crate::output;
use crate::report::{
    ConfusionMatrix, CostPoint, Reliability, Scores, draw_cost, grouped, names, table,
};

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

/// What a model came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// Optimiser steps a fold.
    pub steps: usize,
    /// IoU of each class, over folds.
    pub iou: Vec<Option<Spread>>,
    /// Mean IoU over the classes, over folds.
    pub miou: Option<Spread>,
    /// IoU of cloud, thick or thin, over folds.
    pub cloud_iou: Option<Spread>,
    /// Expected calibration error, over folds.
    pub calibration_error: Option<Spread>,
    /// Training time a fold in minutes.
    pub training_minutes: Option<Spread>,
    /// Time to segment a megapixel, over folds.
    pub seconds_per_megapixel: Option<Spread>,
    /// Largest memory of the process in training and in prediction, in bytes, of all
    /// folds.
    pub training_memory: Option<u64>,
    /// See `training_memory`.
    pub prediction_memory: Option<u64>,
    /// Parameters and operations.
    pub cost: Cost,
    /// Scores over the pixels of all folds together.
    pub pooled: Scores,
    /// Expected calibration error over the pixels of all folds together.
    pub pooled_calibration_error: Option<f64>,
    /// Each fold.
    pub folds: Vec<FoldResult>,
}

impl ModelReport {
    /// The report of a model; `None` without folds.
    pub fn new(name: &str, folds: Vec<FoldResult>) -> Option<Self> {
        let first = folds.first()?;
        let classes = first.confusion.classes();
        let mut confusion = ConfusionMatrix::new(classes);
        let mut reliability = Reliability::default();
        for fold in folds.iter().filter(|f| f.confusion.classes() == classes) {
            confusion.merge(&fold.confusion);
            reliability.merge(&fold.reliability);
        }
        let scores: Vec<Scores> = folds.iter().map(|fold| fold.confusion.scores()).collect();
        let over = |value: &dyn Fn(&Scores) -> Option<f64>| Spread::of(scores.iter().map(value));
        let each = |value: &dyn Fn(&FoldResult) -> Option<f64>| Spread::of(folds.iter().map(value));
        Some(Self {
            name: name.to_owned(),
            steps: first.steps,
            iou: (0..confusion.classes())
                .map(|class| over(&|scores| scores.classes.get(class)?.iou))
                .collect(),
            miou: over(&|scores| scores.miou),
            cloud_iou: over(&|scores| scores.cloud.as_ref()?.iou),
            calibration_error: each(&|fold| fold.reliability.expected_calibration_error()),
            training_minutes: each(&|fold| Some(fold.training_seconds / 60.0)),
            seconds_per_megapixel: each(&|fold| Some(fold.cost.seconds_per_megapixel)),
            training_memory: folds.iter().filter_map(|fold| fold.training_memory).max(),
            prediction_memory: (folds.iter())
                .filter_map(|f| f.cost.prediction_memory)
                .max(),
            cost: first.cost.clone(),
            pooled: confusion.scores(),
            pooled_calibration_error: reliability.expected_calibration_error(),
            folds,
        })
    }
}

/// All models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The samples.
    pub data: String,
    /// Their bands.
    pub bands: Vec<String>,
    /// Folds.
    pub folds: usize,
    /// The budget of each training, in words.
    pub budget: String,
    /// Seed of all runs.
    pub seed: u64,
    /// Threads that computed.
    pub threads: usize,
    /// In the order asked for.
    pub models: Vec<ModelReport>,
}

impl Report {
    /// The table as Markdown: means ± standard deviations over folds, scores in per cent.
    pub fn to_markdown(&self) -> String {
        let classes = self
            .models
            .iter()
            .map(|model| model.iou.len())
            .max()
            .unwrap_or(0);
        let mut head = vec!["model".to_owned()];
        head.extend(names(classes).into_iter().map(|name| format!("IoU {name}")));
        let rest = [
            "mIoU",
            "mIoU, pooled",
            "cloud IoU",
            "ECE",
            "parameters",
            "GFLOP/MP",
            "s/MP",
            "memory, MB",
            "training, MB",
            "steps",
            "minutes",
        ];
        head.extend(rest.map(String::from));
        let mut rows = vec![head];
        for model in &self.models {
            let mut row = vec![model.name.clone()];
            row.extend((0..classes).map(|class| per_cent(model.iou.get(class).copied().flatten())));
            row.extend([
                per_cent(model.miou),
                (model.pooled.miou).map_or_else(dash, |miou| format!("{:.1}", 100.0 * miou)),
                per_cent(model.cloud_iou),
                plain(model.calibration_error, 3),
                grouped(model.cost.parameters as u64),
                format!("{:.1}", model.cost.gigaflops_per_megapixel),
                plain(model.seconds_per_megapixel, 2),
                megabytes(model.prediction_memory),
                megabytes(model.training_memory),
                model.steps.to_string(),
                plain(model.training_minutes, 1),
            ]);
            rows.push(row);
        }
        format!(
            "{} folds of {}, bands {}; {} each, seed {}, {} threads.\n\n{}\nMean ± standard \
             deviation over folds; IoU in per cent; pooled: over the pixels of all folds \
             together.\n",
            self.folds,
            self.data,
            self.bands.join(", "),
            self.budget,
            self.seed,
            self.threads,
            table(&rows)
        )
    }

    /// Writes `benchmark.md`, `benchmark.json` and `benchmark.png` (mIoU against the time
    /// for a megapixel) into `folder`.
    ///
    /// # Errors
    /// A file can't be written, or there is nothing to draw.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("benchmark.md");
        output::write_atomic(&path, |writer| {
            (writer.write_all(self.to_markdown().as_bytes())).map_err(|e| Error::io(&path, e))
        })?;
        write_json(&folder.join("benchmark.json"), self)?;
        let points: Vec<CostPoint> = (self.models.iter())
            .filter_map(|model| {
                let (miou, seconds) = (model.miou?, model.seconds_per_megapixel?);
                Some(CostPoint {
                    name: model.name.clone(),
                    cost: seconds.mean,
                    accuracy: miou.mean,
                    spread: miou.deviation,
                })
            })
            .collect();
        let title = format!("{} folds, {} each", self.folds, self.budget);
        draw_cost(
            &folder.join("benchmark.png"),
            &title,
            ["seconds per megapixel", "mIoU on held-out scenes"],
            &points,
        )
    }
}

fn dash() -> String {
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

fn plain(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        dash,
        |Spread {
             mean, deviation, ..
         }| { format!("{mean:.digits$} ± {deviation:.digits$}") },
    )
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(dash, |bytes| (bytes / 1_000_000).to_string())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn result(counts: ndarray::Array2<u64>, seconds: f64) -> FoldResult {
        FoldResult {
            fingerprint: String::new(),
            steps: 7,
            training_seconds: 60.0,
            training_memory: None,
            samples: vec!["a".to_owned()],
            confusion: ConfusionMatrix::from_counts(counts),
            loss: None,
            reliability: Reliability::default(),
            cost: Cost {
                parameters: 12_345,
                gigaflops_per_megapixel: 1.5,
                seconds_per_megapixel: seconds,
                prediction_memory: Some(5_000_000),
            },
        }
    }

    #[test]
    fn spreads_by_hand() {
        let spread = Spread::of([Some(1.0), None, Some(3.0)].into_iter()).unwrap();
        assert_eq!((spread.mean, spread.folds), (2.0, 2));
        assert!((spread.deviation - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of([Some(4.0)].into_iter()).unwrap().deviation, 0.0);
        assert_eq!(Spread::of([None].into_iter()), None);
    }

    #[test]
    fn a_report_is_a_table_and_files() {
        let none = [0u64; 4];
        let one = array![[8, 2, 0, 0], [0, 10, 0, 0], none, none];
        let two = array![[10, 0, 0, 0], [0, 10, 0, 0], none, none];
        let folds = vec![result(one, 0.5), result(two, 0.7)];
        let report = Report {
            data: "data".to_owned(),
            bands: vec!["red".to_owned()],
            folds: 2,
            budget: "7 steps".to_owned(),
            seed: 1,
            threads: 2,
            models: vec![ModelReport::new("unet", folds).unwrap()],
        };
        let text = report.to_markdown();
        // Clear: 8/10 and 1; no fold has thin cloud.
        assert!(text.contains("90.0 ± 14.1") && text.contains("–"), "{text}");
        assert!(text.contains("0.60 ± 0.14"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        report.write(folder.path()).unwrap();
        for name in ["benchmark.md", "benchmark.json", "benchmark.png"] {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }
}
