//! Training and scoring of every model on every fold.

use std::path::{Path, PathBuf};

use crate::device::Device;

use super::chosen::{folds_of_table, listed};
use super::folds::folds;
use super::given::{FOLD, Given, GivenBy, Origin};
use super::kinds::Kinds;
use super::measure::{Cost, cost};
use super::plan::Budget;
use super::report::{ModelReport, Report};
use super::result::{FoldResult, fold_folder, write_json};
use super::scene_report::{SCENES_FILE, SceneReport, WORST_FILE, reliability_path};
use super::scoring::{ScoredEntry, Scoring, open_whole};
use super::subset::{Subset, reading_of};
use super::training::{DONE_FILE, Training, of_another};
use crate::config::{Config, DataConfig, MixConfig, SamplingConfig};
use crate::data::{Dataset, open_mix};
use crate::error::{Error, Result};
use crate::evaluate::evaluate;
use crate::metrics::{ConfusionMatrix, Reliability};
use crate::train::{LAST_FILE, TrainObserver, lock_run};
use crate::weights::Bundle;

/// Share of its learning rate that a model trains with once it was trained on
/// `data.mix` alone.
const FINE_TUNING: f64 = 1.0 / 3.0;

/// A model to compare: of its configuration the network, the loss and the training
/// count, and not the data.
#[derive(Debug, Clone)]
pub struct Contender {
    /// Its name in the table and of its folder.
    pub name: String,
    /// Its configuration.
    pub config: Config,
}

/// A comparison of models.
#[derive(Debug)]
pub struct Benchmark {
    /// The labelled samples.
    pub data: PathBuf,
    /// A list of names: only these samples take part.
    pub only: Option<PathBuf>,
    /// How they are read; the same for all models.
    pub reading: DataConfig,
    /// Column of the samples' metadata that names their group, which stays within one
    /// fold; `None`: each sample is a group of its own, as one scene is.
    pub group_by: Option<String>,
    /// A table with a column `fold`, from 1; `None`: folds are drawn.
    pub fold_table: Option<PathBuf>,
    /// Bands with which alone every model is scored once more, one list per scoring; bands
    /// that are left out must be optional.
    pub also_bands: Vec<Vec<String>>,
    /// The models to train; there may be none where something is `given`.
    pub models: Vec<Contender>,
    /// What is scored as it is.
    pub given: Vec<Given>,
    /// A table about the samples and the columns of it that are kinds, all that can be where
    /// none is named; scores are reported by kind too.
    pub kinds: Option<(PathBuf, Vec<String>)>,
    /// How many of the worst scenes are drawn.
    pub worst: usize,
    /// Weights that all models start from, as
    /// [`weights::initial`](crate::weights::initial) reads them; `None`: random ones.
    pub init: Option<PathBuf>,
    /// What each gets, once, on the containers of `data.mix` alone, before the folds: all
    /// of these start from the resulting weights, at a third of the model's learning rate.
    pub mix_before: Option<Budget>,
    /// What each gets on each fold; `None` where there are no models.
    pub budget: Option<Budget>,
    /// Number of folds.
    pub folds: usize,
    /// Of these, how many are trained, the first ones.
    pub folds_run: usize,
    /// Seed of all runs.
    pub seed: u64,
    /// Folder of all results.
    pub folder: PathBuf,
    /// Device; without autodiff.
    pub device: Device,
}

/// The samples and their folds, and what every fold is trained on besides.
pub(super) struct Folded {
    dataset: Dataset,
    /// The same samples at their own size, to be scored on.
    whole: Dataset,
    fold: Vec<usize>,
    /// The number of folds.
    count: usize,
    mix: Vec<(Dataset, MixConfig)>,
}

impl Benchmark {
    /// Trains and scores what is not done yet, and reports; `None` when the observer
    /// stopped it. `status` receives messages of progress.
    ///
    /// # Errors
    /// Samples that can't be read or are too few, a model that can't be trained on
    /// them, a mask that is missing or does not fit, or a folder with results of another
    /// configuration, or that another process has locked.
    pub fn run(
        &self,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(String),
    ) -> Result<Option<Report>> {
        let _lock = lock_run(&self.folder)?;
        let names = names(&Dataset::open(&self.data, &self.reading)?);
        let only = (self.only.as_deref().map(|path| listed(path, &names))).transpose()?;
        let names: Vec<String> = match &only {
            Some(only) => only.iter().map(|index| names[*index].clone()).collect(),
            None => names,
        };
        // Tables are checked before anything is trained.
        let kinds = (self.kinds.as_ref())
            .map(|(path, columns)| Kinds::read(path, columns, &names))
            .transpose()?;
        let per_fold = |given: &Given| match &given.by {
            GivenBy::Weights { path, .. } => path.to_string_lossy().contains(FOLD),
            GivenBy::Masks(_) => false,
        };
        let folded = (!self.models.is_empty() || self.given.iter().any(per_fold))
            .then(|| self.fold(only.as_deref()))
            .transpose()?;
        let mut models = Vec::new();
        if let Some(folded) = folded.as_ref().filter(|_| !self.models.is_empty()) {
            match self.train(folded, only.as_deref(), observer, status)? {
                Some(trained) => models = trained,
                None => return Ok(None),
            }
        }
        let mut scenes = None;
        if !self.given.is_empty() || kinds.is_some() || self.worst > 0 {
            let scoring = Scoring {
                data: (&self.data, only.as_deref()),
                folds: (folded.as_ref()).map(|folded| (folded.fold.as_slice(), folded.count)),
                folds_run: folded.as_ref().map_or(1, |f| self.folds_run.min(f.count)),
                also_bands: &self.also_bands,
                device: &self.device,
            };
            let (scored, worst) = self.score_scenes(&scoring, status)?;
            if let Some(folded) = folded.as_ref().filter(|_| !models.is_empty()) {
                models.extend(self.given_reports(&scored, folded)?);
            }
            let samples = scoring.samples(names.len());
            scenes = Some(SceneReport::new(scored, kinds.as_ref(), &samples, worst));
        }
        let report = Report {
            data: self.data.display().to_string(),
            bands: self.reading.bands.clone(),
            folds: folded.map_or(self.folds, |folded| folded.count),
            budget: match (self.budget, self.mix_before) {
                (Some(budget), Some(before)) => format!(
                    "{} after {} on data.mix alone",
                    budget.describe(),
                    before.describe()
                ),
                (Some(budget), None) => budget.describe(),
                (None, _) => "no training".to_owned(),
            },
            seed: self.seed,
            threads: rayon::current_num_threads(),
            models,
            scenes,
        };
        report.write(&self.folder)?;
        Ok(Some(report))
    }

    /// The files that [`Benchmark::run`] writes into its folder beside those of trainings.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = ["benchmark.md", "benchmark.json", "benchmark.png"]
            .map(String::from)
            .to_vec();
        files.extend([SCENES_FILE, WORST_FILE].map(String::from));
        let mut files: Vec<PathBuf> = files.iter().map(|name| self.folder.join(name)).collect();
        let weights = self
            .given
            .iter()
            .filter(|g| matches!(g.by, GivenBy::Weights { .. }));
        let names = (self.models.iter().map(|model| &model.name)).chain(weights.map(|g| &g.name));
        for name in names {
            let sets = self.also_bands.iter().map(|bands| Some(bands.as_slice()));
            let sets = std::iter::once(None).chain(sets);
            files.extend(sets.map(|bands| reliability_path(&self.folder, name, bands)));
        }
        files
    }

    /// Trains and scores every model on every fold.
    fn train(
        &self,
        folded: &Folded,
        only: Option<&[usize]>,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(String),
    ) -> Result<Option<Vec<ModelReport>>> {
        let budget = self
            .budget
            .ok_or_else(|| Error::usage("`options.budget` must say how long each model trains"))?;
        self.check_steps()?;
        let subsets = (self.also_bands.iter())
            .map(|bands| open_whole(&self.data, only, &reading_of(&self.reading, bands)?))
            .collect::<Result<Vec<_>>>()?;
        for note in folded.training(0)?.notes() {
            status(format!("note: {note}"));
        }
        let mut models = Vec::new();
        for contender in &self.models {
            (self.config_of(contender, 1).validate()).map_err(|message| {
                Error::usage(format!("the model {}: {message}", contender.name))
            })?;
            let folder = self.folder.join(&contender.name);
            let mut init = self.init.clone();
            let mut steps_before = None;
            if let Some(budget) = self.mix_before {
                match self.before(contender, budget, folded, observer, status)? {
                    Some((weights, steps)) => {
                        init = Some(weights);
                        steps_before = Some(steps);
                    }
                    None => return Ok(None),
                }
            }
            let config_of = |steps| {
                let mut config = self.config_of(contender, steps);
                if self.mix_before.is_some() {
                    config.train.optimizer.lr *= FINE_TUNING;
                }
                config
            };
            let train = folded.training(0)?;
            let device = &self.device;
            let Some(steps) = budget.steps(config_of, &train, &folder, device, observer, status)?
            else {
                return Ok(None);
            };
            let training = Training {
                config: config_of(steps),
                steps,
                init,
            };
            let mut results = Vec::new();
            for fold in 0..self.folds_run.min(folded.count) {
                let name = format!("{}, fold {} of {}", contender.name, fold + 1, folded.count);
                let folder = fold_folder(&folder, fold);
                let status = &mut |text: &str| status(format!("{name}: {text}"));
                match self.result(&training, &folder, folded, fold, observer, status)? {
                    Some(result) => results.push(result),
                    None => return Ok(None),
                }
            }
            self.calibrate(&folder, folded, &mut results)?;
            self.score_subsets(&folder, folded, &subsets, &mut results)?;
            models.extend(ModelReport::new(&contender.name, steps_before, results));
        }
        Ok(Some(models))
    }

    /// Scores trained models, weights and masks scene by scene, and draws the worst scenes.
    fn score_scenes(
        &self,
        scoring: &Scoring<'_>,
        status: &mut dyn FnMut(String),
    ) -> Result<(Vec<ScoredEntry>, Option<image::RgbImage>)> {
        let trained = |contender: &Contender| {
            let folder = self.folder.join(&contender.name);
            let paths: Vec<PathBuf> = (0..scoring.folds_run)
                .map(|fold| fold_folder(&folder, fold).join(LAST_FILE))
                .collect();
            scoring.weights(&contender.name, Origin::Trained, &paths, &self.reading)
        };
        let mut entries = self
            .models
            .iter()
            .map(trained)
            .collect::<Result<Vec<_>>>()?;
        for given in &self.given {
            entries.push(scoring.given(given, &self.reading)?);
        }
        let mut scored = Vec::new();
        for entry in &entries {
            scored.extend(scoring.score(entry, status)?);
        }
        #[cfg(feature = "figures")]
        let worst = scoring.worst(&entries, &scored, self.worst)?;
        #[cfg(not(feature = "figures"))]
        let worst = None;
        Ok((scored, worst))
    }

    /// What was given as models of the table over folds.
    fn given_reports(&self, scored: &[ScoredEntry], folded: &Folded) -> Result<Vec<ModelReport>> {
        let mut reports = Vec::new();
        for given in &self.given {
            let cost: Option<Cost> = match &given.by {
                GivenBy::Masks(_) => None,
                GivenBy::Weights { path, .. } => {
                    let path = path.to_string_lossy().replace(FOLD, "1");
                    let bundle = Bundle::load(Path::new(&path))?;
                    Some(cost(&bundle, &self.device)?)
                }
            };
            let own: Vec<&ScoredEntry> = scored.iter().filter(|s| s.name == given.name).collect();
            let results = (0..self.folds_run.min(folded.count)).map(|fold| {
                let of = |entry: &ScoredEntry| {
                    let mut sum = ConfusionMatrix::new(crate::class::CLASS_COUNT);
                    let (mut reliability, mut names) = (Reliability::default(), Vec::new());
                    for scene in entry.scenes.iter().filter(|scene| scene.fold == Some(fold)) {
                        sum.merge(&scene.confusion);
                        reliability.merge(&scene.reliability);
                        names.push(scene.name.clone());
                    }
                    (sum, reliability, names)
                };
                let (whole, fewer): (Vec<&ScoredEntry>, Vec<&ScoredEntry>) =
                    own.iter().partition(|entry| entry.bands.is_none());
                let subsets = fewer.into_iter().filter_map(|entry| {
                    let (confusion, reliability, _) = of(entry);
                    Some(Subset {
                        bands: entry.bands.clone()?,
                        confusion,
                        reliability,
                    })
                });
                let (confusion, reliability, samples) = of(whole.first()?);
                Some(FoldResult {
                    fingerprint: String::new(),
                    steps: 0,
                    training_seconds: 0.0,
                    training_memory: None,
                    samples,
                    confusion,
                    loss: None,
                    reliability,
                    calibrated: None,
                    subsets: subsets.collect(),
                    cost: cost.clone(),
                })
            });
            let results: Vec<FoldResult> = results.flatten().collect();
            reports.extend(ModelReport::new(&given.name, None, results));
        }
        Ok(reports)
    }

    /// Opens the samples at `only`, or all, and assigns folds.
    fn fold(&self, only: Option<&[usize]>) -> Result<Folded> {
        let dataset = Dataset::open(&self.data, &self.reading)?;
        let dataset = match only {
            Some(only) => dataset.subset(only.to_vec())?,
            None => dataset,
        };
        let whole = open_whole(&self.data, only, &self.reading)?;
        let mix = match self.models.is_empty() {
            true => Vec::new(),
            false => open_mix(&self.reading)?,
        };
        if let Some(table) = &self.fold_table {
            let (fold, count) = folds_of_table(table, &names(&dataset))?;
            return Ok(Folded {
                dataset,
                whole,
                fold,
                count,
                mix,
            });
        }
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
        Ok(Folded {
            dataset,
            whole,
            fold,
            count: self.folds,
            mix,
        })
    }

    /// The configuration of a training of this number of steps: the model's own, but for the
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
        // Values beyond all bounds were refused before; only a measured pace may reach it.
        let draws = steps
            .saturating_mul(config.train.batch_size)
            .saturating_mul(config.train.accumulate);
        config.data.sampling.epoch = Some(draws.clamp(1, SamplingConfig::MOST_SAMPLES));
        config
    }

    /// Refuses budgets of more steps than an epoch can hold samples.
    fn check_steps(&self) -> Result<()> {
        for (option, budget) in [("budget", self.budget), ("mix_before", self.mix_before)] {
            let Some(Budget::Steps(steps)) = budget else {
                continue;
            };
            for contender in &self.models {
                let train = &contender.config.train;
                let most = SamplingConfig::MOST_SAMPLES / (train.batch_size * train.accumulate);
                if steps > most {
                    return Err(Error::usage(format!(
                        "`options.{option} = {steps}`: at most {most} steps for {} in batches of \
                         {}",
                        contender.name,
                        train.batch_size * train.accumulate
                    )));
                }
            }
        }
        Ok(())
    }

    /// Trains a model on `data.mix` alone, or finds that it is done: its weights, and its
    /// steps; `None` when the observer stopped it.
    fn before(
        &self,
        contender: &Contender,
        budget: Budget,
        folded: &Folded,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(String),
    ) -> Result<Option<(PathBuf, usize)>> {
        let train = Dataset::concatenated(&folded.mix).ok_or_else(|| {
            Error::usage("there are no containers in data.mix to train on before the folds")
        })?;
        let folder = self.folder.join(&contender.name).join("before");
        let config_of = |steps| self.config_of(contender, steps);
        let device = &self.device;
        let Some(steps) = budget.steps(config_of, &train, &folder, device, observer, status)?
        else {
            return Ok(None);
        };
        let training = Training {
            config: config_of(steps),
            steps,
            init: self.init.clone(),
        };
        let weights = folder.join(LAST_FILE);
        let print = training.fingerprint("before the folds")?;
        if Training::is_done(&folder, &print)? {
            return Ok(Some((weights, steps)));
        }
        status(format!("{}: training on data.mix alone", contender.name));
        if training
            .run(&train, &folder, &self.device, observer)?
            .is_none()
        {
            return Ok(None);
        }
        write_json(&folder.join(DONE_FILE), &print)?;
        Ok(Some((weights, steps)))
    }

    /// The result on a fold: the existing one, or a new one.
    fn result(
        &self,
        training: &Training,
        folder: &Path,
        folded: &Folded,
        fold: usize,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(&str),
    ) -> Result<Option<FoldResult>> {
        let held = folded.held(fold)?;
        let samples: Vec<String> = (0..held.len()).map(|index| held.name(index)).collect();
        let print = training.fingerprint(&format!(
            "{}\nheld out: {}",
            self.data.display(),
            samples.join("\n")
        ))?;
        if let Some(result) = FoldResult::read(folder)? {
            if result.fingerprint != print {
                return Err(of_another(folder));
            }
            status("skipped: its result is there");
            return Ok(Some(result));
        }
        let train = folded.training(fold)?;
        status(if Training::is_begun(folder) {
            "resuming"
        } else {
            "training"
        });
        let Some(trained) = training.run(&train, folder, &self.device, observer)? else {
            return Ok(None);
        };
        let bundle = Bundle::load(&folder.join(LAST_FILE))?;
        status("scoring");
        let evaluation = evaluate(&bundle, &held, &self.device, |_| Ok(()))?;
        let result = FoldResult {
            fingerprint: print,
            steps: trained.steps,
            training_seconds: trained.seconds,
            training_memory: trained.memory,
            samples,
            confusion: evaluation.confusion,
            loss: evaluation.loss,
            reliability: evaluation.reliability,
            calibrated: None,
            subsets: Vec::new(),
            cost: Some(cost(&bundle, &self.device)?),
        };
        result.write(folder)?;
        Ok(Some(result))
    }
}

impl Folded {
    /// The samples that are not in `fold`, with those of `data.mix`.
    fn training(&self, fold: usize) -> Result<Dataset> {
        let rest = self.dataset.subset(self.indices(|of| of != fold))?;
        Ok(rest.mixed(self.mix.clone()))
    }

    /// The samples in `fold`, whole.
    pub(super) fn held(&self, fold: usize) -> Result<Dataset> {
        self.whole.subset(self.indices(|of| of == fold))
    }

    /// Positions of the samples of the chosen folds.
    pub(super) fn indices(&self, requested: impl Fn(usize) -> bool) -> Vec<usize> {
        let places = self.fold.iter().enumerate();
        places
            .filter(|(_, fold)| requested(**fold))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Names of the samples of a data set.
fn names(dataset: &Dataset) -> Vec<String> {
    (0..dataset.len())
        .map(|index| dataset.name(index))
        .collect()
}
