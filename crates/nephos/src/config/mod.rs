//! The typed configuration of a model and its training, and its TOML.
//!
//! A configuration is read from a TOML file and then overridden key by key:
//! `train.epochs=2`. Unknown keys and impossible values are errors that
//! name the file and the key. Every field has a default: that of the reference
//! model, so an empty file is the reference.

mod augment;
mod calibration;
mod data;
pub(crate) mod filter;
mod kind;
mod labels;
mod model;
mod preset;
mod pretrain;
mod recall;
mod renamed;
mod train;

pub use augment::{AugmentConfig, MixConfig, PasteConfig, SamplingConfig};
pub use calibration::{CalibrationConfig, ThresholdConfig};
pub use data::{DataConfig, GivenReading};
pub use filter::Filter;
pub use kind::ModelKind;
pub use labels::{ClassSet, LabelConfig, NarrowConfig};
pub use model::{
    Activation, Affinity, DecoderConfig, EncoderConfig, GraphConfig, ModelConfig, NormOrder,
    OVERLAP, PatchConfig, PositionKind, StemConfig,
};
pub use preset::Preset;
pub use pretrain::PretrainConfig;
pub use recall::{RecallCurve, RecallPoint};
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
    /// Sources of samples and how they are read.
    pub data: DataConfig,
    /// The network.
    pub model: ModelConfig,
    /// The loss.
    pub loss: LossConfig,
    /// The training loop.
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
        for message in renamed::old_keys(&table) {
            tracing::warn!("{origin}: {message}");
        }
        // The text itself gives the better message (line and column); only with
        // overrides is there no text to point at.
        let config: Self = if overrides.is_empty() {
            toml::from_str(text).map_err(|e| Error::usage(format!("{origin}: {}", in_words(&e))))?
        } else {
            table.try_into().map_err(|e| {
                let e = in_words(&e);
                Error::usage(format!("{origin} with `options.overrides`: {e}"))
            })?
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
        if self.model.kind.is_graph_transformer() {
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
    /// A message that names the first key out of range, what was expected, and the value.
    pub fn validate(&self) -> std::result::Result<(), String> {
        self.check().map_err(|message| self.with_value(message))
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.data.validate()?;
        self.model.validate()?;
        if let Some(pretrain) = &self.pretrain {
            pretrain.validate(self.model.classes, self.data.bands.len())?;
        }
        self.loss.validate(self.model.classes)?;
        self.calibration.validate(self.model.classes)?;
        self.train.validate()
    }

    /// A message of [`require`] with the value that its key has.
    fn with_value(&self, message: String) -> String {
        let value = (message.strip_prefix('`'))
            .and_then(|rest| rest.split_once('`'))
            .and_then(|(key, _)| {
                let table = toml::Value::try_from(self).ok()?;
                let part = |value: toml::Value, part: &str| match value {
                    toml::Value::Table(mut table) => table.remove(part),
                    _ => None,
                };
                key.split('.').try_fold(table, part)
            })
            .map(|value| value.to_string())
            .filter(|value| value.chars().count() <= LONGEST_VALUE);
        match value {
            Some(value) => format!("{message}, not {value}"),
            None => message,
        }
    }

    /// What a trained model carries of its configuration: all but the keys that are about
    /// the samples it was trained on. They are on another machine, and their names do
    /// not apply to other samples.
    #[must_use]
    pub fn without_training_data(mut self) -> Self {
        let usual = DataConfig::default();
        self.data = DataConfig {
            train: None,
            val: None,
            val_fraction: None,
            val_names: usual.val_names,
            test: None,
            filter: usual.filter,
            mix: usual.mix,
            sampling: usual.sampling,
            augment: usual.augment,
            share: None,
            without: None,
            // Applies to the training samples, not to scenes.
            assume_reflectance: false,
            teacher: None,
            pixel_size: None,
            labels: LabelConfig {
                annotated_in: usual.labels.annotated_in,
                table: None,
                narrow: Vec::new(),
                ..self.data.labels
            },
            ..self.data
        };
        self
    }

    /// Number of input channels: [`DataConfig::input_channels`].
    pub fn channels(&self) -> usize {
        self.data.input_channels()
    }
}

/// `toml`'s message on a value of the wrong type, with plain names of types.
fn in_words(error: &toml::de::Error) -> String {
    let text = error.to_string();
    [
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected i64", "expected a whole number"),
        ("expected f32", "expected a number"),
        ("expected f64", "expected a number"),
    ]
    .into_iter()
    .fold(text, |text, (type_name, words)| {
        text.replace(type_name, words)
    })
    .trim_end()
    .to_owned()
}

/// Sets `a.b=value` in `table`; a value that is not TOML is taken as a string,
/// so that `data.train=x.pkl` needs no quotes.
fn apply_override(table: &mut toml::Table, entry: &str) -> Result<()> {
    let (key, text) = entry.split_once('=').ok_or_else(|| {
        Error::usage(format!(
            "`options.overrides = {entry}`: expected KEY=VALUE, as in train.epochs=2"
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
            "`options.overrides = {entry}`: `{key}` is not a dotted key"
        )));
    }
    let mut target = table;
    for part in keys {
        target = target
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| {
                Error::usage(format!(
                    "`options.overrides = {entry}`: `{part}` is a value, not a section"
                ))
            })?;
    }
    target.insert(last.to_owned(), value);
    Ok(())
}

/// Longest value that is repeated in an error, in characters.
const LONGEST_VALUE: usize = 80;

/// Fails with `key` and what it must be, unless `holds`; [`Config::validate`] adds the
/// value.
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
    fn a_written_configuration_is_read_back() {
        let mut config = Config::default();
        config.train.epochs = 7;
        config.data.labels.map.insert("4".to_owned(), 255.into());
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
    fn values_out_of_range_are_refused_with_their_range() {
        for (set, expected) in [
            (
                "train.prefetch=9000000000000000000",
                "1 to 1024 batches, not 9000000000000000000",
            ),
            ("train.prefetch=0", "1 to 1024 batches, not 0"),
            ("train.batch_size=70000", "1 to 65536, not 70000"),
            ("train.accumulate=70000", "1 to 65536, not 70000"),
            ("train.epochs=2000000", "1 to 1000000, not 2000000"),
            (
                "train.patience=0",
                "`train.patience` must be 1 to 1000000, not 0",
            ),
            (
                "train.optimizer.lr=nan",
                "a number above 0, at most 1e30, not nan",
            ),
            ("train.optimizer.lr=inf", "not inf"),
            ("data.size=100000", "1 to 65536 pixels, not 100000"),
            ("data.label_channel=70000", "not 70000"),
            (
                "data.sampling.epoch=9000000000000000000",
                "1 to 1000000000 samples",
            ),
            ("data.augment.paste.probability=2.0", "in [0, 1], not 2.0"),
            ("data.scale=0", "other than 0, not 0.0"),
            ("model.encoder.depth=5000", "at most 1000, not 5000"),
            ("model.patch.width=100000", "1 to 65536, not 100000"),
            ("pretrain.block=0", "1 to 4096 pixels, not 0"),
            ("calibration.temperature=0.0", "0.01 to 100, not 0.0"),
        ] {
            let error = Config::parse("", "x.toml", &[set.to_owned()])
                .unwrap_err()
                .to_string();
            let key = set.split('=').next().unwrap();
            assert!(
                error.contains(&format!("`{key}` must be")),
                "{set}: {error}"
            );
            assert!(error.contains(expected), "{set}: {error}");
        }
        // What is no number of the right kind names its key too.
        for set in [
            "train.prefetch=-1",
            "train.epochs=1e3",
            "train.prefetch=99999999999999999999",
        ] {
            let error = Config::parse("", "x.toml", &[set.to_owned()])
                .unwrap_err()
                .to_string();
            let key = set.split(['.', '=']).nth(1).unwrap();
            assert!(error.contains(key), "{set}: {error}");
            assert!(
                error.contains("expected a whole number, 0 or more"),
                "{set}: {error}"
            );
        }
    }

    #[test]
    fn a_models_configuration_has_no_training_data() {
        let text = "
[data]
train = 'a'
val = 'b'
test = 'c'
filter = ['x=1']
bands = ['red', 'green']
scale = 3.0
nodata = 0.0
mix = [{ train = 'd', share = 0.5 }]
sampling = { epoch = 3 }
augment = { flip = true, paste = { probability = 0.5, from = 'e' } }
share = 0.4
without = 'w.txt'
teacher = 't'
pixel_size = 10
assume_reflectance = true

[data.labels]
ignore = [9]
map = { 4 = 255 }
annotated_in = { 3 = ['a'] }
table = 't.csv'
narrow = [{ where = ['a=1'], map = { 0 = 1 } }]";
        let config = Config::parse(text, "x.toml", &[]).unwrap();
        let stripped = config.without_training_data();
        let expected = "
[data]
bands = ['red', 'green']
scale = 3.0
nodata = 0.0
labels = { ignore = [9], map = { 4 = 255 } }";
        assert_eq!(stripped, Config::parse(expected, "x.toml", &[]).unwrap());
        let held = Config::parse("[data]\nval_names = ['a']", "x.toml", &[]).unwrap();
        assert_eq!(held.without_training_data(), Config::default());
    }

    #[test]
    fn errors_name_file_and_key() {
        let unknown = Config::parse("[train]\nepoch = 9", "x.toml", &[]).unwrap_err();
        assert!(unknown.to_string().contains("x.toml"), "{unknown}");
        assert!(unknown.to_string().contains("epoch"), "{unknown}");
        let range = Config::parse("[train]\nbatch_size = 0", "x.toml", &[]).unwrap_err();
        assert!(
            range
                .to_string()
                .contains("`train.batch_size` must be 1 to 65536, not 0"),
            "{range}"
        );
        let set = Config::parse("", "x.toml", &["train.epochs".to_owned()]).unwrap_err();
        assert!(set.to_string().contains("KEY=VALUE"), "{set}");
    }
}
