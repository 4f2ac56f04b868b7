//! All that a stopped run needs to go on as if it had never stopped, in one file.
//!
//! The file is safetensors: the parameters under `weights.NAME`, Adam's moments
//! under `first.NAME` and `second.NAME`, the mean of the weights, where there is one,
//! under `average.NAME`, and everything else as TOML under the
//! metadata key `state`. TOML and not JSON, because reading JSON's decimals back
//! is not exact to the last bit. The last tensor, `checksum`, is the SHA-256 of all bytes
//! before it. One file, replaced by a rename, is consistent
//! whenever the process dies.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::history::EpochRecord;
use super::loss_scale::LossScale;
use super::optimizer::Moments;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::{ModulePath, keep_path};
use crate::output;

/// Name of the checkpoint in a run's folder.
pub const FILE_NAME: &str = "checkpoint.safetensors";

/// Version of the layout of the file. Version 1 has no checksum, and is still read.
const VERSION: u32 = 2;

/// Name of the tensor of 32 bytes that ends the file.
const CHECKSUM: &str = "checksum";

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

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

/// Where a run stands, apart from its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub version: u32,
    /// Finished epochs.
    pub epochs: usize,
    /// Optimiser steps of the run, skipped ones included.
    pub step: usize,
    /// Of these, steps of the epoch under way.
    pub epoch_step: usize,
    /// Sums over the batches of the epoch under way.
    pub loss_sum: f64,
    pub loss_weight: f64,
    pub seconds: f64,
    /// Running losses of the samples before the epoch under way, which decide what it
    /// visits, and as they are now; empty unless losses decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_losses: Vec<f64>,
    pub train_samples: usize,
    /// Epochs since the best.
    pub stale: usize,
    pub best: Option<Best>,
    /// Mean IoU of the best constant answer on the validation labels.
    pub constant_miou: Option<f64>,
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
            constant_miou: None,
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

/// Writes a checkpoint, replacing the one at `path`. One tensor at a time is
/// held in memory beside the network.
///
/// # Errors
/// The file can't be written; the former one is kept.
pub(super) fn save<M: Module>(
    path: &Path,
    state: &mut State,
    module: &M,
    average: Option<&M>,
    moments: &BTreeMap<String, Moments>,
) -> Result<()> {
    state.updates = moments
        .iter()
        .map(|(name, m)| (name.clone(), m.time))
        .collect();
    let text = toml::to_string(state).map_err(|e| Error::usage(format!("training state: {e}")))?;
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    let mut header = serde_json::Map::new();
    header.insert(
        "__metadata__".to_owned(),
        // In this order: who wrote the file is found at its beginning.
        serde_json::json!({ "written_by": "nephos", "state": text }),
    );
    let mut end = 0;
    let mut entry = |name: String, shape: &[usize]| {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let entry = serde_json::json!({
            "dtype": "F32", "shape": shape, "data_offsets": [start, end]
        });
        header.insert(name, entry);
    };
    for (name, shape) in &shapes.found {
        entry(format!("weights.{name}"), shape);
    }
    for (name, shape) in shapes.found.iter().filter(|_| average.is_some()) {
        entry(format!("average.{name}"), shape);
    }
    for (name, moments) in moments {
        entry(format!("first.{name}"), &moments.moment_1.dims());
        entry(format!("second.{name}"), &moments.moment_2.dims());
    }
    header.insert(
        CHECKSUM.to_owned(),
        serde_json::json!({
            "dtype": "U8", "shape": [DIGEST], "data_offsets": [end, end + DIGEST]
        }),
    );
    let mut header = serde_json::Value::Object(header).to_string();
    // Data starts at a multiple of 8 bytes.
    header.extend(std::iter::repeat_n(
        ' ',
        header.len().next_multiple_of(8) - header.len(),
    ));
    output::write_atomic(path, |file| {
        let fail = |e| Error::io(path, e);
        let file = &mut Hashed {
            file,
            hash: Sha256::new(),
        };
        file.write_all(&(header.len() as u64).to_le_bytes())
            .map_err(fail)?;
        file.write_all(header.as_bytes()).map_err(fail)?;
        let mut writer = Weights {
            file,
            path,
            result: Ok(()),
        };
        module.visit(&mut writer);
        if let Some(average) = average {
            average.visit(&mut writer);
        }
        writer.result?;
        for moments in moments.values() {
            write_tensor(file, path, moments.moment_1.clone())?;
            write_tensor(file, path, moments.moment_2.clone())?;
        }
        let sum = file.hash.clone().finalize();
        file.write_all(&sum).map_err(fail)
    })
}

/// A file, and the digest of what was written to it.
struct Hashed<'a, W: Write> {
    file: &'a mut W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn write_tensor<const D: usize>(
    file: &mut impl Write,
    path: &Path,
    tensor: Tensor<D>,
) -> Result<()> {
    let data = tensor
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::unsupported(path.display(), format!("reading a tensor: {e}")))?;
    // Whole buffers on little-endian machines; safetensors are little-endian.
    let bytes: std::borrow::Cow<'_, [u8]> = if cfg!(target_endian = "little") {
        bytemuck::cast_slice(&data).into()
    } else {
        data.iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    };
    file.write_all(&bytes).map_err(|e| Error::io(path, e))
}

/// Names and shapes of the float parameters, in the order of the module.
#[derive(Default)]
struct Shapes {
    path: ModulePath,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    keep_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.val().dims().to_vec();
        self.found.push((self.path.dotted(), shape));
    }
}

/// Writes the float parameters in the order of the module; keeps the first error.
struct Weights<'a, W: Write> {
    file: &'a mut W,
    path: &'a Path,
    result: Result<()>,
}

impl<W: Write> ModuleVisitor for Weights<'_, W> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.result.is_ok() {
            self.result = write_tensor(self.file, self.path, param.val());
        }
    }
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

    /// `module` with the saved weights, and the saved moments.
    ///
    /// # Errors
    /// A parameter is missing or has another shape, or moments have another length than
    /// their parameter.
    pub(super) fn restore<M: Module>(
        &self,
        path: &Path,
        module: M,
        device: &Device,
    ) -> Result<(M, BTreeMap<String, Moments>)> {
        let broken = |m: String| Error::format(path, m);
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| broken(e.to_string()))?;
        let mut loader = Restore {
            tensors: &tensors,
            prefix: "weights",
            gradients: true,
            path: ModulePath::default(),
            error: None,
        };
        let module = module.map(&mut loader);
        if let Some(message) = loader.error {
            return Err(broken(message));
        }
        let mut shapes = Shapes::default();
        module.visit(&mut shapes);
        let lengths: BTreeMap<String, usize> = (shapes.found.into_iter())
            .map(|(name, shape)| (name, shape.iter().product()))
            .collect();
        let inner = device.clone().without_autodiff();
        let moments = self.state.updates.iter().map(|(name, updates)| {
            let length = *(lengths.get(name))
                .ok_or_else(|| format!("moments of `{name}`, which is no parameter"))?;
            let read = |prefix: &str| -> std::result::Result<Tensor<1>, String> {
                let data = floats(&tensors, &format!("{prefix}.{name}"), &[length])?;
                Ok(Tensor::from_data(TensorData::new(data, [length]), &inner))
            };
            let moments = Moments::new(*updates, read("first")?, read("second")?);
            Ok((name.clone(), moments))
        });
        let moments = moments
            .collect::<std::result::Result<_, String>>()
            .map_err(broken)?;
        Ok((module, moments))
    }
}

impl Checkpoint {
    /// `module`, a network without autodiff, with the saved mean of the weights.
    ///
    /// # Errors
    /// A parameter is missing or has another shape.
    pub(super) fn restore_average<M: Module>(&self, path: &Path, module: M) -> Result<M> {
        let broken = |m: String| Error::format(path, m);
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| broken(e.to_string()))?;
        let mut loader = Restore {
            tensors: &tensors,
            prefix: "average",
            gradients: false,
            path: ModulePath::default(),
            error: None,
        };
        let module = module.map(&mut loader);
        match loader.error {
            Some(message) => Err(broken(message)),
            None => Ok(module),
        }
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
             own: `nephos train --init` starts a new run from them",
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

/// Replaces the float parameters by those of a file; keeps the first error.
struct Restore<'a> {
    tensors: &'a SafeTensors<'a>,
    prefix: &'static str,
    /// Whether the parameters are learned.
    gradients: bool,
    path: ModulePath,
    error: Option<String>,
}

impl ModuleMapper for Restore<'_> {
    keep_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        let name = format!("{}.{}", self.prefix, self.path.dotted());
        match floats(self.tensors, &name, &shape) {
            Ok(data) => {
                let device = tensor.device();
                let data = TensorData::new(data, shape);
                let restored = Tensor::<D>::from_data(data, &device);
                let restored = match self.gradients {
                    true => restored.require_grad(),
                    false => restored,
                };
                Param::from_mapped_value(id, restored, mapper)
            }
            Err(message) => {
                self.error.get_or_insert(message);
                Param::from_mapped_value(id, tensor, mapper)
            }
        }
    }
}
