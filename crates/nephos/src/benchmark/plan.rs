//! How many optimiser steps a budget is.

use std::path::Path;
use std::time::Instant;

use crate::device::Device;
use serde::{Deserialize, Serialize};

use super::result::write_json;
use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::text;
use crate::train::{BatchReport, EpochStart, TrainObserver, Trainer};
use crate::weights::fingerprint;

/// Seconds of training whose pace determines how many steps fit a budget of minutes, after a
/// step that warms up: as long as a machine with other work takes to be as slow as it is
/// on average.
const PACE_SECONDS: f64 = 20.0;

/// Steps that are timed at least, where they are long.
const PACE_STEPS: usize = 3;

/// Steps of that training, an upper bound.
const PACE_MAX_STEPS: usize = 10_000;

/// How much training a model gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Minutes of training, converted by the pace of its first steps on this machine.
    Minutes(f64),
    /// Optimiser steps: the same on every machine.
    Steps(usize),
}

impl Budget {
    /// In words.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Minutes(minutes) => format!("{} of training", text::count(minutes, "minute")),
            Self::Steps(steps) => format!("{} of training", text::count(steps, "step")),
        }
    }

    /// The steps of a training that `config_of` configures for a number of steps. Those of
    /// minutes are found from the pace of its first steps on `train`, and kept in
    /// `folder`; `None` when the observer stopped it before.
    pub(super) fn steps(
        self,
        config_of: impl Fn(usize) -> Config,
        train: &Dataset,
        folder: &Path,
        device: &Device,
        observer: &mut dyn TrainObserver,
        status: &mut dyn FnMut(String),
    ) -> Result<Option<usize>> {
        let minutes = match self {
            Self::Steps(steps) => return Ok(Some(steps.max(1))),
            Self::Minutes(minutes) => minutes,
        };
        let config = config_of(PACE_MAX_STEPS);
        let path = folder.join("plan.json");
        let print = fingerprint(&format!("{}\n{minutes} minutes", config.to_toml()?));
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(plan) = serde_json::from_str::<Plan>(&text)
            && plan.fingerprint == print
        {
            return Ok(Some(plan.steps));
        }
        let scratch = tempfile::tempdir().map_err(|e| Error::io(folder, e))?;
        let mut pace = Pace {
            observer,
            first: None,
            steps: 0,
            seconds: 0.0,
        };
        Trainer::new(config.clone(), scratch.path(), device.clone()).run(train, None, &mut pace)?;
        if !pace.is_known() {
            return Ok(None);
        }
        let seconds = pace.seconds / pace.steps as f64;
        let steps = ((60.0 * minutes / seconds.max(1e-6)) as usize).max(1);
        status(format!(
            "{}: {} per step, so {} in {}",
            config.name,
            text::duration(seconds),
            text::count(steps, "step"),
            text::count(minutes, "minute")
        ));
        let plan = Plan {
            fingerprint: print,
            steps,
        };
        write_json(&path, &plan)?;
        Ok(Some(steps))
    }
}

/// Steps of a model, once they are known.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    fingerprint: String,
    steps: usize,
}

/// Takes the time from the first batch on, and stops when the pace is measured.
struct Pace<'a> {
    observer: &'a mut dyn TrainObserver,
    first: Option<Instant>,
    steps: usize,
    seconds: f64,
}

impl Pace<'_> {
    fn is_known(&self) -> bool {
        self.steps >= PACE_STEPS && self.seconds >= PACE_SECONDS
    }
}

impl TrainObserver for Pace<'_> {
    fn epoch_started(&mut self, start: &EpochStart) {
        self.observer.epoch_started(start);
    }

    fn batch(&mut self, report: &BatchReport) {
        match self.first {
            None => self.first = Some(Instant::now()),
            Some(first) => {
                self.steps += 1;
                self.seconds = first.elapsed().as_secs_f64();
            }
        }
        self.observer.batch(report);
    }

    fn should_stop(&mut self) -> bool {
        self.is_known() || self.observer.should_stop()
    }
}
