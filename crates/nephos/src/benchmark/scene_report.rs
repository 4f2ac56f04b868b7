//! Scores over scenes, by kind of scene and by band set: the tables and files.

use std::io::Write;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::Serialize;

use super::given::Origin;
use super::kinds::Kinds;
use super::scored::{dash, three};
use super::scoring::{KindScores, ScoredEntry};
use super::tally::{SceneTally, Summed};
use crate::error::{Error, Result};
#[cfg(feature = "figures")]
use crate::figures::draw_reliability;
use crate::figures::save_png;
use crate::metrics::{Reliability, table};
use crate::output;
use crate::text;

/// Names of the files beside the tables.
pub(super) const SCENES_FILE: &str = "scenes.csv";
pub(super) const WORST_FILE: &str = "worst.png";

/// Result of one predictor with some bands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryReport {
    /// Its name.
    pub name: String,
    /// Where its predictions are from.
    pub origin: Origin,
    /// The bands that it was given; `None`: all that it reads and the samples have.
    pub bands: Option<Vec<String>>,
    /// Over all scenes.
    pub overall: Summed,
    /// By kind of scene.
    pub kinds: Vec<KindScores>,
    /// Reliability of the probabilities; of masks without pixels.
    pub reliability: Reliability,
    /// The same of cloud or not.
    pub cloud_reliability: Reliability,
    /// Each scene.
    pub scenes: Vec<SceneRow>,
    #[serde(skip)]
    words: String,
}

/// One scene's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SceneRow {
    /// Its name.
    pub name: String,
    /// Its fold, from 1.
    pub fold: Option<usize>,
    /// The kinds of the scene by the table of kinds.
    pub kinds: Vec<String>,
    /// Its figures.
    #[serde(flatten)]
    pub scores: Summed,
}

/// All predictors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SceneReport {
    /// In the requested order, each once per band set.
    pub entries: Vec<EntryReport>,
    /// The worst scenes, drawn.
    #[serde(skip)]
    pub worst: Option<RgbImage>,
}

impl SceneReport {
    /// Of scored entries; `samples` are the positions of their scenes among those of `kinds`.
    pub(super) fn new(
        scored: Vec<ScoredEntry>,
        kinds: Option<&Kinds>,
        samples: &[usize],
        worst: Option<RgbImage>,
    ) -> Self {
        let entry = |entry: ScoredEntry| {
            let mut reliability = Reliability::default();
            let mut cloud_reliability = Reliability::default();
            for scene in &entry.scenes {
                reliability.merge(&scene.reliability);
                cloud_reliability.merge(&scene.cloud_reliability);
            }
            let row = |(scene, sample): (&SceneTally, &usize)| SceneRow {
                name: scene.name.clone(),
                fold: scene.fold.map(|fold| fold + 1),
                kinds: (kinds.map_or(Vec::new(), |kinds| kinds.of(*sample)))
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                scores: Summed::over(&[scene]),
            };
            EntryReport {
                words: entry.bands(),
                overall: entry.overall(),
                kinds: entry.by_kind(kinds, samples),
                reliability,
                cloud_reliability,
                scenes: entry.scenes.iter().zip(samples).map(row).collect(),
                name: entry.name,
                origin: entry.origin,
                bands: entry.bands,
            }
        };
        Self {
            entries: scored.into_iter().map(entry).collect(),
            worst,
        }
    }

    /// The tables as Markdown, in per cent; errors of calibration as they are.
    pub fn to_markdown(&self, data: &str) -> String {
        let scenes = self.entries.first().map_or(0, |entry| entry.scenes.len());
        let missing =
            (self.entries.iter()).any(|e| e.overall.not_predicted.is_some_and(|s| s > 0.0));
        let mut head: Vec<String> = ["model", "bands"].map(String::from).to_vec();
        head.extend(SUMMED.map(String::from));
        head.extend(["mIoU", "ECE", "ECE of cloud"].map(String::from));
        if missing {
            head.push("not predicted".to_owned());
        }
        let mut rows = vec![head];
        for entry in &self.entries {
            let scores = &entry.overall;
            let mut row = vec![entry.name.clone(), entry.words.clone()];
            row.extend(summed(scores));
            row.extend([
                percent(scores.miou, 1),
                scores.calibration_error.map_or_else(dash, three),
                scores.cloud_calibration_error.map_or_else(dash, three),
            ]);
            if missing {
                row.push(percent(scores.not_predicted, 2));
            }
            rows.push(row);
        }
        let mut text = format!(
            "{} of {data}, each by itself; in per cent. Over the pixels of all scenes: IoU of \
             cloud (thick or thin), the share of pixels labelled not cloud that are predicted as \
             cloud (false), the share of cloud that is not (missed), IoU of shadow where it is \
             labelled. Then means over scenes, and false cloud in the scenes without any cloud.\n",
            text::count(scenes, "scene")
        );
        if missing {
            text += "Labelled pixels that a mask leaves 255 are not scored; their share is in the \
                     last column.\n";
        }
        text += &format!("\n{}", table(&rows));
        let mut head: Vec<String> = ["kind", "model", "bands"].map(String::from).to_vec();
        head.extend(SUMMED.map(String::from));
        let mut rows = vec![head];
        // Models side by side within a kind.
        let mut kinds: Vec<&str> = Vec::new();
        for kind in self.entries.iter().flat_map(|entry| &entry.kinds) {
            if !kinds.contains(&kind.kind.as_str()) {
                kinds.push(&kind.kind);
            }
        }
        for kind in kinds {
            for entry in &self.entries {
                let Some(of) = entry.kinds.iter().find(|of| of.kind == kind) else {
                    continue;
                };
                let mut row = vec![kind.to_owned(), entry.name.clone(), entry.words.clone()];
                row.extend(summed(&of.scores));
                rows.push(row);
            }
        }
        if rows.len() > 1 {
            text += &format!("\nBy kind of scene:\n\n{}", table(&rows));
        }
        text
    }

    /// Writes `scenes.csv`, `worst.png` and a reliability diagram per model and band set,
    /// `reliability-MODEL.png` and `reliability-MODEL-BAND-….png`, into `folder`; pictures
    /// with the feature `figures` alone.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(SCENES_FILE);
        output::write_atomic(&path, |writer| {
            (writer.write_all(self.to_csv()?.as_bytes())).map_err(|e| Error::io(&path, e))
        })?;
        if let Some(worst) = &self.worst {
            save_png(&folder.join(WORST_FILE), worst)?;
        }
        #[cfg(feature = "figures")]
        for entry in self.entries.iter().filter(|e| e.reliability.pixels() > 0) {
            let path = reliability_path(folder, &entry.name, entry.bands.as_deref());
            draw_reliability(&path, &entry.reliability)?;
        }
        Ok(())
    }

    fn to_csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fail = |e: csv::Error| Error::usage(format!("{SCENES_FILE}: {e}"));
        let head = [
            "model",
            "bands",
            "name",
            "fold",
            "kinds",
            "cloud",
            "cloud_iou",
            "false_cloud",
            "missed_cloud",
            "shadow_iou",
            "wrong_pixels",
            "pixels",
            "not_predicted",
        ];
        writer.write_record(head).map_err(fail)?;
        for entry in &self.entries {
            for scene in &entry.scenes {
                let scores = &scene.scores;
                let number =
                    |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.5}"));
                let row = [
                    entry.name.clone(),
                    entry.words.clone(),
                    scene.name.clone(),
                    scene.fold.map_or(String::new(), |fold| fold.to_string()),
                    scene.kinds.join("; "),
                    number(scores.cloud.cover()),
                    number(scores.cloud_iou),
                    number(scores.false_cloud),
                    number(scores.missed_cloud),
                    number(scores.shadow_iou),
                    scores.cloud.wrong().to_string(),
                    scores.cloud.pixels().to_string(),
                    number(scores.not_predicted),
                ];
                writer.write_record(row).map_err(fail)?;
            }
        }
        let bytes = writer
            .into_inner()
            .map_err(|e| fail(e.into_error().into()))?;
        String::from_utf8(bytes).map_err(|e| Error::usage(format!("{SCENES_FILE}: {e}")))
    }
}

/// Where the reliability diagram of a model with some bands goes.
pub(super) fn reliability_path(folder: &Path, name: &str, bands: Option<&[String]>) -> PathBuf {
    let bands = bands.map_or(String::new(), |bands| format!("-{}", bands.join("-")));
    folder.join(format!("reliability-{name}{bands}.png"))
}

/// Heads of [`summed`].
const SUMMED: [&str; 10] = [
    "scenes",
    "cloud IoU",
    "false cloud",
    "missed cloud",
    "shadow IoU",
    "mean cloud IoU",
    "mean false",
    "mean missed",
    "cloud-free scenes",
    "false cloud there",
];

fn summed(scores: &Summed) -> [String; 10] {
    [
        scores.scenes.to_string(),
        percent(scores.cloud_iou, 1),
        percent(scores.false_cloud, 1),
        percent(scores.missed_cloud, 1),
        percent(scores.shadow_iou, 1),
        percent(scores.mean_cloud_iou, 1),
        percent(scores.mean_false_cloud, 1),
        percent(scores.mean_missed_cloud, 1),
        scores.cloud_free_scenes.to_string(),
        percent(scores.cloud_free_false, 1),
    ]
}

fn percent(share: Option<f64>, digits: usize) -> String {
    share.map_or_else(dash, |share| format!("{:.digits$}", 100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(name: &str, label: &[u8], predicted: &[u8]) -> SceneTally {
        let mut scene = SceneTally::new(name.to_owned(), Some(1));
        scene.add_cloud(label, predicted, None);
        scene.confusion.add(label, predicted);
        scene
    }

    #[test]
    fn tables_and_files() {
        let scored = ScoredEntry {
            name: "ukis".to_owned(),
            origin: Origin::Masks,
            bands: None,
            scenes: vec![
                scene("a", &[1, 1, 0, 0], &[1, 0, 0, 255]),
                scene("b", &[0, 0, 0, 0], &[0, 0, 0, 2]),
            ],
        };
        let report = SceneReport::new(vec![scored], None, &[0, 1], None);
        let text = report.to_markdown("data");
        let row: Vec<&str> = (text
            .lines()
            .find(|line| line.starts_with("| ukis"))
            .unwrap())
        .split('|')
        .map(str::trim)
        .collect();
        // 1 of 2 cloud pixels is found, 1 of 5 clear ones is false, 1 of 8 labelled has no
        // prediction.
        let expected = [
            "", "ukis", "all", "2", "33.3", "20.0", "50.0", "–", "50.0", "12.5", "50.0", "1",
            "25.0",
        ];
        assert_eq!(row[..13], expected, "{text}");
        assert_eq!(row[row.len() - 2], "12.50", "{text}");
        assert!(
            text.contains("| cloud-free") && text.contains("| partly cloudy"),
            "{text}"
        );
        assert!(!text.contains("| overcast"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        report.write(folder.path()).unwrap();
        let csv = std::fs::read_to_string(folder.path().join("scenes.csv")).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(
            lines[1],
            "ukis,all,a,2,,0.66667,0.50000,0.00000,0.50000,,1,3,0.25000"
        );
        assert_eq!(lines[2], "ukis,all,b,2,,0.00000,,0.25000,,,1,4,0.00000");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "masks have no reliability"
        );
    }
}
