//! How training samples are chosen and varied; by default they are taken as they are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::labels::LabelConfig;
use super::require;

/// How training samples are varied: all off by default. Reflectances are those of
/// [`DataConfig::quantification`](super::DataConfig::quantification). Pixels that are
/// ignored stay so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Turns by 0, 90, 180 or 270 degrees; samples that are not square by 0 or 180.
    pub rotate: bool,
    /// Mirrors half of the samples, left to right.
    pub flip: bool,
    /// Side of a square cut from a random place of each sample, in pixels; absent: the
    /// whole sample, as `data.size` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Least and greatest magnification, drawn log-uniformly; below 1 the surroundings
    /// that a sample lacks are its mirror image.
    pub zoom: [f64; 2],
    /// Least and greatest side of a pixel in metres that magnification makes, of samples
    /// whose `pixel_size` is given; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pixel_sizes: Vec<f64>,
    /// Share of the samples that each of `haze`, `blur`, `noise` and `saturation`
    /// touches, in [0, 1].
    pub probability: f64,
    /// All reflectances times one factor, at most so far from 1.
    pub gain: f64,
    /// Each band times a factor of its own, at most so far from 1.
    pub band_gain: f64,
    /// Each band plus a number of its own, at most so large; reflectance.
    pub band_offset: f64,
    /// Largest share of the blue light that haze takes and replaces by its own.
    pub haze: f64,
    /// Largest standard deviation of the Gaussian that blurs, in pixels.
    pub blur: f64,
    /// Largest standard deviation of Gaussian noise; reflectance.
    pub noise: f64,
    /// Lowest and highest reflectance at which a sensor may saturate; empty: none does.
    pub saturation: Vec<f64>,
    /// Share of the samples that are corrected for atmospheric scattering, from reflectance
    /// at the top of the atmosphere to about that of the surface, in [0, 1].
    pub correction: f64,
    /// Share of the samples that get an edge beyond which there is no data, in [0, 1].
    pub nodata: f64,
    /// Clouds of other samples, with their shadows.
    pub paste: PasteConfig,
    /// Share of the samples of which optional bands are dropped and declared absent,
    /// in [0, 1].
    pub band_dropout: f64,
}

/// Clouds and shadows of one sample pasted over another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasteConfig {
    /// Share of the samples that get clouds of another, in [0, 1].
    pub probability: f64,
    /// Samples whose clouds are taken, as of `nephos simulate`; absent: the training
    /// samples' own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Standard deviation of the soft edge, in pixels.
    pub edge: f64,
}

/// A container of samples to train on, beside `data.train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixConfig {
    /// The container.
    pub train: PathBuf,
    /// Share of an epoch's samples that is drawn from it, above 0; all shares together
    /// stay below 1, the rest is `data.train`'s.
    pub share: f64,
    /// Whether all classes were annotated in all of its samples; else
    /// `data.labels.annotated_in` lists the samples. `labels` of the container go first.
    #[serde(default = "yes", skip_serializing_if = "is_yes", alias = "drawn")]
    pub fully_annotated: bool,
    /// What its labels mean; absent: what those of `data.train` do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelConfig>,
    /// As `data.teacher`, of its samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// Side of its pixels in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size: Option<f64>,
    /// A file that names samples which are not trained on, one per line; what follows `#` is
    /// a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// Which samples an epoch draws; by default each once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Samples of an epoch; absent: as many as there are, and with `data.mix` so many
    /// that those of `data.train` come up once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<usize>,
    /// Share of the samples that are drawn by class, in [0, 1]: first a class, all
    /// equally likely, then a sample by its number of pixels of it. The others are drawn evenly.
    /// With `data.augment.crop`, such a sample's crop holds a pixel of the class.
    pub class_balance: f64,
    /// How far samples are drawn by their difficulty, in [0, 1]: 0 not at all, 1 in
    /// proportion to the running mean of their loss.
    pub difficulty: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            rotate: false,
            flip: false,
            crop: None,
            zoom: [1.0, 1.0],
            pixel_sizes: Vec::new(),
            probability: 0.5,
            gain: 0.0,
            band_gain: 0.0,
            band_offset: 0.0,
            haze: 0.0,
            blur: 0.0,
            noise: 0.0,
            saturation: Vec::new(),
            correction: 0.0,
            nodata: 0.0,
            paste: PasteConfig::default(),
            band_dropout: 0.0,
        }
    }
}

impl Default for PasteConfig {
    fn default() -> Self {
        Self {
            probability: 0.0,
            from: None,
            edge: 1.5,
        }
    }
}

impl AugmentConfig {
    /// Least and greatest magnification of a sample whose pixels have this side in metres,
    /// if that is known: `zoom`, but that pixels get no smaller or larger than
    /// `pixel_sizes` says, as far as `zoom` allows.
    pub fn magnification(&self, pixel_size: Option<f64>) -> [f64; 2] {
        let [low, high] = self.zoom;
        match (pixel_size, &self.pixel_sizes[..]) {
            (Some(metres), [least, most]) => {
                [metres / most, metres / least].map(|zoom| zoom.clamp(low, high))
            }
            _ => [low, high],
        }
    }

    /// Whether samples are taken as they are.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn validate(&self, optional_bands: bool) -> Result<(), String> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let key = |name: &str| format!("data.augment.{name}");
        for (name, value) in [
            ("probability", self.probability),
            ("correction", self.correction),
            ("nodata", self.nodata),
            ("paste.probability", self.paste.probability),
            ("band_dropout", self.band_dropout),
        ] {
            require(share(value), &key(name), "in [0, 1]")?;
        }
        for (name, value) in [
            ("gain", self.gain),
            ("band_gain", self.band_gain),
            ("haze", self.haze),
        ] {
            require((0.0..1.0).contains(&value), &key(name), "in [0, 1)")?;
        }
        for (name, value) in [
            ("band_offset", self.band_offset),
            ("noise", self.noise),
            ("blur", self.blur),
            ("paste.edge", self.paste.edge),
        ] {
            require((0.0..=100.0).contains(&value), &key(name), "in [0, 100]")?;
        }
        require(
            self.crop.is_none_or(|side| (1..=65_536).contains(&side)),
            &key("crop"),
            "1 to 65536 pixels",
        )?;
        let [low, high] = self.zoom;
        require(
            (0.1..=10.0).contains(&low) && (low..=10.0).contains(&high),
            &key("zoom"),
            "two rising numbers from 0.1 to 10",
        )?;
        let sizes = match self.pixel_sizes[..] {
            [] => true,
            [least, most] => least > 0.0 && least <= most && most.is_finite(),
            _ => false,
        };
        require(
            sizes,
            &key("pixel_sizes"),
            "empty, or two rising numbers of metres above 0",
        )?;
        let levels = match self.saturation[..] {
            [] => true,
            [low, high] => low > 0.0 && low <= high && high.is_finite(),
            _ => false,
        };
        require(
            levels,
            &key("saturation"),
            "empty, or two rising reflectances above 0",
        )?;
        require(
            self.band_dropout == 0.0 || optional_bands,
            &key("band_dropout"),
            "0 unless data.optional_bands names bands that may be dropped",
        )
    }
}

impl MixConfig {
    pub(super) fn validate(mix: &[Self]) -> Result<(), String> {
        let total: f64 = mix.iter().map(|part| part.share).sum();
        require(
            mix.iter().all(|part| part.share > 0.0) && total < 1.0,
            "data.mix",
            "containers with shares above 0, together below 1",
        )?;
        for part in mix {
            if let Some(labels) = &part.labels {
                labels.validate("data.mix.labels")?;
            }
            require(
                (part.pixel_size).is_none_or(|metres| metres.is_finite() && metres > 0.0),
                "data.mix.pixel_size",
                "a number of metres above 0",
            )?;
        }
        Ok(())
    }
}

impl SamplingConfig {
    /// Most samples of an epoch.
    pub const MOST_SAMPLES: usize = 1_000_000_000;

    /// Whether an epoch draws each sample once.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        require(
            (self.epoch).is_none_or(|samples| (1..=Self::MOST_SAMPLES).contains(&samples)),
            "data.sampling.epoch",
            "1 to 1000000000 samples",
        )?;
        require(
            share(self.class_balance),
            "data.sampling.class_balance",
            "in [0, 1]",
        )?;
        require(
            share(self.difficulty),
            "data.sampling.difficulty",
            "in [0, 1]",
        )
    }
}
