//! Training without labels.

use serde::{Deserialize, Serialize};

use super::{Config, LabelConfig, LossConfig, MixConfig, require};
use crate::class::IGNORE;

/// Pre-training on images alone: blocks of the image are masked, and the network learns
/// to reconstruct their bands from their surroundings (Xie et al. 2022, SimMIM,
/// doi:10.1109/CVPR52688.2022.00943).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainConfig {
    /// Share of the image that is masked, in (0, 1).
    pub share: f64,
    /// Side of a masked block in pixels; several patches, else interpolation from the neighbours
    /// suffices.
    pub block: usize,
    /// Whether this is a configuration of pre-training, as
    /// [`Config::for_pretraining`] makes it: the network predicts bands in place of classes.
    /// Otherwise the section is ignored.
    #[serde(skip_serializing_if = "is_off")]
    pub active: bool,
}

fn is_off(active: &bool) -> bool {
    !active
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            share: 0.5,
            block: 32,
            active: false,
        }
    }
}

impl PretrainConfig {
    pub(super) fn validate(&self, classes: usize, bands: usize) -> Result<(), String> {
        require(
            self.share > 0.0 && self.share < 1.0,
            "pretrain.share",
            "in (0, 1)",
        )?;
        require(
            (1..=4096).contains(&self.block),
            "pretrain.block",
            "1 to 4096 pixels",
        )?;
        require(
            !self.active || classes == bands,
            "model.classes",
            "the number of data.bands where pretrain.active is set: the network predicts them",
        )
    }
}

impl Config {
    /// How it is pre-trained, where this is a configuration of pre-training.
    pub fn pretraining(&self) -> Option<&PretrainConfig> {
        self.pretrain.as_ref().filter(|pretrain| pretrain.active)
    }

    /// This configuration for pre-training on images alone: the network predicts bands in
    /// place of classes, and the settings for labels are off.
    pub fn for_pretraining(mut self) -> Self {
        self.pretrain.get_or_insert_default().active = true;
        self.model.classes = self.data.bands.len();
        self.loss = LossConfig::default();
        self.calibration = super::CalibrationConfig::default();
        let data = &mut self.data;
        (data.train, data.val, data.test, data.val_fraction) = (None, None, None, None);
        data.val_names.clear();
        data.mix = Vec::<MixConfig>::new();
        data.labels = LabelConfig {
            ignore: vec![i64::from(IGNORE)],
            ..LabelConfig::default()
        };
        data.sampling.class_balance = 0.0;
        data.augment.paste.probability = 0.0;
        self
    }
}
