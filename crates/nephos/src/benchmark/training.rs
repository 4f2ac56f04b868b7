//! One training of a benchmark.

use std::path::{Path, PathBuf};

use crate::device::Device;

use super::measure::PeakMemory;
use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::train::{CHECKPOINT_FILE, Ending, TrainObserver, Trainer};
use crate::weights::{self, Identity, fingerprint};

/// Checkpoints within a training.
const CHECKPOINTS: usize = 4;

/// Holds the digest of a training that is done and has no result of its own.
pub(super) const DONE_FILE: &str = "done.json";

/// Steps of a configuration, from some weights.
pub(super) struct Training {
    pub config: Config,
    pub steps: usize,
    /// Where it starts; `None`: from random weights.
    pub init: Option<PathBuf>,
}

/// Cost of a training.
pub(super) struct Trained {
    pub steps: usize,
    /// Of all sessions.
    pub seconds: f64,
    /// Largest memory of the process, in bytes, where the system reports it; of the last session.
    pub memory: Option<u64>,
}

impl Training {
    /// Whether `folder` holds a training that was stopped.
    pub(super) fn is_begun(folder: &Path) -> bool {
        folder.join(CHECKPOINT_FILE).exists()
    }

    /// Whether the training with this digest is done in `folder`.
    ///
    /// # Errors
    /// Another one is, or the file can't be read.
    pub(super) fn is_done(folder: &Path, fingerprint: &str) -> Result<bool> {
        let path = folder.join(DONE_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::io(&path, e)),
        };
        match serde_json::from_str::<String>(&text) {
            Ok(done) if done == fingerprint => Ok(true),
            _ => Err(of_another(folder)),
        }
    }

    /// Digest of all that it depends on, `data` as text.
    pub(super) fn fingerprint(&self, data: &str) -> Result<String> {
        let start = match &self.init {
            Some(path) => format!("\nstarts from {}", Identity::of(path)?.sha256),
            None => String::new(),
        };
        let config = self.config.to_toml()?;
        Ok(fingerprint(&format!(
            "{config}\n{data}\n{} steps{start}",
            self.steps
        )))
    }

    /// Trains in `folder`, or resumes there; `None` when the observer stopped it.
    pub(super) fn run(
        &self,
        train: &Dataset,
        folder: &Path,
        device: &Device,
        observer: &mut dyn TrainObserver,
    ) -> Result<Option<Trained>> {
        let init = match &self.init {
            Some(path) => Some(weights::initial(&self.config, path)?.0),
            None => None,
        };
        let memory = PeakMemory::start();
        let outcome = Trainer::new(self.config.clone(), folder, device.clone())
            .init(init)
            .resume(Self::is_begun(folder))
            .checkpoint_every(Some(self.steps.div_ceil(CHECKPOINTS)))
            .run(train, None, observer)?;
        let memory = memory.peak();
        if outcome.ending == Ending::Interrupted {
            return Ok(None);
        }
        // Of all sessions: images per second are over the whole epoch.
        let draws = self.config.data.sampling.epoch.unwrap_or(train.len());
        let seconds =
            (outcome.history.first()).map_or(0.0, |epoch| draws as f64 / epoch.images_per_second);
        Ok(Some(Trained {
            steps: outcome.steps,
            seconds,
            memory,
        }))
    }
}

/// The error of a folder with results of other settings.
pub(super) fn of_another(folder: &Path) -> Error {
    Error::usage(format!(
        "{} holds the result of another configuration, budget or data: choose another folder \
         with `options.folder`, or delete it",
        folder.display()
    ))
}
