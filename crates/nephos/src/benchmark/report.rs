//! The table, the JSON and the plot of a benchmark.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::measure::Cost;
use super::result::{FoldResult, write_json};
use super::scene_report::SceneReport;
use super::scored::{Scored, Spread, dash, heads, plain, three};
use crate::error::{Error, Result};
#[cfg(feature = "figures")]
use crate::figures::{CostPoint, draw_cost};
use crate::metrics::{Reliability, grouped, table};
use crate::output;
use crate::text;

/// Scores with some of the bands alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubsetReport {
    /// The bands given.
    pub bands: Vec<String>,
    /// The scores.
    #[serde(flatten)]
    pub scored: Scored,
}

/// Results of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// Optimiser steps on `data.mix` alone, before the folds.
    pub steps_before: Option<usize>,
    /// Optimiser steps per fold.
    pub steps: usize,
    /// The scores.
    #[serde(flatten)]
    pub scored: Scored,
    /// Expected calibration error over the pixels of all folds together, each fold
    /// calibrated on the others.
    pub pooled_calibrated: Option<f64>,
    /// Training time per fold in minutes.
    pub training_minutes: Option<Spread>,
    /// Time to segment a megapixel, over folds.
    pub seconds_per_megapixel: Option<Spread>,
    /// Largest memory of the process in training and in prediction, in bytes, of all
    /// folds.
    pub training_memory: Option<u64>,
    /// See `training_memory`.
    pub prediction_memory: Option<u64>,
    /// Parameters and operations; `None` for external masks.
    pub cost: Option<Cost>,
    /// With some of the bands alone.
    pub subsets: Vec<SubsetReport>,
    /// Each fold.
    pub folds: Vec<FoldResult>,
}

impl ModelReport {
    /// The report of a model; `None` without folds.
    pub fn new(name: &str, steps_before: Option<usize>, folds: Vec<FoldResult>) -> Option<Self> {
        let first = folds.first()?;
        let classes = first.confusion.classes();
        let whole: Vec<_> = (folds.iter())
            .map(|fold| (&fold.confusion, &fold.reliability))
            .collect();
        let subsets = (first.subsets.iter())
            .map(|subset| {
                let of_folds: Vec<_> = (folds.iter().flat_map(|fold| &fold.subsets))
                    .filter(|other| other.bands == subset.bands)
                    .map(|other| (&other.confusion, &other.reliability))
                    .collect();
                SubsetReport {
                    bands: subset.bands.clone(),
                    scored: Scored::over(&of_folds, classes),
                }
            })
            .collect();
        let mut calibrated = Reliability::default();
        for fold in folds.iter().filter_map(|fold| fold.calibrated.as_ref()) {
            calibrated.merge(&fold.reliability);
        }
        let each = |value: &dyn Fn(&FoldResult) -> Option<f64>| Spread::of(folds.iter().map(value));
        Some(Self {
            name: name.to_owned(),
            steps_before,
            steps: first.steps,
            scored: Scored::over(&whole, classes),
            pooled_calibrated: calibrated.expected_calibration_error(),
            training_minutes: each(&|fold| {
                (fold.steps > 0).then_some(fold.training_seconds / 60.0)
            }),
            seconds_per_megapixel: each(&|fold| Some(fold.cost.as_ref()?.seconds_per_megapixel)),
            training_memory: folds.iter().filter_map(|fold| fold.training_memory).max(),
            prediction_memory: (folds.iter())
                .filter_map(|fold| fold.cost.as_ref()?.prediction_memory)
                .max(),
            cost: first.cost.clone(),
            subsets,
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
    /// The budget of each training, as text.
    pub budget: String,
    /// Seed of all runs.
    pub seed: u64,
    /// Threads that computed.
    pub threads: usize,
    /// In the requested order; none where nothing was trained.
    pub models: Vec<ModelReport>,
    /// Scene by scene, on request.
    pub scenes: Option<SceneReport>,
}

impl Report {
    /// The tables as Markdown: means ± standard deviations over folds, then over scenes,
    /// scores in per cent.
    pub fn to_markdown(&self) -> String {
        let folds = (!self.models.is_empty()).then(|| self.folds_to_markdown());
        let scenes = (self.scenes.as_ref()).map(|scenes| scenes.to_markdown(&self.data));
        let parts: Vec<String> = folds.into_iter().chain(scenes).collect();
        parts.join("\n")
    }

    fn folds_to_markdown(&self) -> String {
        let models = &self.models;
        let classes = (models.iter().map(|model| model.scored.iou.len()))
            .max()
            .unwrap_or(0);
        let mut head = vec!["model".to_owned()];
        head.extend(heads(classes));
        let rest = [
            "ECE, calibrated",
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
        for model in models {
            let mut row = vec![model.name.clone()];
            row.extend(model.scored.cells(classes));
            row.extend([
                model.pooled_calibrated.map_or_else(dash, three),
                (model.cost.as_ref()).map_or_else(dash, |cost| grouped(cost.parameters as u64)),
                (model.cost.as_ref())
                    .map_or_else(dash, |cost| format!("{:.1}", cost.gigaflops_per_megapixel)),
                plain(model.seconds_per_megapixel, 2),
                megabytes(model.prediction_memory),
                megabytes(model.training_memory),
                match model.steps_before {
                    Some(before) => format!("{before} + {}", model.steps),
                    None if model.steps == 0 => dash(),
                    None => model.steps.to_string(),
                },
                plain(model.training_minutes, 1),
            ]);
            rows.push(row);
        }
        let mut text = format!(
            "{} of {}, bands {}; {} each, seed {}, {}.\n\n{}\nMean ± standard \
             deviation over folds; IoU in per cent; pooled: over the pixels of all folds \
             together; calibrated: pooled, the scores of each fold divided by the temperature \
             that suits the other folds best.\n",
            text::count(self.folds, "fold"),
            self.data,
            self.bands.join(", "),
            self.budget,
            self.seed,
            text::count(self.threads, "thread"),
            table(&rows)
        );
        let mut head = vec!["model".to_owned(), "bands".to_owned()];
        head.extend(heads(classes));
        let mut rows = vec![head];
        for (model, subset) in (models.iter()).flat_map(|m| m.subsets.iter().map(move |s| (m, s))) {
            let mut row = vec![model.name.clone(), subset.bands.join(", ")];
            row.extend(subset.scored.cells(classes));
            rows.push(row);
        }
        if rows.len() > 1 {
            text += &format!(
                "\nThe same models with some of the bands alone, the others declared absent:\n\n{}",
                table(&rows)
            );
        }
        text
    }

    /// Writes `benchmark.md`, `benchmark.json` and, of trained models, `benchmark.png` (mIoU
    /// against the time for a megapixel; with the feature `figures` alone) into `folder`; scene by
    /// scene [`SceneReport::write`].
    ///
    /// # Errors
    /// A file can't be written, or there is nothing to draw.
    pub fn write(&self, folder: &Path) -> Result<()> {
        if let Some(scenes) = &self.scenes {
            scenes.write(folder)?;
        }
        let path = folder.join("benchmark.md");
        output::write_atomic(&path, |writer| {
            (writer.write_all(self.to_markdown().as_bytes())).map_err(|e| Error::io(&path, e))
        })?;
        write_json(&folder.join("benchmark.json"), self)?;
        #[cfg(feature = "figures")]
        self.draw(folder)?;
        Ok(())
    }

    #[cfg(feature = "figures")]
    fn draw(&self, folder: &Path) -> Result<()> {
        if self.models.is_empty() {
            return Ok(());
        }
        let points: Vec<CostPoint> = (self.models.iter())
            .filter_map(|model| {
                let (miou, seconds) = (model.scored.miou?, model.seconds_per_megapixel?);
                Some(CostPoint {
                    name: model.name.clone(),
                    cost: seconds.mean,
                    accuracy: miou.mean,
                    spread: miou.deviation,
                })
            })
            .collect();
        let title = format!("{} of {}", text::count(self.folds, "fold"), self.data);
        draw_cost(
            &folder.join("benchmark.png"),
            &title,
            ["seconds per megapixel", "mIoU on held-out scenes"],
            &points,
        )
    }
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(dash, |bytes| (bytes / 1_000_000).to_string())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::metrics::ConfusionMatrix;

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
            calibrated: None,
            subsets: Vec::new(),
            cost: Some(Cost {
                parameters: 12_345,
                gigaflops_per_megapixel: 1.5,
                seconds_per_megapixel: seconds,
                prediction_memory: Some(5_000_000),
            }),
        }
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
            models: vec![ModelReport::new("unet", None, folds).unwrap()],
            scenes: None,
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
