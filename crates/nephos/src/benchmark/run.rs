//! Training and scoring of every model on every fold.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::folds::folds;
use super::measure::{PeakMemory, cost};
use super::report::{ModelReport, Report};
use super::result::{FoldResult, fold_folder, write_json};
use super::subset::reading_of;
use crate::config::{Config, DataConfig, MixConfig};
use crate::dataset::{Dataset, open_mix};
use crate::error::{Error, Result};
use crate::model::Bundle;
use crate::model::weights::{self, Identity, fingerprint};
use crate::predict::evaluate;
use crate::train::{
    BatchReport, CHECKPOINT_FILE, Ending, EpochRecord, EpochStart, TrainObserver, Trainer,
};

/// Steps whose time says how many fit a budget of minutes, after one that warms up.
const PACE_STEPS: usize = 4;

/// Checkpoints within a training.
const CHECKPOINTS: usize = 4;

/// How much training a model gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Minutes of training, as the pace of its first steps on this machine has it.
    Minutes(f64),
    /// Optimiser steps: the same on every machine.
    Steps(usize),
}

impl Budget {
    /// In words.
    fn describe(self) -> String {
        match self {
            Self::Minutes(minutes) => format!("{minutes} minutes of training"),
            Self::Steps(steps) => format!("{steps} steps of training"),
        }
    }
}

/// A model to compare: of its configuration the network, the loss and the training
/// count, and not the data.
#[derive(Debug, Clone)]
pub struct Contender {
    /// Its name in the table and of its folder.
    pub name: String,
    /// Its configuration.
    pub config: Config,
}

/// Models against each other.
#[derive(Debug)]
pub struct Benchmark {
    /// The labelled samples.
    pub data: PathBuf,
    /// How they are read; the same for all models.
    pub reading: DataConfig,
    /// Column of the samples' metadata that names their group, which folds do not tear
    /// apart; `None`: each sample is a group of its own, as one scene is.
    pub group_by: Option<String>,
    /// Bands with which alone every model is scored once more, a list a scoring; bands
    /// that are left out must be optional.
    pub also_bands: Vec<Vec<String>>,
    /// The models.
    pub models: Vec<Contender>,
    /// Weights that all models start from, as [`weights::initial`] reads them; `None`:
    /// random ones.
    pub init: Option<PathBuf>,
    /// What each gets.
    pub budget: Budget,
    /// Number of folds.
    pub folds: usize,
    /// Of these, how many are trained, the first ones.
    pub folds_run: usize,
    /// Seed of all runs.
    pub seed: u64,
    /// Where everything is kept.
    pub folder: PathBuf,
    /// Where it is computed; without autodiff.
    pub device: Device,
}

/// Steps of a model, once they are known.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    fingerprint: String,
    steps: usize,
}

/// The samples and their folds, and what every fold is trained on besides.
pub(super) struct Folded {
    dataset: Dataset,
    fold: Vec<usize>,
    mix: Vec<(Dataset, MixConfig)>,
}

impl Benchmark {
    /// Trains and scores what is not done yet, and reports; `None` when the observer
    /// stopped it. `status` is told in words what goes on.
    ///
    /// # Errors
    /// Samples that can't be read or are too few, a model that can't be trained on
    /// them, or a folder with results of another configuration.
    pub fn run(
        &self,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(String),
    ) -> Result<Option<Report>> {
        let subsets = (self.also_bands.iter())
            .map(|bands| Dataset::open(&self.data, &reading_of(&self.reading, bands)?))
            .collect::<Result<Vec<_>>>()?;
        let folded = self.fold()?;
        let mut models = Vec::new();
        for contender in &self.models {
            let config = self.config_of(contender, PACE_STEPS + 1);
            config.validate().map_err(|message| {
                Error::usage(format!("the model {}: {message}", contender.name))
            })?;
            let folder = self.folder.join(&contender.name);
            let steps = self.steps(&config, &folder, &folded, observer, status)?;
            let config = self.config_of(contender, steps);
            let mut results = Vec::new();
            for fold in 0..self.folds_run.min(self.folds) {
                let name = format!("{}, fold {} of {}", contender.name, fold + 1, self.folds);
                let folder = fold_folder(&folder, fold);
                match self.result(
                    &config,
                    &folder,
                    &folded,
                    fold,
                    steps,
                    observer,
                    &mut |text| {
                        status(format!("{name}: {text}"));
                    },
                )? {
                    Some(result) => results.push(result),
                    None => return Ok(None),
                }
            }
            self.calibrate(&folder, &folded, &mut results)?;
            self.score_subsets(&folder, &folded, &subsets, &mut results)?;
            models.extend(ModelReport::new(&contender.name, results));
        }
        let report = Report {
            data: self.data.display().to_string(),
            bands: self.reading.bands.clone(),
            folds: self.folds,
            budget: self.budget.describe(),
            seed: self.seed,
            threads: rayon::current_num_threads(),
            models,
        };
        report.write(&self.folder)?;
        Ok(Some(report))
    }

    /// Opens the samples and deals them out.
    fn fold(&self) -> Result<Folded> {
        let dataset = Dataset::open(&self.data, &self.reading)?;
        let mut groups = Vec::with_capacity(dataset.len());
        let mut pixels = Vec::with_capacity(dataset.len());
        for index in 0..dataset.len() {
            let example = dataset.get(index)?;
            let mut counts = vec![0u64; usize::from(u8::MAX) + 1];
            for label in &example.label {
                counts[usize::from(*label)] += 1;
            }
            counts.pop();
            groups.push(example.name);
            pixels.push(counts);
        }
        if let Some(column) = &self.group_by {
            groups = dataset.column(column)?;
        }
        let fold = folds(&groups, &pixels, self.folds)?;
        let mix = open_mix(&self.reading)?;
        Ok(Folded { dataset, fold, mix })
    }

    /// The configuration of a training of so many steps: the model's own, but for the
    /// data. It is one epoch, and without validation: what is held out must not choose the
    /// weights.
    fn config_of(&self, contender: &Contender, steps: usize) -> Config {
        let mut config = contender.config.clone();
        config.name = contender.name.clone();
        config.seed = self.seed;
        config.data = DataConfig {
            train: None,
            val: None,
            val_fraction: None,
            val_names: Vec::new(),
            test: None,
            ..self.reading.clone()
        };
        config.train.epochs = 1;
        config.train.patience = None;
        let visits = steps * config.train.batch_size * config.train.accumulate;
        config.data.sampling.epoch = Some(visits.max(1));
        config
    }

    /// How many steps a model gets.
    fn steps(
        &self,
        config: &Config,
        folder: &Path,
        folded: &Folded,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(String),
    ) -> Result<usize> {
        let minutes = match self.budget {
            Budget::Steps(steps) => return Ok(steps.max(1)),
            Budget::Minutes(minutes) => minutes,
        };
        let path = folder.join("plan.json");
        let text = format!("{}\n{minutes} minutes", config.to_toml()?);
        let print = fingerprint(&text);
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(plan) = serde_json::from_str::<Plan>(&text)
            && plan.fingerprint == print
        {
            return Ok(plan.steps);
        }
        let scratch = tempfile::tempdir().map_err(|e| Error::io(folder, e))?;
        let train = folded.training(0)?;
        let mut pace = Pace {
            observer,
            first: None,
            seconds: 0.0,
        };
        Trainer::new(config.clone(), scratch.path(), self.device.clone())
            .run(&train, None, &mut pace)?;
        let seconds = pace.seconds / PACE_STEPS as f64;
        let steps = ((60.0 * minutes / seconds.max(1e-6)) as usize).max(1);
        status(format!(
            "{}: {seconds:.2} s a step, so {steps} steps in {minutes} minutes",
            config.name
        ));
        let plan = Plan {
            fingerprint: print,
            steps,
        };
        write_json(&path, &plan)?;
        Ok(steps)
    }

    /// The result on a fold: the one that is there, or a new one.
    #[allow(clippy::too_many_arguments)]
    fn result(
        &self,
        config: &Config,
        folder: &Path,
        folded: &Folded,
        fold: usize,
        steps: usize,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(&str),
    ) -> Result<Option<FoldResult>> {
        let held = folded.held(fold)?;
        let samples: Vec<String> = (0..held.len()).map(|index| held.name(index)).collect();
        let start = match &self.init {
            Some(path) => format!("\nstarts from {}", Identity::of(path)?.sha256),
            None => String::new(),
        };
        let print = fingerprint(&format!(
            "{}\n{}\n{steps} steps\nheld out: {}{start}",
            config.to_toml()?,
            self.data.display(),
            samples.join("\n")
        ));
        if let Some(result) = FoldResult::read(folder)? {
            if result.fingerprint != print {
                return Err(Error::usage(format!(
                    "{} holds the result of another configuration, budget or data: choose \
                     another --out, or delete it",
                    folder.display()
                )));
            }
            status("done already");
            return Ok(Some(result));
        }
        let train = folded.training(fold)?;
        let resume = folder.join(CHECKPOINT_FILE).exists();
        status(if resume { "goes on" } else { "trains" });
        let init = match &self.init {
            Some(path) => Some(weights::initial(config, path, &self.device)?.0),
            None => None,
        };
        let memory = PeakMemory::start();
        let outcome = Trainer::new(config.clone(), folder, self.device.clone())
            .init(init)
            .resume(resume)
            .checkpoint_every(Some(steps.div_ceil(CHECKPOINTS)))
            .run(&train, None, observer)?;
        let training_memory = memory.peak();
        if outcome.ending == Ending::Interrupted {
            return Ok(None);
        }
        // Of all sessions: images a second are over the whole epoch.
        let visits = config.data.sampling.epoch.unwrap_or(train.len());
        let training_seconds =
            (outcome.history.first()).map_or(0.0, |epoch| visits as f64 / epoch.images_per_second);
        let bundle = Bundle::load(&folder.join("last.nephos"), &self.device)?;
        status("is scored");
        let evaluation = evaluate(&bundle, &held, &self.device, |_| ())?;
        let result = FoldResult {
            fingerprint: print,
            steps: outcome.steps,
            training_seconds,
            training_memory,
            samples,
            confusion: evaluation.confusion,
            loss: evaluation.loss,
            reliability: evaluation.reliability,
            calibrated: None,
            subsets: Vec::new(),
            cost: cost(&bundle, &self.device)?,
        };
        result.write(folder)?;
        Ok(Some(result))
    }
}

impl Folded {
    /// The samples that are not in `fold`, with those of `data.mix`.
    fn training(&self, fold: usize) -> Result<Dataset> {
        let kept = self.dataset.subset(self.indices(|of| of != fold))?;
        Ok(kept.mixed(self.mix.clone()))
    }

    /// The samples in `fold`.
    pub(super) fn held(&self, fold: usize) -> Result<Dataset> {
        self.dataset.subset(self.indices(|of| of == fold))
    }

    /// Positions of the samples whose fold is wanted.
    pub(super) fn indices(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let places = self.fold.iter().enumerate();
        places
            .filter(|(_, fold)| wanted(**fold))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Takes the time from the first batch to the last.
struct Pace<'a> {
    observer: &'a mut dyn TrainObserver,
    first: Option<Instant>,
    seconds: f64,
}

impl TrainObserver for Pace<'_> {
    fn epoch_started(&mut self, start: &EpochStart) {
        self.observer.epoch_started(start);
    }

    fn batch(&mut self, report: &BatchReport) {
        let first = *self.first.get_or_insert_with(Instant::now);
        self.seconds = first.elapsed().as_secs_f64();
        self.observer.batch(report);
    }

    fn epoch_finished(&mut self, record: &EpochRecord, best: bool) {
        self.observer.epoch_finished(record, best);
    }
}
