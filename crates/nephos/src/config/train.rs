//! Losses, optimiser, schedule and the training loop's settings.

use serde::{Deserialize, Serialize};

use super::require;

/// Bounds far beyond any use, so that nothing that is counted in them overflows.
const MOST_EPOCHS: usize = 1_000_000;
const MOST_IN_A_BATCH: usize = 65_536;
const HIGHEST_RATE: f64 = 1e30;

/// Batches that may wait: with more, reading ahead is a leak of memory.
const MOST_AHEAD: usize = 1024;

/// Loss functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Mean cross-entropy over valid pixels (reference).
    CrossEntropy,
    /// One minus the mean soft Dice coefficient (Milletari et al. 2016).
    Dice,
    /// Focal loss (Lin et al. 2017), without label smoothing.
    Focal,
    /// Cross-entropy plus Dice.
    CrossEntropyDice,
}

/// The loss; pixels labelled 255 never count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// Which loss.
    pub kind: LossKind,
    /// Weight of each class in cross-entropy and focal loss; empty: all 1.
    pub class_weights: Vec<f32>,
    /// Share of the target spread evenly over all classes, in [0, 1).
    pub label_smoothing: f32,
    /// Exponent of the focal loss.
    pub focal_gamma: f32,
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam (Kingma & Ba 2015); weight decay is added to the gradient.
    Adam,
    /// AdamW (Loshchilov & Hutter 2019); weight decay is decoupled.
    Adamw,
}

/// The optimiser's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Which optimiser.
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f32,
    /// Decay rates of the first and second moment.
    pub betas: [f32; 2],
    /// Added to the denominator.
    pub eps: f32,
    /// The learning rate of each encoder layer as a share of that of the layer above it,
    /// in (0, 1]; parameters before the layers have that of one layer more (Clark et al.
    /// 2020, doi:10.48550/arXiv.2003.10555).
    #[serde(skip_serializing_if = "is_one")]
    pub layer_decay: f64,
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

/// How the learning rate changes over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Constant (reference).
    Constant,
    /// Half a cosine down to `final_ratio` (Loshchilov & Hutter 2017).
    Cosine,
    /// Half a cosine up from 1/25 of the peak over the first `warmup` share (0.3
    /// where `warmup` is 0), then half a cosine down (Smith 2018).
    OneCycle,
}

/// Learning-rate schedule with warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Shape after the warm-up.
    pub kind: ScheduleKind,
    /// Share of all steps with a linear rise from 0, in [0, 1); for one-cycle the
    /// share of the rise.
    pub warmup: f64,
    /// Last learning rate as a share of the peak, in [0, 1].
    pub final_ratio: f64,
}

/// Number format of activations and of the weights in the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit throughout.
    F32,
    /// bfloat16 layers over f32 master weights.
    Bf16,
    /// Half-precision layers over f32 master weights, dynamic loss scaling.
    F16,
}

impl Precision {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

/// The training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Batches whose gradients are averaged into one step.
    pub accumulate: usize,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The learning-rate schedule.
    pub schedule: ScheduleConfig,
    /// Largest norm of all gradients together; absent: not clipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f32>,
    /// Number format of the layers.
    pub precision: Precision,
    /// Decay of the running mean of the weights, in [0, 1): with it validation and the
    /// saved weights are the mean's. At step `t` it is at most (1 + t) / (10 + t), so that
    /// the first steps do not count; absent: no mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Epochs without a better validation loss after which training stops;
    /// absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Batches read ahead of the one in use.
    pub prefetch: usize,
    /// Whether the backward pass recomputes activations that the forward pass could have
    /// saved: less memory, more time, the same result.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub checkpointing: bool,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::CrossEntropy,
            class_weights: Vec::new(),
            label_smoothing: 0.0,
            focal_gamma: 2.0,
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            lr: 1e-4,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            eps: 1e-8,
            layer_decay: 1.0,
        }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Constant,
            warmup: 0.0,
            final_ratio: 0.0,
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 4,
            accumulate: 1,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            clip_norm: None,
            precision: Precision::F32,
            ema: None,
            patience: None,
            prefetch: 2,
            checkpointing: false,
        }
    }
}

impl LossConfig {
    pub(super) fn validate(&self, classes: usize) -> Result<(), String> {
        require(
            self.class_weights.is_empty()
                || self.class_weights.len() == classes
                    && self
                        .class_weights
                        .iter()
                        .all(|w| w.is_finite() && *w >= 0.0)
                    && self.class_weights.iter().any(|w| *w > 0.0),
            "loss.class_weights",
            "empty, or one number >= 0 per class, not all 0",
        )?;
        require(
            (0.0..1.0).contains(&self.label_smoothing),
            "loss.label_smoothing",
            "in [0, 1)",
        )?;
        require(
            self.focal_gamma.is_finite() && self.focal_gamma >= 0.0,
            "loss.focal_gamma",
            "a number >= 0",
        )
    }
}

impl TrainConfig {
    pub(super) fn validate(&self) -> Result<(), String> {
        let (optimizer, schedule) = (&self.optimizer, &self.schedule);
        require(
            (1..=MOST_EPOCHS).contains(&self.epochs),
            "train.epochs",
            "1 to 1000000",
        )?;
        require(
            (1..=MOST_IN_A_BATCH).contains(&self.batch_size),
            "train.batch_size",
            "1 to 65536",
        )?;
        require(
            (1..=MOST_IN_A_BATCH).contains(&self.accumulate),
            "train.accumulate",
            "1 to 65536",
        )?;
        require(
            (1..=MOST_AHEAD).contains(&self.prefetch),
            "train.prefetch",
            "1 to 1024 batches",
        )?;
        require(
            optimizer.lr > 0.0 && optimizer.lr <= HIGHEST_RATE,
            "train.optimizer.lr",
            "a number above 0, at most 1e30",
        )?;
        require(
            optimizer.weight_decay.is_finite() && optimizer.weight_decay >= 0.0,
            "train.optimizer.weight_decay",
            "a number >= 0",
        )?;
        require(
            optimizer.betas.iter().all(|b| (0.0..1.0).contains(b)),
            "train.optimizer.betas",
            "two numbers in [0, 1)",
        )?;
        require(
            optimizer.eps.is_finite() && optimizer.eps > 0.0,
            "train.optimizer.eps",
            "a number > 0",
        )?;
        require(
            (0.0..1.0).contains(&schedule.warmup),
            "train.schedule.warmup",
            "in [0, 1)",
        )?;
        require(
            (0.0..=1.0).contains(&schedule.final_ratio),
            "train.schedule.final_ratio",
            "in [0, 1]",
        )?;
        require(
            self.clip_norm.is_none_or(|n| n.is_finite() && n > 0.0),
            "train.clip_norm",
            "a number > 0",
        )?;
        require(
            optimizer.layer_decay > 0.0 && optimizer.layer_decay <= 1.0,
            "train.optimizer.layer_decay",
            "in (0, 1]",
        )?;
        require(
            self.ema.is_none_or(|decay| (0.0..1.0).contains(&decay)),
            "train.ema",
            "in [0, 1)",
        )?;
        require(
            (self.patience).is_none_or(|epochs| (1..=MOST_EPOCHS).contains(&epochs)),
            "train.patience",
            "1 to 1000000",
        )
    }
}
