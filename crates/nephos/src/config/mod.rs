//! The typed configuration of a model and its training, and its TOML.
//!
//! A configuration is read from a TOML file and then overridden key by key:
//! `--set train.epochs=2`. Unknown keys and impossible values are errors that
//! name the file and the key. Every field has a default: that of the reference
//! model, so an empty file is the reference.

mod augment;
mod calibration;
mod data;
mod kind;
mod model;
mod preset;
mod pretrain;
mod train;

pub use augment::{AugmentConfig, MixConfig, PasteConfig, SamplingConfig};
pub use calibration::{CalibrationConfig, ThresholdConfig};
pub use data::{DataConfig, LabelConfig};
pub use kind::ModelKind;
pub use model::{
    Activation, Affinity, DecoderConfig, EncoderConfig, GraphConfig, ModelConfig, NormOrder,
    OVERLAP, PatchConfig, PositionKind, StemConfig,
};
pub use pretrain::PretrainConfig;
pub use train::{
    LossConfig, LossKind, OptimizerConfig, OptimizerKind, Precision, ScheduleConfig, ScheduleKind,
    TrainConfig,
};

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Everything that defines a model and its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the model, written into its weights.
    pub name: String,
    /// Seed of the initial weights, of dropout and of the order of samples.
    pub seed: u64,
    /// Where samples come from and how they are read.
    pub data: DataConfig,
    /// The network.
    pub model: ModelConfig,
    /// What is minimised.
    pub loss: LossConfig,
    /// How it is minimised.
    pub train: TrainConfig,
    /// Training without labels, for `nephos pretrain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrain: Option<PretrainConfig>,
    /// How scores of the trained model become probabilities and classes.
    #[serde(skip_serializing_if = "CalibrationConfig::is_identity")]
    pub calibration: CalibrationConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "reference".to_owned(),
            seed: 42,
            data: DataConfig::default(),
            model: ModelConfig::default(),
            loss: LossConfig::default(),
            train: TrainConfig::default(),
            pretrain: None,
            calibration: CalibrationConfig::default(),
        }
    }
}

impl Config {
    /// Reads a TOML file and applies `overrides` (`section.key=value`) in order.
    ///
    /// # Errors
    /// The file can't be read, is not TOML, has an unknown key, a value of the
    /// wrong type or outside its range, or an override is malformed.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&text, &path.display().to_string(), overrides)
    }

    /// As [`Config::load`], from `text`; errors call it `origin`.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self> {
        let mut table: toml::Table = text
            .parse()
            .map_err(|e| Error::usage(format!("{origin}: {e}")))?;
        for entry in overrides {
            apply_override(&mut table, entry)?;
        }
        // The text itself gives the better message (line and column); only with
        // overrides is there no text to point at.
        let config: Self = if overrides.is_empty() {
            toml::from_str(text).map_err(|e| Error::usage(format!("{origin}: {e}")))?
        } else {
            table
                .try_into()
                .map_err(|e| Error::usage(format!("{origin} with --set: {e}")))?
        };
        config
            .validate()
            .map_err(|message| Error::usage(format!("{origin}: {message}")))?;
        Ok(config)
    }

    /// This configuration as TOML, every key written out; of a baseline without the
    /// sections of `model`, which it does not have.
    ///
    /// # Errors
    /// A number that TOML can't express.
    pub fn to_toml(&self) -> Result<String> {
        let fail = |e: toml::ser::Error| Error::usage(format!("configuration: {e}"));
        if self.model.kind.is_segmenter() {
            return toml::to_string_pretty(self).map_err(fail);
        }
        let mut table = toml::Table::try_from(self).map_err(fail)?;
        if let Some(model) = table.get_mut("model").and_then(|v| v.as_table_mut()) {
            model.retain(|_, value| !value.is_table());
        }
        toml::to_string_pretty(&table).map_err(fail)
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// A message that names the first key out of range and what was expected.
    pub fn validate(&self) -> std::result::Result<(), String> {
        self.data.validate()?;
        self.model.validate()?;
        if let Some(pretrain) = &self.pretrain {
            pretrain.validate(self.model.classes, self.data.bands.len())?;
        }
        self.loss.validate(self.model.classes)?;
        self.calibration.validate(self.model.classes)?;
        self.train.validate()
    }

    /// Number of input channels: [`DataConfig::input_channels`].
    pub fn channels(&self) -> usize {
        self.data.input_channels()
    }
}

/// Sets `a.b=value` in `table`; a value that is not TOML is taken as a string,
/// so that `data.train=x.pkl` needs no quotes.
fn apply_override(table: &mut toml::Table, entry: &str) -> Result<()> {
    let (key, text) = entry.split_once('=').ok_or_else(|| {
        Error::usage(format!(
            "--set {entry}: expected KEY=VALUE, as in train.epochs=2"
        ))
    })?;
    let value = format!("v = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let mut keys: Vec<&str> = key.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    if last.is_empty() || keys.iter().any(|part| part.is_empty()) {
        return Err(Error::usage(format!(
            "--set {entry}: `{key}` is not a dotted key"
        )));
    }
    let mut target = table;
    for part in keys {
        target = target
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| {
                Error::usage(format!("--set {entry}: `{part}` is a value, not a section"))
            })?;
    }
    target.insert(last.to_owned(), value);
    Ok(())
}

/// Fails with `key` and what it must be, unless `holds`.
fn require(holds: bool, key: &str, expected: &str) -> std::result::Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("`{key}` must be {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_reference() {
        let config = Config::parse("", "x.toml", &[]).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_presets_are_read_and_the_reference_is_the_default() {
        let preset = |name: &str, text| Config::parse(text, name, &[]).unwrap();
        let reference = include_str!("../../../../configs/reference.toml");
        assert_eq!(preset("reference.toml", reference), Config::default());
        let small = preset(
            "l8biome.toml",
            include_str!("../../../../configs/l8biome.toml"),
        );
        assert_eq!(small.channels(), 4);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut config = Config::default();
        config.train.epochs = 7;
        config.data.labels.map.insert("4".to_owned(), 255);
        let text = config.to_toml().unwrap();
        assert_eq!(Config::parse(&text, "x.toml", &[]).unwrap(), config);
    }

    #[test]
    fn overrides_win_and_need_no_quotes() {
        let overrides = ["train.epochs=2", "data.train=a b.pkl", "name=\"x\""].map(String::from);
        let config = Config::parse("[train]\nepochs = 9", "x.toml", &overrides).unwrap();
        assert_eq!(config.train.epochs, 2);
        assert_eq!(config.data.train.as_deref(), Some(Path::new("a b.pkl")));
        assert_eq!(config.name, "x");
    }

    #[test]
    fn errors_name_file_and_key() {
        let unknown = Config::parse("[train]\nepoch = 9", "x.toml", &[]).unwrap_err();
        assert!(unknown.to_string().contains("x.toml"), "{unknown}");
        assert!(unknown.to_string().contains("epoch"), "{unknown}");
        let range = Config::parse("[train]\nbatch_size = 0", "x.toml", &[]).unwrap_err();
        assert!(range.to_string().contains("train.batch_size"), "{range}");
        let set = Config::parse("", "x.toml", &["train.epochs".to_owned()]).unwrap_err();
        assert!(set.to_string().contains("KEY=VALUE"), "{set}");
    }
}
