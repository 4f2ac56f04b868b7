//! How many optimiser steps a budget is.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::result::write_json;
use crate::config::Config;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::model::weights::fingerprint;
use crate::train::{BatchReport, EpochRecord, EpochStart, TrainObserver, Trainer};

/// Steps whose time says how many fit a budget of minutes, after one that warms up.
const PACE_STEPS: usize = 4;

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
    pub(super) fn describe(self) -> String {
        match self {
            Self::Minutes(minutes) => format!("{minutes} minutes of training"),
            Self::Steps(steps) => format!("{steps} steps of training"),
        }
    }

    /// The steps of a training that `config_of` tells for a number of steps. Those of
    /// minutes are found from the pace of its first steps on `train`, and kept in
    /// `folder`.
    pub(super) fn steps(
        self,
        config_of: impl Fn(usize) -> Config,
        train: &Dataset,
        folder: &Path,
        device: &Device,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(String),
    ) -> Result<usize> {
        let minutes = match self {
            Self::Steps(steps) => return Ok(steps.max(1)),
            Self::Minutes(minutes) => minutes,
        };
        let config = config_of(PACE_STEPS + 1);
        let path = folder.join("plan.json");
        let print = fingerprint(&format!("{}\n{minutes} minutes", config.to_toml()?));
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(plan) = serde_json::from_str::<Plan>(&text)
            && plan.fingerprint == print
        {
            return Ok(plan.steps);
        }
        let scratch = tempfile::tempdir().map_err(|e| Error::io(folder, e))?;
        let mut pace = Pace {
            observer,
            first: None,
            seconds: 0.0,
        };
        Trainer::new(config.clone(), scratch.path(), device.clone()).run(train, None, &mut pace)?;
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
}

/// Steps of a model, once they are known.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    fingerprint: String,
    steps: usize,
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
