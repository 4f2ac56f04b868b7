//! A trained model in one file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{safetensors, tensors};
use crate::class::code_name;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::Segmenter;
use crate::scene::torch::NamedTensor;

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
/// - `config`: the whole [`Config`] as TOML,
/// - `summary`: the [`Summary`] as JSON,
/// - for readers without a TOML parser: `classes` and `bands` (JSON arrays of
///   names) and `scale` (input of the model = (stored + offset) / scale).
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What the model is, and how its input is read.
    pub config: Config,
    /// How it was trained.
    pub summary: Summary,
    /// The model.
    pub segmenter: Segmenter,
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
    pub fn from_tensors(
        config: Config,
        tensors: Vec<NamedTensor>,
        origin: &Path,
        device: &Device,
    ) -> Result<Self> {
        (config.validate()).map_err(|message| Error::format(origin, message))?;
        let segmenter = Segmenter::unset(&config.model, config.channels(), device);
        Ok(Self {
            segmenter: tensors::apply(segmenter, tensors, origin)?,
            summary: Summary::default(),
            config,
        })
    }

    /// Reads a bundle, or the weights that come with nephos under the name
    /// ([`Shipped`](super::Shipped)).
    ///
    /// # Errors
    /// The file can't be read, is no bundle or a newer one, or its weights don't
    /// fit its configuration; the message lists every tensor that does not.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let (tensors, metadata) = safetensors::read(path)?;
        check_format(path, &metadata)?;
        let text = entry(path, &metadata, "config")?;
        let origin = format!("{}, `config` in its header", path.display());
        let config = Config::parse(text, &origin, &[])?;
        if config.pretraining().is_some() {
            return Err(Error::format(
                path,
                "a network that was pre-trained without labels: it knows no classes yet; train \
                 it with `nephos train --init`",
            ));
        }
        let summary = serde_json::from_str(entry(path, &metadata, "summary")?)
            .map_err(|e| Error::format(path, format!("`summary` in its header: {e}")))?;
        Ok(Self {
            summary,
            ..Self::from_tensors(config, tensors, path, device)?
        })
    }

    /// Writes the bundle; `path` never holds half of one.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let config = &self.config;
        let classes: Vec<String> = (0..config.model.classes).map(code_name).collect();
        let json = |value: serde_json::Value| value.to_string();
        let metadata = [
            ("format", FORMAT.to_owned()),
            ("format_version", FORMAT_VERSION.to_string()),
            ("nephos_version", env!("CARGO_PKG_VERSION").to_owned()),
            ("config", config.to_toml()?),
            ("summary", json(serde_json::json!(self.summary))),
            ("classes", json(classes.into())),
            ("bands", json(config.data.bands.clone().into())),
            ("scale", config.data.scale.to_string()),
        ];
        safetensors::write(path, &tensors::collect(&self.segmenter), &metadata)
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
