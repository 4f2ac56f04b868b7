//! All that a stopped run needs to resume as if it had never stopped, in one file.
//!
//! The file is safetensors: the parameters under `weights.NAME`, Adam's moments
//! under `first.NAME` and `second.NAME`, the mean of the weights, where there is one,
//! under `average.NAME`, and everything else as TOML under the
//! metadata key `state`. TOML and not JSON, because reading JSON's decimals back
//! is not exact to the last bit. The last tensor, `checksum`, is the SHA-256 of all bytes
//! before it. One file, replaced by a rename, is consistent
//! whenever the process dies.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::history::EpochRecord;
use super::loss_scale::LossScale;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::network::Moments;
use crate::weights::Parameter;
use crate::weights::safetensors::{CHECKSUM, DIGEST, Tensor, write_tensors};

/// Name of the checkpoint in a run's folder.
pub const FILE_NAME: &str = "checkpoint.safetensors";

/// Version of the layout of the file. Version 1 has no checksum, and is still read.
const VERSION: u32 = 2;

/// The epoch with the smallest deciding loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// From 1.
    pub epoch: usize,
    /// Validation loss, or training loss without validation.
    pub loss: f64,
    /// Mean IoU on validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_miou: Option<f64>,
}

/// The state of a run, except its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub version: u32,
    /// Finished epochs.
    pub epochs: usize,
    /// Optimiser steps of the run, skipped ones included.
    pub step: usize,
    /// Of these, steps of the current epoch.
    pub epoch_step: usize,
    /// Sums over the batches of the current epoch.
    pub loss_sum: f64,
    pub loss_weight: f64,
    pub seconds: f64,
    /// Running losses of the samples before the current epoch, which decide what it
    /// draws, and as they are now; empty unless losses decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_losses: Vec<f64>,
    pub train_samples: usize,
    /// Epochs since the best.
    pub stale: usize,
    pub best: Option<Best>,
    /// Mean IoU of the majority-class baseline on the validation labels.
    #[serde(rename = "constant_miou")]
    pub majority_class_miou: Option<f64>,
    /// Set once early stopping ended the run.
    pub stopped_early: bool,
    pub loss_scale: LossScale,
    /// Updates of each parameter so far.
    pub updates: BTreeMap<String, usize>,
    pub history: Vec<EpochRecord>,
    pub config: Config,
}

impl State {
    pub(super) fn new(config: &Config, train_samples: usize) -> Self {
        Self {
            version: VERSION,
            epochs: 0,
            step: 0,
            epoch_step: 0,
            loss_sum: 0.0,
            loss_weight: 0.0,
            seconds: 0.0,
            losses: Vec::new(),
            next_losses: Vec::new(),
            train_samples,
            stale: 0,
            best: None,
            majority_class_miou: None,
            stopped_early: false,
            loss_scale: LossScale::default(),
            updates: BTreeMap::new(),
            history: Vec::new(),
            config: config.clone(),
        }
    }

    /// Whether counts and lists fit each other; a file without a checksum may hold anything.
    ///
    /// # Errors
    /// What does not fit, in words.
    fn check(&self) -> std::result::Result<(), String> {
        let fits = |holds: bool, what: &str| match holds {
            true => Ok(()),
            false => Err(format!("{what} in its `state`")),
        };
        fits(
            self.history.len() == self.epochs,
            "another number of epochs than records of them",
        )?;
        let most = self.train_samples;
        fits(
            self.losses.len() <= most && self.next_losses.len() <= most,
            "more losses than training samples",
        )?;
        fits(
            self.epoch_step <= self.step,
            "more steps of an epoch than of the run",
        )?;
        self.config.validate()
    }
}

/// Writes a checkpoint, replacing the one at `path`; `average` and `moments` are in the order
/// of the parameters.
///
/// # Errors
/// The file can't be written; the former one is kept.
pub(super) fn save(
    path: &Path,
    state: &mut State,
    parameters: &[Parameter],
    average: Option<&[Parameter]>,
    moments: &[Option<Moments>],
) -> Result<()> {
    let moments: BTreeMap<&str, &Moments> = (parameters.iter().zip(moments))
        .filter_map(|(parameter, moments)| Some((&*parameter.name, moments.as_ref()?)))
        .collect();
    state.updates = (moments.iter())
        .map(|(name, moments)| ((*name).to_owned(), moments.updates))
        .collect();
    let text = toml::to_string(state).map_err(|e| Error::usage(format!("training state: {e}")))?;
    let mut tensors = Vec::new();
    let mut tensor = |kind: &str, name: &str, shape: &[usize], values| {
        tensors.push(Tensor {
            name: format!("{kind}.{name}"),
            shape: shape.to_vec(),
            values,
        });
    };
    for parameter in parameters {
        tensor(
            "weights",
            &parameter.name,
            &parameter.shape,
            &parameter.values,
        );
    }
    for mean in average.unwrap_or_default() {
        tensor("average", &mean.name, &mean.shape, &mean.values);
    }
    for (name, moments) in &moments {
        tensor("first", name, &[moments.first.len()], &moments.first);
        tensor("second", name, &[moments.second.len()], &moments.second);
    }
    // In this order: who wrote the file is found at its beginning.
    let metadata = [("written_by", "nephos".to_owned()), ("state", text)];
    write_tensors(path, &tensors, &metadata, true)
}

/// A checkpoint as read.
pub(super) struct Checkpoint {
    pub state: State,
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// Opens the checkpoint at `path`.
    ///
    /// # Errors
    /// It is not there, broken, changed since it was written, or of another version.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let broken = |m: String| Error::format(path, format!("not a checkpoint of nephos: {m}"));
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
        let checked = check_sum(path, &bytes)?;
        let text = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get("state"))
            .ok_or_else(|| broken("no `state` in its header".to_owned()))?;
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = toml::from_str(text).map_err(|e| broken(e.to_string()))?;
        if !(1..=VERSION).contains(&version) {
            return Err(Error::unsupported(
                path.display(),
                format!("layout {version} of another nephos; this one reads up to {VERSION}"),
            ));
        }
        if !checked && version > 1 {
            return Err(broken(format!("there is no tensor `{CHECKSUM}`")));
        }
        let mut state: State = toml::from_str(text).map_err(|e| broken(e.to_string()))?;
        state.version = VERSION;
        state.check().map_err(broken)?;
        Ok(Self { state, bytes })
    }

    /// The saved tensors of one kind (`weights` or `average`), for the parameters of `own`.
    ///
    /// # Errors
    /// A parameter is missing or has another shape.
    pub(super) fn parameters(
        &self,
        path: &Path,
        kind: &str,
        own: &[Parameter],
    ) -> Result<Vec<Parameter>> {
        let broken = |m: String| Error::format(path, m);
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| broken(e.to_string()))?;
        let read = |parameter: &Parameter| {
            let name = format!("{kind}.{}", parameter.name);
            Ok(Parameter {
                values: floats(&tensors, &name, &parameter.shape).map_err(broken)?,
                name: parameter.name.clone(),
                shape: parameter.shape.clone(),
            })
        };
        own.iter().map(read).collect()
    }

    /// The saved moments, in the order of the parameters of `own`.
    ///
    /// # Errors
    /// Moments of no parameter, or of another length than it.
    pub(super) fn moments(&self, path: &Path, own: &[Parameter]) -> Result<Vec<Option<Moments>>> {
        let broken = |m: String| Error::format(path, m);
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| broken(e.to_string()))?;
        let known = |name: &str| own.iter().any(|parameter| parameter.name == name);
        if let Some(name) = self.state.updates.keys().find(|name| !known(name)) {
            return Err(broken(format!(
                "moments of `{name}`, which is no parameter"
            )));
        }
        let read = |parameter: &Parameter| {
            let Some(&updates) = self.state.updates.get(&parameter.name) else {
                return Ok(None);
            };
            let moment = |kind: &str| {
                let name = format!("{kind}.{}", parameter.name);
                floats(&tensors, &name, &[parameter.values.len()]).map_err(broken)
            };
            let (first, second) = (moment("first")?, moment("second")?);
            Ok(Some(Moments {
                updates,
                first,
                second,
            }))
        };
        own.iter().map(read).collect()
    }
}

/// Whether the checkpoint in `bytes` has a checksum, which then is right.
///
/// # Errors
/// It is wrong: bytes were changed since they were written.
fn check_sum(path: &Path, bytes: &[u8]) -> Result<bool> {
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::format(path, format!("cut off or broken: {e}")))?;
    let Ok(sum) = tensors.tensor(CHECKSUM) else {
        return Ok(false);
    };
    let before = bytes.len().saturating_sub(DIGEST);
    match Sha256::digest(&bytes[..before])[..] == *sum.data() {
        true => Ok(true),
        false => Err(Error::format(
            path,
            "its bytes are not those that were written: the checksum at its end is that of other \
             ones. The weights in best.nephos and last.nephos beside it have checksums of their \
             own: `options.init` starts a new run from them",
        )),
    }
}

/// The numbers of tensor `name`, which must have `shape`.
fn floats(
    tensors: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
) -> std::result::Result<Vec<f32>, String> {
    let view = tensors
        .tensor(name)
        .map_err(|_| format!("there is no tensor `{name}`"))?;
    if view.dtype() != safetensors::Dtype::F32 || shape != view.shape() {
        return Err(format!(
            "tensor `{name}` is {:?} {:?}, expected F32 {shape:?}",
            view.dtype(),
            view.shape(),
        ));
    }
    let (chunks, _) = view.data().as_chunks::<4>();
    Ok(chunks
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}
