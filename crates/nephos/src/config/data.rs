//! Sources of samples and how their numbers become inputs and labels.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::augment::{AugmentConfig, MixConfig, SamplingConfig};
use super::labels::LabelConfig;
use super::require;
use crate::band::{self, SENTINEL2};
use crate::config::Filter;

/// Longest side of a sample in pixels.
const MOST_PIXELS: usize = 65_536;
/// Most channels of a sample.
const MOST_CHANNELS: usize = 65_536;

/// Sources of samples and how they are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Samples to train on: a pickle, `.npy`, `.npz`, a CloudSEN12+ container
    /// (`.taco`, `.tortilla`, `.tacozip`, `.mlstac`), or a folder with
    /// `image/NAME.tif` and `label/NAME.tif`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Samples to validate on after each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<PathBuf>,
    /// Conditions on the metadata of a CloudSEN12+ container, all of which a sample of
    /// `data.train` and `data.val` must fit: `real_proj_shape=509`,
    /// `label_type=high,scribble`; also `!=`, `<`, `<=`, `>`, `>=`.
    pub filter: Vec<String>,
    /// Share of the training samples held out for validation when `data.val` is
    /// absent, in (0, 1): at least one sample, drawn by the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_fraction: Option<f64>,
    /// Names of the training samples held out for validation when `data.val` is
    /// absent; goes before `val_fraction`.
    pub val_names: Vec<String>,
    /// Samples for the final score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Bands of the model's input, by name, in the order of its input channels.
    pub bands: Vec<String>,
    /// Those of `bands` that a sample or scene may lack. The input declares them: after the
    /// bands, its input has one channel for each of these, in this order, that is 1
    /// where the band is absent and 0 where it is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub optional_bands: Vec<String>,
    /// Those of `optional_bands` that are declared absent even where they are there: to
    /// measure what a model does without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withhold: Vec<String>,
    /// Names of the channels of samples that don't name their own (pickles and
    /// NumPy arrays); channels past the end of the list have no name.
    pub channels: Vec<String>,
    /// Whether arrays are `[height, width, channels]` in place of
    /// `[channels, height, width]`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub channels_last: bool,
    /// Channel that holds the label, in samples that carry it beside the bands.
    pub label_channel: usize,
    /// Input of the model = (stored number + `offset`) / `scale`, in samples that don't state
    /// themselves how their numbers become reflectance. Others (GeoTIFFs with scale and
    /// offset) are read as scenes are: input = reflectance × `quantification` / `scale`.
    /// Numbers that can't be reflectance × `quantification` get a scale inferred from format
    /// and range, like those of scenes.
    pub scale: f32,
    /// See `scale`; stored units.
    pub offset: f32,
    /// What reflectance 1 is in the training samples after `offset`: 10000 in
    /// Sentinel-2's and most others. Scenes are read as reflectance and brought to
    /// the model's input by it: input = reflectance × `quantification` / `scale`.
    pub quantification: f32,
    /// Stored number that means no data in samples whose file states none; such pixels are
    /// ignored and 0 in the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodata: Option<f32>,
    /// Accepts numbers as reflectance × `quantification` that are implausible.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub assume_reflectance: bool,
    /// The user's options for the samples at hand. No part of a configuration's file: a
    /// model keeps how its own samples were read.
    #[serde(skip)]
    pub given: GivenReading,
    /// Side of the square that samples are cropped to, in pixels (top-left aligned), and
    /// padded to in a batch (with their reflection, which is ignored); absent: samples as
    /// they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// How stored labels become classes.
    pub labels: LabelConfig,
    /// A folder with NAME.tif, bands `cloud` and `shadow`, of the samples of `train`:
    /// probabilities × 250, 255 where unknown. They are soft targets in training where the
    /// label is a set of classes, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// Side of the pixels of `train` in metres, for `data.augment.pixel_sizes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_size: Option<f64>,
    /// More containers to train on, beside `train`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<MixConfig>,
    /// Share of an epoch's samples that is drawn from `train`, in (0, 1); the others keep
    /// their proportions. Absent: what the shares of `mix` leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// A file that names samples of `train` which are not trained on, one per line; what
    /// follows `#` is a comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<PathBuf>,
    /// Which samples an epoch draws, and how often.
    #[serde(skip_serializing_if = "SamplingConfig::is_default")]
    pub sampling: SamplingConfig,
    /// How training samples are varied.
    #[serde(skip_serializing_if = "AugmentConfig::is_default")]
    pub augment: AugmentConfig,
}

/// The user's options for the samples at hand, in place of what their files or the
/// configuration state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenReading {
    /// Reflectance = (stored number + `offset`) / `scale`.
    pub scale: Option<f64>,
    /// See `scale`; stored units.
    pub offset: Option<f64>,
    /// Stored number that means no data.
    pub nodata: Option<f64>,
    /// Whether [`DataConfig::channels`] names the channels, also of samples that name their
    /// own.
    pub channels: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            train: None,
            val: None,
            filter: Vec::new(),
            val_fraction: None,
            val_names: Vec::new(),
            test: None,
            bands: ["red", "green", "blue"].map(String::from).to_vec(),
            optional_bands: Vec::new(),
            withhold: Vec::new(),
            channels: SENTINEL2
                .iter()
                .map(|(agency, _, _)| (*agency).to_owned())
                .collect(),
            channels_last: false,
            label_channel: 13,
            scale: 5000.0,
            offset: 0.0,
            quantification: 10000.0,
            nodata: None,
            assume_reflectance: false,
            given: GivenReading::default(),
            size: None,
            labels: LabelConfig::default(),
            teacher: None,
            pixel_size: None,
            mix: Vec::new(),
            share: None,
            without: None,
            sampling: SamplingConfig::default(),
            augment: AugmentConfig::default(),
        }
    }
}

impl DataConfig {
    /// Input of the model for reflectance 1.
    pub fn input_gain(&self) -> f32 {
        self.quantification / self.scale
    }

    /// Channels of the model's input: the bands, then one for each optional band.
    pub fn input_channels(&self) -> usize {
        self.bands.len() + self.optional_bands.len()
    }

    /// Positions in `bands` of the optional bands, in the order of their channels.
    pub fn optional_positions(&self) -> Vec<usize> {
        // A valid configuration has all of them.
        band::positions(&self.optional_bands, &self.bands).unwrap_or_default()
    }

    fn validate_bands(&self) -> Result<(), String> {
        require(!self.bands.is_empty(), "data.bands", "at least one band")?;
        let canonical = |names: &[String]| -> BTreeSet<String> {
            names.iter().map(|name| band::canonical(name)).collect()
        };
        let (bands, optional) = (canonical(&self.bands), canonical(&self.optional_bands));
        require(
            optional.is_subset(&bands)
                && optional.len() == self.optional_bands.len()
                && (optional.is_empty() || bands.len() == self.bands.len()),
            "data.optional_bands",
            "names of data.bands, each once",
        )?;
        require(
            optional.len() < bands.len(),
            "data.optional_bands",
            "fewer than data.bands: one band at least is always there",
        )?;
        require(
            canonical(&self.withhold).is_subset(&optional),
            "data.withhold",
            "names of data.optional_bands",
        )
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        self.validate_bands()?;
        self.augment.validate(!self.optional_bands.is_empty())?;
        self.sampling.validate()?;
        MixConfig::validate(&self.mix)?;
        require(
            self.share.is_none_or(|share| share > 0.0 && share < 1.0),
            "data.share",
            "between 0 and 1",
        )?;
        require(
            self.scale.is_finite() && self.scale != 0.0,
            "data.scale",
            "a finite number other than 0",
        )?;
        require(self.offset.is_finite(), "data.offset", "a finite number")?;
        require(
            self.quantification.is_finite() && self.quantification > 0.0,
            "data.quantification",
            "a finite number above 0",
        )?;
        for filter in &self.filter {
            require(
                filter.parse::<Filter>().is_ok(),
                "data.filter",
                "a list of COLUMN=VALUE, or with !=, <, <=, > or >= in place of =",
            )?;
        }
        require(
            (self.size).is_none_or(|side| (1..=MOST_PIXELS).contains(&side)),
            "data.size",
            "1 to 65536 pixels",
        )?;
        require(
            self.label_channel < MOST_CHANNELS,
            "data.label_channel",
            "0 to 65535",
        )?;
        require(
            self.val_fraction.is_none_or(|f| f > 0.0 && f < 1.0),
            "data.val_fraction",
            "between 0 and 1",
        )?;
        require(
            self.val.is_none() || (self.val_fraction.is_none() && self.val_names.is_empty()),
            "data.val",
            "absent when data.val_fraction or data.val_names hold samples out",
        )?;
        self.labels.validate("data.labels")?;
        require(
            self.pixel_size
                .is_none_or(|metres| metres.is_finite() && metres > 0.0),
            "data.pixel_size",
            "a number of metres above 0",
        )
    }
}
