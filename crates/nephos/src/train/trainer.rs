//! A training run from its first step to its last checkpoint.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{self, Best, Checkpoint, State};
use super::epoch::{Flow, steps_of_epoch};
use super::history::{self, EpochRecord};
use super::masked::Masking;
use super::memory;
use super::observer::TrainObserver;
use super::resume;
use super::tensorboard::{self, EventWriter};
use crate::config::Config;
use crate::data::{DataSource, Dataset};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::metrics;
use crate::network::{Learner, Network};
use crate::output;
use crate::text;
use crate::weights::{Bundle, NamedTensor, Parameter, Summary, exchange};

/// Locked in a run's folder as long as a process trains there.
const LOCK_FILE: &str = ".nephos.lock";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done.
    Finished,
    /// The validation loss got no better for `train.patience` epochs.
    StoppedEarly,
    /// The observer asked to stop; the run can be resumed.
    Interrupted,
}

/// The outcome of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The best epoch, once one is done.
    pub best: Option<Best>,
    /// Mean IoU on validation of the majority-class baseline.
    pub majority_class_miou: Option<f64>,
    /// One record per finished epoch.
    pub history: Vec<EpochRecord>,
    /// Optimiser steps.
    pub steps: usize,
}

/// Trains a network and keeps a folder of its run.
#[derive(Debug)]
pub struct Trainer {
    config: Config,
    folder: PathBuf,
    device: Device,
    init: Option<Vec<NamedTensor>>,
    resume: bool,
    checkpoint_every: Option<usize>,
}

impl Trainer {
    /// A run of `config` on `device` in `folder`.
    pub fn new(config: Config, folder: impl Into<PathBuf>, device: Device) -> Self {
        Self {
            config,
            folder: folder.into(),
            device,
            init: None,
            resume: false,
            checkpoint_every: None,
        }
    }

    /// Starts from these weights, under PyTorch's names, instead of random ones; a resumed run
    /// has its own.
    pub fn init(mut self, weights: Option<Vec<NamedTensor>>) -> Self {
        self.init = weights;
        self
    }

    /// Resumes the run in the folder.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Writes a checkpoint after this number of steps too, not only after epochs.
    pub fn checkpoint_every(mut self, steps: Option<usize>) -> Self {
        self.checkpoint_every = steps.filter(|steps| *steps > 0);
        self
    }

    /// Trains on `train`, validates on `val` after each epoch.
    ///
    /// # Errors
    /// A sample that can't be read or does not fit; a folder that holds a run
    /// already, or none to resume, or one of another configuration, or one that another
    /// process trains in; batches or a network beyond the machine's memory; a precision that
    /// the device does not compute in; a loss or gradient that is not finite (the step
    /// and the samples are named, and the last checkpoint stays); a file that can't be
    /// written.
    pub fn run(
        self,
        train: &Dataset,
        val: Option<&Dataset>,
        observer: &mut dyn TrainObserver,
    ) -> Result<Outcome> {
        if train.is_empty() {
            return Err(Error::format(
                train.path(),
                "there are no samples to train on",
            ));
        }
        let mut run = self.start(train, observer)?;
        let ending = loop {
            if run.state.stopped_early {
                break Ending::StoppedEarly;
            }
            if run.state.epochs >= run.config.train.epochs {
                break Ending::Finished;
            }
            if run.epoch(train, val, observer)? == Flow::Stop {
                break Ending::Interrupted;
            }
        };
        Ok(Outcome {
            ending,
            best: run.state.best,
            majority_class_miou: run.state.majority_class_miou,
            history: run.state.history,
            steps: run.state.step,
        })
    }

    /// A run at its first step, or where its checkpoint left it.
    fn start(self, train: &Dataset, observer: &mut dyn TrainObserver) -> Result<Run> {
        let Self {
            config,
            folder,
            device,
            init,
            resume,
            checkpoint_every,
        } = self;
        config.validate().map_err(Error::usage)?;
        let path = folder.join(checkpoint::FILE_NAME);
        if !path.exists() && resume {
            return Err(Error::usage(format!(
                "{} holds no {} to resume from",
                folder.display(),
                checkpoint::FILE_NAME
            )));
        }
        // Before anything is read that another run may be writing.
        let lock = lock_run(&folder)?;
        if path.exists() && !resume {
            return Err(Error::usage(format!(
                "{} holds a run already: `options.resume` continues it; or choose another folder",
                folder.display()
            )));
        }
        memory::check(&config, train)?;
        let feed = Arc::new(DataSource::new(train, &config)?);
        let averaged = config.train.ema.is_some();
        let (state, learner, average) = if resume {
            let saved = Checkpoint::open(&path)?;
            resume::check(&saved.state.config, &config, saved.state.epochs)?;
            if saved.state.train_samples != train.len() {
                return Err(Error::usage(format!(
                    "the run was trained on {}, but {} holds {}",
                    text::count(saved.state.train_samples, "sample"),
                    train.path().display(),
                    train.len()
                )));
            }
            let steps = steps_of_epoch(feed.len(), &config.train);
            let (then, done) = (&saved.state.config, saved.state.step);
            if let Some(message) = resume::learning_rates(then, &config, done, steps) {
                observer.note(&message);
            }
            let mut learner = device.learner(&config, None)?;
            let own = learner.parameters()?.into_owned();
            let weights = saved.parameters(&path, "weights", &own)?;
            learner.restore(weights, saved.moments(&path, &own)?)?;
            let average = match averaged {
                true => Some(saved.parameters(&path, "average", &own)?),
                false => None,
            };
            let mut state = saved.state;
            state.config = config.clone();
            // A larger train.patience may resume a run that had stopped early.
            state.stopped_early = stale(&state, &config);
            (state, learner, average)
        } else {
            let learner = device.learner(&config, init)?;
            let average = match averaged {
                true => Some(learner.parameters()?.into_owned()),
                false => None,
            };
            (State::new(&config, train.len()), learner, average)
        };
        output::remove_leftovers(&folder);
        write_config(&folder.join("config.toml"), &config)?;
        let classes = metrics::names(config.model.classes);
        if resume {
            history::write_csv(&folder.join("history.csv"), &state.history, &classes)?;
        }
        let epochs_end = state.history.last().map_or(0, |r| r.step as u64);
        let events = folder.join(tensorboard::FILE_NAME);
        Ok(Run {
            masking: (config.pretraining()).map(|pretrain| {
                let data = &config.data;
                Masking::new(pretrain, data.bands.len(), data.optional_positions())
            }),
            events: EventWriter::open(&events, state.step as u64, epochs_end)?,
            learner,
            average,
            feed,
            state,
            classes,
            config,
            folder,
            device,
            checkpoint_every,
            _lock: lock,
        })
    }
}

/// The lock to train in `folder`, which is made where it is missing.
///
/// # Errors
/// Another process has it.
pub(crate) fn lock_run(folder: &Path) -> Result<Lock> {
    Lock::take(&folder.join(LOCK_FILE))?.ok_or_else(|| {
        Error::usage(format!(
            "{}: another process is training in this folder; wait for it, or choose another \
             folder with `options.folder`",
            folder.display()
        ))
    })
}

/// Whether early stopping ends the run here.
pub(super) fn stale(state: &State, config: &Config) -> bool {
    config
        .train
        .patience
        .is_some_and(|patience| state.stale >= patience)
}

fn write_config(path: &Path, config: &Config) -> Result<()> {
    let text = config.to_toml()?;
    output::write_atomic(path, |file| {
        std::io::Write::write_all(file, text.as_bytes()).map_err(|e| Error::io(path, e))
    })
}

/// A run in progress.
pub(super) struct Run {
    pub config: Config,
    pub folder: PathBuf,
    pub device: Device,
    pub learner: Box<dyn Learner>,
    /// The running mean of the weights, where there is one.
    pub average: Option<Vec<Parameter>>,
    /// In place of the loss, where there are no labels.
    pub masking: Option<Masking>,
    pub feed: Arc<DataSource>,
    pub state: State,
    pub events: EventWriter,
    pub classes: Vec<String>,
    pub checkpoint_every: Option<usize>,
    /// Held as long as the run may write.
    _lock: Lock,
}

impl Run {
    /// Writes the state of the run as it is.
    pub(super) fn save(&mut self, observer: &mut dyn TrainObserver) -> Result<()> {
        self.events.flush()?;
        let path = self.folder.join(checkpoint::FILE_NAME);
        checkpoint::save(
            &path,
            &mut self.state,
            &self.learner.parameters()?,
            self.average.as_deref(),
            &self.learner.moments()?,
        )?;
        observer.checkpoint_saved(&path);
        Ok(())
    }

    /// The weights that are validated and saved, under PyTorch's names.
    fn scored(&self) -> Result<Vec<NamedTensor>> {
        let parameters = match &self.average {
            Some(average) => average.clone(),
            None => self.learner.parameters()?.into_owned(),
        };
        let export =
            |tensor: Parameter| exchange::export(&tensor.name, &tensor.shape, tensor.values);
        Ok(parameters.into_iter().map(export).collect())
    }

    /// The network of [`Run::scored`].
    pub(super) fn scored_network(&self) -> Result<Box<dyn Network>> {
        let (model, channels) = (&self.config.model, self.config.channels());
        (self.device).network(model, channels, self.scored()?, &self.folder)
    }

    /// Writes the weights as a bundle `name` into the folder.
    pub(super) fn save_bundle(&self, name: &str) -> Result<()> {
        let state = &self.state;
        let best = state.best.as_ref();
        let bundle = Bundle {
            config: self.config.clone(),
            summary: Summary {
                epochs: Some(state.history.len()),
                steps: Some(state.step),
                best_epoch: best.map(|b| b.epoch),
                best_val_loss: best.map(|b| b.loss),
                val_miou: best.and_then(|b| b.val_miou),
                train_samples: Some(state.train_samples),
            },
            tensors: self.scored()?,
        };
        bundle.save(&self.folder.join(name))
    }
}
