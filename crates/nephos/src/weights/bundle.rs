//! A trained model in one file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::safetensors;
use crate::class::code_name;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::torch::NamedTensor;
use crate::weights::{Parameters, check_network};

/// Value of the key `format` in the header of every bundle.
const FORMAT: &str = "nephos";

/// The layout of the header this version writes, and the newest it reads.
const FORMAT_VERSION: u32 = 1;

/// A model with all that is needed to use it: `NAME.nephos`.
///
/// The file is a safetensors file whose tensors have the names and layouts of the
/// published PyTorch model. Its `__metadata__` carries, as strings:
///
/// - `format` (`nephos`), `format_version`, `nephos_version`,
/// - `config`: the [`Config`] as TOML, without what it says of the samples that the model
///   was trained on ([`Config::without_training_data`]),
/// - `summary`: the [`Summary`] as JSON,
/// - `sha256`: the digest of all other entries and of all tensors, in 64 hexadecimal digits;
///   what was changed since is refused,
/// - for readers without a TOML parser: `classes` and `bands` (JSON arrays of
///   names) and `scale` (input of the model = (stored + offset) / scale).
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What the model is, and how its input is read.
    pub config: Config,
    /// How it was trained.
    pub summary: Summary,
    /// Its weights under PyTorch's names and in its layouts, in the order of the network's
    /// layers.
    pub tensors: Vec<NamedTensor>,
}

/// How a model was trained; what is not known is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Passes over the training samples that were completed.
    pub epochs: Option<usize>,
    /// Optimiser steps.
    pub steps: Option<usize>,
    /// Epoch these weights are from, counted from 1.
    pub best_epoch: Option<usize>,
    /// Validation loss of these weights.
    pub best_val_loss: Option<f64>,
    /// Validation mIoU of these weights, in [0, 1].
    pub val_miou: Option<f64>,
    /// Number of samples trained on.
    pub train_samples: Option<usize>,
}

impl Bundle {
    /// A bundle of a configuration and tensors under PyTorch's names, as
    /// [`read`](super::read) gives them; errors call their file `origin`.
    ///
    /// # Errors
    /// A configuration out of range, or tensors that don't fit it.
    pub fn from_tensors(config: Config, tensors: Vec<NamedTensor>, origin: &Path) -> Result<Self> {
        (config.validate()).map_err(|message| Error::format(origin, message))?;
        check_network(&config.model, config.channels())?;
        // What a baseline consists of is known where it is computed.
        let tensors = match config.model.kind.is_graph_transformer() {
            true => Parameters::check_torch(&config.model, config.channels(), tensors, origin)?,
            false => tensors,
        };
        Ok(Self {
            tensors,
            summary: Summary::default(),
            config,
        })
    }

    /// Reads a bundle, or the weights that come with nephos under the name
    /// ([`Shipped`](super::Shipped)). What an older one says of the samples it was trained
    /// on is left out ([`Config::without_training_data`]).
    ///
    /// # Errors
    /// The file can't be read, is no bundle or a newer one, was changed since it was
    /// written, or its weights don't
    /// fit its configuration; the message lists every tensor that does not.
    pub fn load(path: &Path) -> Result<Self> {
        let (tensors, metadata) = safetensors::read(path)?;
        check_format(path, &metadata)?;
        check_digest(path, &metadata, &tensors)?;
        let text = entry(path, &metadata, "config")?;
        let origin = format!("{}, `config` in its header", path.display());
        let config = Config::parse(text, &origin, &[])?.without_training_data();
        if config.pretraining().is_some() {
            return Err(Error::format(
                path,
                "a network that was pre-trained without labels: it has no classes yet; start a \
                 training run from it with `options.init`",
            ));
        }
        let summary = serde_json::from_str(entry(path, &metadata, "summary")?)
            .map_err(|e| Error::format(path, format!("`summary` in its header: {e}")))?;
        Ok(Self {
            summary,
            ..Self::from_tensors(config, tensors, path)?
        })
    }

    /// Channels of the images that the weights take. The configuration may be that of other
    /// bands once its `data` is overridden for the samples at hand.
    pub fn channels(&self) -> usize {
        let first = [
            "stem.levels.0.down.weight",
            "block12.patch_embed.proj.weight",
        ];
        let of = |name: &&str| {
            let tensor = self.tensors.iter().find(|(own, ..)| own == name)?;
            tensor.1.get(1).copied()
        };
        (first.iter().find_map(of)).unwrap_or_else(|| self.config.channels())
    }

    /// Writes the bundle; `path` never holds half of one.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let config = self.config.clone().without_training_data();
        let classes: Vec<String> = (0..config.model.classes).map(code_name).collect();
        let json = |value: serde_json::Value| value.to_string();
        let mut metadata = vec![
            ("format", FORMAT.to_owned()),
            ("format_version", FORMAT_VERSION.to_string()),
            ("nephos_version", env!("CARGO_PKG_VERSION").to_owned()),
            ("config", config.to_toml()?),
            ("summary", json(serde_json::json!(self.summary))),
            ("classes", json(classes.into())),
            ("bands", json(config.data.bands.clone().into())),
            ("scale", config.data.scale.to_string()),
        ];
        let entries = metadata.iter().map(|(key, value)| (*key, value.as_str()));
        let sum = digest(entries.collect(), &self.tensors);
        metadata.push((DIGEST, sum));
        safetensors::write(path, &self.tensors, &metadata)
    }
}

/// Key of the digest.
const DIGEST: &str = "sha256";

/// SHA-256 of a bundle's entries, in the order of their keys, and of its tensors, in the
/// order of their names, 64 hexadecimal digits. Each text and each list of numbers (little
/// endian) goes after its length (u64, little endian).
fn digest(mut entries: Vec<(&str, &str)>, tensors: &[NamedTensor]) -> String {
    fn part(hash: &mut Sha256, length: usize, bytes: &[u8]) {
        hash.update((length as u64).to_le_bytes());
        hash.update(bytes);
    }
    let mut hash = Sha256::new();
    entries.sort_unstable();
    for text in entries.into_iter().flat_map(|(key, value)| [key, value]) {
        part(&mut hash, text.len(), text.as_bytes());
    }
    let mut tensors: Vec<&NamedTensor> = tensors.iter().collect();
    tensors.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, shape, values) in tensors {
        part(&mut hash, name.len(), name.as_bytes());
        let shape: Vec<u8> = (shape.iter())
            .flat_map(|axis| (*axis as u64).to_le_bytes())
            .collect();
        part(&mut hash, shape.len(), &shape);
        part(&mut hash, values.len(), &[]);
        // A block at a time: a call for each number would take most of the time.
        for block in values.chunks(4096) {
            let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(&bytes);
        }
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A bundle of an older version has no digest, and is not checked.
pub(super) fn check_digest(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &[NamedTensor],
) -> Result<()> {
    let Some(written) = metadata.get(DIGEST) else {
        return Ok(());
    };
    let entries = (metadata.iter())
        .filter(|(key, _)| *key != DIGEST)
        .map(|(key, value)| (key.as_str(), value.as_str()));
    match digest(entries.collect(), tensors) == *written {
        true => Ok(()),
        false => Err(Error::format(
            path,
            "its bytes are not those that were written: the checksum in its header (`sha256`) is \
             that of other ones. Copy the file again; of weights that were changed on purpose, and \
             saved without this header, `nephos weights import` makes a bundle",
        )),
    }
}

/// The header's value of `key`.
fn entry<'a>(path: &Path, metadata: &'a BTreeMap<String, String>, key: &str) -> Result<&'a str> {
    (metadata.get(key).map(String::as_str))
        .ok_or_else(|| Error::format(path, format!("its header has no `{key}`")))
}

fn check_format(path: &Path, metadata: &BTreeMap<String, String>) -> Result<()> {
    if metadata.get("format").map(String::as_str) != Some(FORMAT) {
        return Err(Error::format(
            path,
            "a safetensors file, but no bundle of nephos: its header lacks `format = nephos`; \
             `nephos weights import` makes a bundle of it",
        ));
    }
    let version = entry(path, metadata, "format_version")?;
    match version.parse::<u32>() {
        Ok(1..=FORMAT_VERSION) => Ok(()),
        Ok(_) => Err(Error::unsupported(
            path.display(),
            format!(
                "a bundle of format {version}, written by nephos {}; this version reads up to \
                 {FORMAT_VERSION}",
                metadata.get("nephos_version").map_or("?", String::as_str)
            ),
        )),
        Err(_) => Err(Error::format(
            path,
            format!("`format_version` in its header is `{version}`, not a number"),
        )),
    }
}
