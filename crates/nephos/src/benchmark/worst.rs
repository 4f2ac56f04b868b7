//! Pictures of the scenes that are predicted worst.

use image::RgbImage;
use ndarray::Array2;

use super::scoring::{Entry, ScoredEntry, Scoring};
use super::tally::SceneTally;
use crate::class::IGNORE;
use crate::error::Result;
use crate::figures::{Strip, StripPanel, class_legend, sample_picture_of_any, strips};

/// Pictures of the worst scenes side by side, and side of a picture in pixels.
const STRIPS_ACROSS: usize = 2;
const STRIP_SIDE: u32 = 256;

impl Scoring<'_> {
    /// Draws the `count` scenes in which most pixels are wrongly cloud or not by `first`,
    /// the scores of the first of `entries` with all bands, each with its label and what
    /// all entries predict.
    ///
    /// # Errors
    /// Samples or masks that can't be read, or a picture that is too large.
    pub(super) fn worst(
        &self,
        entries: &[Entry],
        scored: &[ScoredEntry],
        count: usize,
    ) -> Result<Option<RgbImage>> {
        let all: Vec<&ScoredEntry> = scored.iter().filter(|s| s.bands.is_none()).collect();
        let (Some(entry), Some(first)) = (entries.first(), all.first()) else {
            return Ok(None);
        };
        let dataset = &entry.readings[0].1;
        let samples = self.samples(dataset.len());
        let mut order: Vec<usize> = (0..first.scenes.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(first.scenes[*at].cloud.wrong()));
        order.retain(|at| first.scenes[*at].cloud.wrong() > 0);
        order.truncate(count);
        let mut drawn = Vec::with_capacity(order.len());
        for at in order {
            let sample = samples[at];
            let example = dataset.get(sample)?;
            let picture = sample_picture_of_any(&example, &entry.bands);
            let mut panels = vec![
                StripPanel::Picture(picture),
                StripPanel::Classes(first_classes(&example.label)),
            ];
            let mut captions = vec![example.name.clone()];
            for (entry, scores) in entries.iter().zip(&all) {
                let dataset = &entry.readings[0].1;
                let own = dataset.get(sample)?;
                let (classes, _) = entry.predictor.predict(dataset, &own, self.fold(sample))?;
                panels.push(StripPanel::Classes(classes));
                captions.push(caption(&entry.name, &scores.scenes[at]));
            }
            drawn.push(Strip { panels, captions });
        }
        let mut heads = vec!["true colour".to_owned(), "label".to_owned()];
        heads.extend(entries.iter().map(|entry| entry.name.clone()));
        match drawn.is_empty() {
            true => Ok(None),
            false => {
                let legend = class_legend(true);
                strips(&heads, &drawn, &legend, STRIP_SIDE, STRIPS_ACROSS).map(Some)
            }
        }
    }
}

/// A scene's figures in a line.
fn caption(name: &str, scene: &SceneTally) -> String {
    let share = |part: u64| match scene.cloud.pixels() {
        0 => "–".to_owned(),
        all => format!("{:.1} %", 100.0 * part as f64 / all as f64),
    };
    let iou = (scene.cloud.iou()).map_or("–".to_owned(), |iou| format!("{:.1}", 100.0 * iou));
    format!(
        "{name}: cloud IoU {iou}; of all pixels {} false, {} missed; cloud {}",
        share(scene.cloud.false_cloud),
        share(scene.cloud.missed),
        share(scene.cloud.hits + scene.cloud.missed)
    )
}

/// `label` as single classes, for pictures: of a set its first.
fn first_classes(label: &Array2<u8>) -> Array2<u8> {
    label.mapv(|code| match nephos_kernel::loss::Label::of(code) {
        Some(label) => label.first() as u8,
        None => IGNORE,
    })
}
