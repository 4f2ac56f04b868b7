//! Scores of predictions scene by scene: of trained models, of existing weights, and
//! of external masks, all by the same code.

use std::path::{Path, PathBuf};

use crate::device::Device;
use serde::Serialize;

use super::given::{Given, GivenBy, Origin, Predictor, tally, weights_paths};
use super::kinds::Kinds;
use super::subset::reading_of;
use super::tally::{SceneTally, Summed};
use crate::config::DataConfig;
use crate::data::Dataset;
use crate::error::Result;
use crate::text;

/// One predictor's scores with some bands.
#[derive(Debug, Clone)]
pub struct ScoredEntry {
    /// Its name.
    pub name: String,
    /// Where its predictions are from.
    pub origin: Origin,
    /// The bands that it was given; `None`: all that it reads and the samples have.
    pub bands: Option<Vec<String>>,
    /// Each scene, in the order of the samples.
    pub scenes: Vec<SceneTally>,
}

/// Scores over the scenes of a kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindScores {
    /// The kind.
    pub kind: String,
    /// The scores.
    #[serde(flatten)]
    pub scores: Summed,
}

/// The samples to score and how.
pub(super) struct Scoring<'a> {
    /// The container, and positions in it of the samples that take part; `None`: all.
    pub data: (&'a Path, Option<&'a [usize]>),
    /// The fold of each sample that takes part, and the number of folds.
    pub folds: Option<(&'a [usize], usize)>,
    /// Folds whose samples are scored, the first ones.
    pub folds_run: usize,
    /// Band sets to score besides.
    pub also_bands: &'a [Vec<String>],
    /// Device.
    pub device: &'a Device,
}

/// A predictor with the samples as it reads them, once per band set.
pub(super) struct Entry {
    pub(super) name: String,
    origin: Origin,
    pub(super) predictor: Predictor,
    /// The bands read, all of them.
    #[cfg_attr(not(feature = "figures"), expect(dead_code))]
    pub(super) bands: Vec<String>,
    pub(super) readings: Vec<(Option<Vec<String>>, Dataset)>,
}

impl Scoring<'_> {
    fn open(&self, reading: &DataConfig) -> Result<Dataset> {
        let (path, only) = self.data;
        open_whole(path, only, reading)
    }

    /// What was given, ready to predict; masks are compared with the samples as `reading`
    /// defines.
    ///
    /// # Errors
    /// Weights or samples that can't be read, or bands that can't be left out.
    pub(super) fn given(&self, given: &Given, reading: &DataConfig) -> Result<Entry> {
        match &given.by {
            GivenBy::Masks(masks) => Ok(Entry {
                name: given.name.clone(),
                origin: Origin::Masks,
                predictor: Predictor::Masks(masks.clone()),
                bands: reading.bands.clone(),
                readings: vec![(None, self.open(reading)?)],
            }),
            GivenBy::Weights { path, reading } => {
                let mut paths = weights_paths(path, self.folds.map(|(_, count)| count))?;
                paths.truncate(self.folds_run.max(1));
                self.weights(&given.name, Origin::Weights, &paths, reading)
            }
        }
    }

    /// Weights, one or one per fold, ready to predict.
    ///
    /// # Errors
    /// As for [`Scoring::given`].
    pub(super) fn weights(
        &self,
        name: &str,
        origin: Origin,
        paths: &[PathBuf],
        reading: &DataConfig,
    ) -> Result<Entry> {
        let mut readings = vec![(None, self.open(reading)?)];
        for bands in self.also_bands {
            let dataset = self.open(&reading_of(reading, bands)?)?;
            readings.push((Some(bands.clone()), dataset));
        }
        Ok(Entry {
            name: name.to_owned(),
            origin,
            predictor: Predictor::of_weights(paths, reading, self.device)?,
            bands: reading.bands.clone(),
            readings,
        })
    }

    pub(super) fn fold(&self, sample: usize) -> Option<usize> {
        self.folds.map(|(fold, _)| fold[sample])
    }

    /// Positions of the samples that are scored, of `count`.
    pub(super) fn samples(&self, count: usize) -> Vec<usize> {
        let runs = |sample: &usize| self.fold(*sample).is_none_or(|fold| fold < self.folds_run);
        (0..count).filter(runs).collect()
    }

    /// Scores an entry, once per band set; `status` receives messages of progress.
    ///
    /// # Errors
    /// Samples or masks that can't be read.
    pub(super) fn score(
        &self,
        entry: &Entry,
        status: &mut dyn FnMut(String),
    ) -> Result<Vec<ScoredEntry>> {
        let mut scored = Vec::with_capacity(entry.readings.len());
        for (bands, dataset) in &entry.readings {
            let samples = self.samples(dataset.len());
            let with =
                (bands.as_ref()).map_or(String::new(), |b| format!(" with {}", b.join(", ")));
            let count = text::count(samples.len(), "sample");
            status(format!("{}{with}: scoring {count}", entry.name));
            let mut scenes = Vec::with_capacity(samples.len());
            for sample in samples {
                let example = dataset.get(sample)?;
                let fold = self.fold(sample);
                let predicted = entry.predictor.predict(dataset, &example, fold)?;
                scenes.push(tally(dataset, sample, &example, fold, &predicted));
            }
            scored.push(ScoredEntry {
                name: entry.name.clone(),
                origin: entry.origin,
                bands: bands.clone(),
                scenes,
            });
        }
        Ok(scored)
    }
}

/// Opens the samples at `only`, or all, by `reading` but at their own size.
///
/// # Errors
/// A container that can't be opened.
pub(super) fn open_whole(
    path: &Path,
    only: Option<&[usize]>,
    reading: &DataConfig,
) -> Result<Dataset> {
    let whole = DataConfig {
        size: None,
        ..reading.clone()
    };
    let dataset = Dataset::open(path, &whole)?;
    match only {
        Some(only) => dataset.subset(only.to_vec()),
        None => Ok(dataset),
    }
}

impl ScoredEntry {
    /// The bands as text.
    pub(super) fn bands(&self) -> String {
        (self.bands.as_ref()).map_or_else(|| "all".to_owned(), |bands| bands.join(", "))
    }

    /// Over all scenes.
    pub fn overall(&self) -> Summed {
        Summed::over(&self.scenes.iter().collect::<Vec<_>>())
    }

    /// By share of cloud in the label, then by `kinds` of the samples at `samples`; kinds of
    /// which there is no scene are left out.
    pub fn by_kind(&self, kinds: Option<&Kinds>, samples: &[usize]) -> Vec<KindScores> {
        let mut found = Vec::new();
        let mut push = |kind: &str, scenes: Vec<&SceneTally>| {
            if !scenes.is_empty() {
                found.push(KindScores {
                    kind: kind.to_owned(),
                    scores: Summed::over(&scenes),
                });
            }
        };
        let by = |is: &dyn Fn(&SceneTally) -> bool| {
            self.scenes
                .iter()
                .filter(|scene| is(scene))
                .collect::<Vec<_>>()
        };
        push("cloud-free", by(&SceneTally::is_cloud_free));
        let partly = |scene: &SceneTally| !scene.is_cloud_free() && !scene.is_overcast();
        push("partly cloudy", by(&partly));
        push("overcast", by(&SceneTally::is_overcast));
        for (kind, of) in kinds.into_iter().flat_map(Kinds::iter) {
            let scenes = self.scenes.iter().zip(samples);
            push(
                kind,
                scenes
                    .filter(|(_, at)| of[**at])
                    .map(|(scene, _)| scene)
                    .collect(),
            );
        }
        found
    }
}
