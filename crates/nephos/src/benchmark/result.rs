//! Result of a model on one fold.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::calibrated::Calibrated;
use super::measure::Cost;
use super::subset::Subset;
use crate::error::{Error, Result};
use crate::metrics::{ConfusionMatrix, Reliability};
use crate::output;

/// Name of a result in its run's folder.
pub(super) const FILE_NAME: &str = "result.json";

/// Result of a model on one fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldResult {
    /// Digest of all that the result depends on: configuration, samples, steps.
    pub fingerprint: String,
    /// Optimiser steps; 0 where nothing was trained.
    pub steps: usize,
    /// Training time, of all sessions together.
    pub training_seconds: f64,
    /// Largest memory of the process while it trained, in bytes, where the system
    /// reports it; of the last session.
    pub training_memory: Option<u64>,
    /// Names of the samples it was scored on.
    pub samples: Vec<String>,
    /// All labelled pixels of these.
    pub confusion: ConfusionMatrix,
    /// Mean cross-entropy over them, in nats.
    pub loss: Option<f64>,
    /// Reliability of the probabilities.
    pub reliability: Reliability,
    /// The same after calibration on the other folds, where there are any.
    #[serde(default)]
    pub calibrated: Option<Calibrated>,
    /// With some of the bands alone.
    #[serde(default)]
    pub subsets: Vec<Subset>,
    /// What the model costs; `None` for external masks.
    pub cost: Option<Cost>,
}

/// Folder of a fold's run within its model's; folds are counted from 0.
pub(super) fn fold_folder(model: &Path, fold: usize) -> PathBuf {
    model.join(format!("fold-{}", fold + 1))
}

impl FoldResult {
    /// The result in `folder`; `None` where there is none.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE_NAME);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|e| Error::format(&path, format!("no result of a benchmark: {e}"))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&path, e)),
        }
    }

    /// Writes the result into `folder`.
    ///
    /// # Errors
    /// The file can't be written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(FILE_NAME), self)
    }
}

/// Writes a value as JSON.
///
/// # Errors
/// The file can't be written.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::usage(format!("{}: {e}", path.display())))?;
    output::write_atomic(path, |writer| {
        writeln!(writer, "{text}").map_err(|e| Error::io(path, e))
    })
}
