//! The hyperparameters of the network; the defaults are the reference model.

use serde::{Deserialize, Serialize};

use super::kind::BASELINE_CELL;
use super::{ModelKind, require};

/// Bounds on a configuration, which may come from an untrusted bundle: products
/// of any three sizes stay far from overflow.
const MAX_SIZE: usize = 65_536;
const MAX_DEPTH: usize = 1000;

/// The network: patch embedding, encoder, graph attention, decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Which network; the sections below are those of `segmenter`.
    #[serde(skip_serializing_if = "ModelKind::is_segmenter")]
    pub kind: ModelKind,
    /// Side of the square image the model is made for, in pixels. Other sizes
    /// work too: a learned position embedding is interpolated from this one.
    pub image_size: usize,
    /// Share of a window that at least overlaps the next where larger images are
    /// predicted, unless asked otherwise, in [0, 0.9].
    #[serde(skip_serializing_if = "is_usual")]
    pub overlap: f64,
    /// Number of classes.
    pub classes: usize,
    /// What keeps local detail before the patches.
    pub stem: StemConfig,
    /// How the image becomes tokens.
    pub patch: PatchConfig,
    /// The transformer.
    pub encoder: EncoderConfig,
    /// The graph attention network.
    pub graph: GraphConfig,
    /// How tokens become a map.
    pub decoder: DecoderConfig,
}

/// A light convolutional stem before the patch embedding; none by default
/// (reference).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StemConfig {
    /// Features at 1/2, 1/4, … of the resolution; empty: no stem.
    pub channels: Vec<usize>,
    /// The stem and the decoder see `4 c − 2` of each input `x`, negative ones as 0, with
    /// `c = ln(1 + μ x) / ln(1 + μ)`, the μ-law of ITU-T G.711: ratios of bands, as in the
    /// normalised difference indices of snow and vegetation, become differences, and dark
    /// ground gets room; absent: they see the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mu: Option<f32>,
}

/// A strided convolution that turns the image into a grid of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PatchConfig {
    /// Side of a patch in pixels: the kernel of the convolution.
    pub size: usize,
    /// Distance of neighbouring patches in pixels.
    pub stride: usize,
    /// Zero padding on each side, in pixels.
    pub padding: usize,
    /// Features of a token.
    pub width: usize,
}

/// Where LayerNorm stands in an encoder layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormOrder {
    /// After the residual sum (Vaswani et al. 2017; PyTorch's default).
    Post,
    /// Before each sub-layer (Xiong et al. 2020).
    Pre,
}

/// Nonlinearity of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x·Φ(x), exact.
    Gelu,
}

/// How tokens learn where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionKind {
    /// They don't (reference).
    None,
    /// A learned embedding for each place of the grid of `image_size`,
    /// bilinearly interpolated to other grids (Dosovitskiy et al. 2021).
    Learned,
    /// Fixed sines and cosines in row and column (Vaswani et al. 2017 in 2-D).
    Sincos,
    /// A depthwise 3×3 convolution over the grid, which carries over to any size
    /// (Chu et al. 2021, doi:10.48550/arXiv.2102.10882).
    Conditional,
}

/// A stack of transformer encoder layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Number of layers.
    pub depth: usize,
    /// Attention heads; divides `model.patch.width`.
    pub heads: usize,
    /// Hidden width of the feed-forward part.
    pub feed_forward: usize,
    /// Nonlinearity of the feed-forward part.
    pub activation: Activation,
    /// Where LayerNorm stands.
    pub norm: NormOrder,
    /// One more LayerNorm after the last layer.
    pub final_norm: bool,
    /// Added to the variance in every LayerNorm of the encoder: PyTorch's 1e-5, 1e-6 in
    /// ViTs of timm, 1e-12 in those of transformers.
    #[serde(skip_serializing_if = "is_pytorchs")]
    pub norm_eps: f64,
    /// Dropout on attention weights, after attention, inside and after the
    /// feed-forward part.
    pub dropout: f64,
    /// Position embedding, added to the tokens before the first layer.
    pub position: PositionKind,
    /// Depths, in layers from 0 to `depth`, whose tokens are normalised, projected
    /// and added to the output; empty: the last layer's tokens alone (reference).
    pub taps: Vec<usize>,
}

/// PyTorch's epsilon of a LayerNorm.
const NORM_EPS: f64 = 1e-5;

fn is_pytorchs(epsilon: &f64) -> bool {
    *epsilon == NORM_EPS
}

/// What the affinity matrix of the patches does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Affinity {
    /// Nothing: it is only an output (reference).
    None,
    /// A learned scale times the cosine-normalised affinity is added to the
    /// scores of the graph attention, per layer.
    Bias,
}

/// Graph attention layers over the fully connected graph of patches
/// (Veličković et al. 2018).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphConfig {
    /// Number of layers; 0 leaves the graph out.
    pub layers: usize,
    /// Features of a node after each layer, all heads together.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Negative slope of the LeakyReLU on the scores.
    pub slope: f64,
    /// Dropout on the attention weights.
    pub dropout: f64,
    /// What the affinity matrix does.
    pub affinity: Affinity,
    /// Add what a layer gives to what it was given, so that a node keeps what it knows
    /// beside what all nodes share; `width` is then that of the tokens. Without it a node
    /// is what it attends to, and nothing else (reference).
    #[serde(skip_serializing_if = "is_false")]
    pub residual: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A convolution on the grid of tokens, a classifier, and upsampling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecoderConfig {
    /// Concatenate the patch embeddings to the graph's output.
    pub skip: bool,
    /// Output channels of the first convolution.
    pub width: usize,
    /// Kernel of the first convolution, odd.
    pub kernel: usize,
    /// Whether bilinear upsampling maps corners onto corners.
    pub align_corners: bool,
    /// Features after each doubling of the grid of tokens, coarsest first; empty:
    /// the scores of the tokens are upsampled at once (reference).
    pub stages: Vec<usize>,
    /// Join the stem's features, and the image, to the stages of their size.
    pub detail: bool,
    /// A residual block after each stage.
    pub residual: bool,
}

/// Share of a window's side that neighbours at least have in common, unless the model or
/// the user asks otherwise.
pub const OVERLAP: f64 = 0.25;

fn is_usual(overlap: &f64) -> bool {
    *overlap == OVERLAP
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: ModelKind::default(),
            image_size: 509,
            overlap: OVERLAP,
            classes: 4,
            stem: StemConfig::default(),
            patch: PatchConfig::default(),
            encoder: EncoderConfig::default(),
            graph: GraphConfig::default(),
            decoder: DecoderConfig::default(),
        }
    }
}

impl Default for PatchConfig {
    fn default() -> Self {
        Self {
            size: 19,
            stride: 19,
            padding: 5,
            width: 256,
        }
    }
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            depth: 4,
            heads: 8,
            feed_forward: 2048,
            activation: Activation::Relu,
            norm: NormOrder::Post,
            final_norm: false,
            norm_eps: NORM_EPS,
            dropout: 0.1,
            position: PositionKind::None,
            taps: Vec::new(),
        }
    }
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self {
            layers: 2,
            width: 512,
            heads: 1,
            slope: 0.2,
            dropout: 0.1,
            affinity: Affinity::None,
            residual: false,
        }
    }
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            skip: true,
            width: 768,
            kernel: 3,
            align_corners: true,
            stages: Vec::new(),
            detail: true,
            residual: true,
        }
    }
}

impl StemConfig {
    /// Pixels of the image along the side of a cell of the stem's last level.
    pub fn reduction(&self) -> usize {
        1 << self.channels.len()
    }
}

impl ModelConfig {
    /// The size to which an image is padded, with zeros below and to the right:
    /// whole patches where there is a stem, else as it is; of a baseline whole cells of
    /// its coarsest grid.
    pub fn padded(&self, height: usize, width: usize) -> [usize; 2] {
        if !self.kind.is_segmenter() {
            return [height, width].map(|side| side.next_multiple_of(BASELINE_CELL));
        }
        if self.stem.channels.is_empty() {
            [height, width]
        } else {
            [height, width].map(|side| side.next_multiple_of(self.patch.size))
        }
    }

    /// The level of the stem, from 1, whose features have the size of the decoder's
    /// stage `stage`, from 0, and are joined there; 0 is the image itself.
    pub(crate) fn detail_level(&self, stage: usize) -> Option<usize> {
        let cell = self.patch.size >> (stage + 1);
        let level = cell.checked_ilog2()? as usize;
        (self.decoder.detail && level <= self.stem.channels.len()).then_some(level)
    }

    /// Width of what is joined, for images of `channels` channels.
    pub(crate) fn detail_width(&self, stage: usize, channels: usize) -> Option<usize> {
        Some(match self.detail_level(stage)? {
            0 => channels,
            level => self.stem.channels[level - 1],
        })
    }

    /// Whether a stage of the decoder joins what the stem sees, or the image.
    pub(crate) fn decoder_sees_image(&self) -> bool {
        (0..self.decoder.stages.len()).any(|stage| self.detail_level(stage).is_some())
    }

    /// How many patches away an input can change a score after the graph, at most: the
    /// first convolution's reach, three cells a stage of the decoder (together less
    /// than three patches), and two and a half cells a level of the stem (together less
    /// than five cells of the last).
    pub(crate) fn decoder_reach(&self) -> usize {
        let stages = if self.decoder.stages.is_empty() { 0 } else { 3 };
        let stem = match self.stem.channels.is_empty() {
            true => 0,
            false => (5 * self.stem.reduction()).div_ceil(self.patch.size),
        };
        self.decoder.kernel / 2 + stages + stem
    }

    /// Rows and columns of the grid of tokens for an image of `height` × `width`
    /// pixels, or `None` when the image is smaller than one patch. Of a baseline, the
    /// coarsest grid, and any image will do.
    pub fn grid(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        if height == 0 || width == 0 {
            return None;
        }
        let [height, width] = self.padded(height, width);
        if !self.kind.is_segmenter() {
            return Some((height / BASELINE_CELL, width / BASELINE_CELL));
        }
        let side = |pixels: usize| {
            (pixels + 2 * self.patch.padding)
                .checked_sub(self.patch.size)
                .map(|rest| rest / self.patch.stride + 1)
        };
        Some((side(height)?, side(width)?))
    }

    /// Pixels after which the network's grid repeats: windows that start at multiples
    /// of it see the same cells.
    pub fn alignment(&self) -> usize {
        match self.kind {
            ModelKind::Segmenter => self.patch.stride,
            _ => BASELINE_CELL,
        }
    }

    /// The least side of an image that the network takes, in pixels.
    pub fn least_side(&self) -> usize {
        match self.kind {
            ModelKind::Segmenter => (self.patch.size)
                .saturating_sub(2 * self.patch.padding)
                .max(1),
            _ => 1,
        }
    }

    /// Whether scores are brought to the pixels with corners on corners.
    pub fn aligns_corners(&self) -> bool {
        match self.kind {
            ModelKind::Segmenter => self.decoder.align_corners,
            ModelKind::Deeplabv3plus => true,
            ModelKind::Unet | ModelKind::Segformer => false,
        }
    }

    /// Features of a node that leaves the graph.
    pub fn graph_width(&self) -> usize {
        if self.graph.layers == 0 {
            self.patch.width
        } else {
            self.graph.width
        }
    }

    /// A baseline has the numbers of all models, and none of the sections.
    fn validate_baseline(&self) -> Result<(), String> {
        let own = Self {
            kind: self.kind,
            image_size: self.image_size,
            overlap: self.overlap,
            classes: self.classes,
            ..Self::default()
        };
        if *self != own {
            return Err(format!(
                "`model.kind` \"{}\" has no section of model: only model.image_size, \
                 model.overlap and model.classes may be set",
                self.kind.name()
            ));
        }
        require(
            (1..=MAX_SIZE).contains(&self.image_size),
            "model.image_size",
            "1 to 65536",
        )
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        require(
            (0.0..=0.9).contains(&self.overlap),
            "model.overlap",
            "in [0, 0.9]",
        )?;
        if !self.kind.is_segmenter() {
            require(
                (2..=254).contains(&self.classes),
                "model.classes",
                "2 to 254",
            )?;
            return self.validate_baseline();
        }
        let (patch, encoder, graph, decoder) =
            (&self.patch, &self.encoder, &self.graph, &self.decoder);
        require(
            (2..=254).contains(&self.classes),
            "model.classes",
            "2 to 254",
        )?;
        for (key, value) in [
            ("model.patch.size", patch.size),
            ("model.patch.stride", patch.stride),
            ("model.patch.width", patch.width),
            ("model.encoder.feed_forward", encoder.feed_forward),
            ("model.graph.width", graph.width),
            ("model.decoder.width", decoder.width),
        ] {
            require((1..=MAX_SIZE).contains(&value), key, "1 to 65536")?;
        }
        require(
            encoder.depth <= MAX_DEPTH,
            "model.encoder.depth",
            "at most 1000",
        )?;
        require(
            graph.layers <= MAX_DEPTH,
            "model.graph.layers",
            "at most 1000",
        )?;
        require(
            encoder.taps.iter().all(|&tap| tap <= encoder.depth) && encoder.taps.len() <= MAX_DEPTH,
            "model.encoder.taps",
            "at most 1000 depths, each from 0 to model.encoder.depth",
        )?;
        require(
            (1e-12..=0.1).contains(&encoder.norm_eps),
            "model.encoder.norm_eps",
            "in [1e-12, 0.1]",
        )?;
        self.validate_stem()?;
        require(
            patch.padding < patch.size,
            "model.patch.padding",
            "less than model.patch.size",
        )?;
        require(
            (1..=MAX_SIZE).contains(&self.image_size)
                && self.grid(self.image_size, self.image_size).is_some(),
            "model.image_size",
            "at least as large as one patch, and at most 65536",
        )?;
        require(
            encoder.heads > 0 && patch.width.is_multiple_of(encoder.heads),
            "model.encoder.heads",
            "a divisor of model.patch.width",
        )?;
        require(
            encoder.position != PositionKind::Sincos || patch.width.is_multiple_of(4),
            "model.patch.width",
            "a multiple of 4 for sincos positions",
        )?;
        for (key, rate) in [
            ("model.encoder.dropout", encoder.dropout),
            ("model.graph.dropout", graph.dropout),
        ] {
            require((0.0..1.0).contains(&rate), key, "in [0, 1)")?;
        }
        require(
            graph.heads > 0 && graph.width.is_multiple_of(graph.heads),
            "model.graph.heads",
            "a divisor of model.graph.width",
        )?;
        require(
            !graph.residual || graph.width == patch.width,
            "model.graph.width",
            "that of the tokens, model.patch.width, where model.graph.residual adds to them",
        )?;
        require(
            (0.0..=1.0).contains(&graph.slope),
            "model.graph.slope",
            "in [0, 1]",
        )?;
        require(
            decoder.kernel % 2 == 1 && decoder.kernel < 256,
            "model.decoder.kernel",
            "an odd number below 256",
        )
    }

    /// Stem, patches and stages lie on grids that halve each other.
    fn validate_stem(&self) -> Result<(), String> {
        let (stem, patch, decoder) = (&self.stem, &self.patch, &self.decoder);
        let widths = |list: &[usize]| list.iter().all(|width| (1..=MAX_SIZE).contains(width));
        require(
            stem.channels.len() <= 8 && widths(&stem.channels),
            "model.stem.channels",
            "at most 8 numbers from 1 to 65536",
        )?;
        require(
            stem.mu.is_none_or(|mu| mu > 0.0 && mu.is_finite())
                && !(stem.mu.is_some() && stem.channels.is_empty()),
            "model.stem.mu",
            "a number above 0, and absent without model.stem.channels",
        )?;
        require(
            decoder.stages.len() <= 8 && widths(&decoder.stages),
            "model.decoder.stages",
            "at most 8 numbers from 1 to 65536",
        )?;
        if stem.channels.is_empty() && decoder.stages.is_empty() {
            return Ok(());
        }
        require(
            patch.stride == patch.size && patch.padding == 0,
            "model.patch.stride",
            "model.patch.size, and model.patch.padding 0, with a stem or with stages",
        )?;
        let halvings = patch.size.checked_ilog2().unwrap_or(0) as usize;
        require(
            patch.size.is_power_of_two()
                && stem.channels.len() <= halvings
                && decoder.stages.len() <= halvings,
            "model.patch.size",
            "a power of two with a stem or with stages, and as large as their number of \
             halvings asks",
        )?;
        require(
            !decoder.align_corners,
            "model.decoder.align_corners",
            "false with a stem or with stages",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_grid_is_27_by_27() {
        let model = ModelConfig::default();
        assert_eq!(model.grid(509, 509), Some((27, 27)));
        assert_eq!(model.grid(512, 300), Some((27, 16)));
        assert_eq!(model.grid(8, 509), None);
    }

    #[test]
    fn overlap_is_a_share_and_told_where_it_is_unusual() {
        let mut model = ModelConfig::default();
        assert!(!toml::to_string(&model).unwrap().contains("overlap"));
        model.overlap = 0.125;
        model.validate().unwrap();
        assert!(toml::to_string(&model).unwrap().contains("overlap = 0.125"));
        model.overlap = 0.95;
        assert!(model.validate().unwrap_err().contains("model.overlap"));
    }

    #[test]
    fn a_stem_pads_to_whole_patches() {
        let mut model = ModelConfig::default();
        model.stem.channels = vec![8, 12];
        model.decoder.stages = vec![16, 16, 16];
        assert!(model.validate().unwrap_err().contains("model.patch"));
        model.patch = PatchConfig {
            size: 8,
            stride: 8,
            padding: 0,
            width: 32,
        };
        assert!(model.validate().unwrap_err().contains("align_corners"));
        model.decoder.align_corners = false;
        model.validate().unwrap();
        assert_eq!(model.padded(17, 8), [24, 8]);
        assert_eq!(model.grid(17, 8), Some((3, 1)));
        // Stages at 1/4, 1/2 and 1 of the resolution; the stem has 1/2 and 1/4.
        let levels: Vec<_> = (0..3).map(|stage| model.detail_level(stage)).collect();
        assert_eq!(levels, [Some(2), Some(1), Some(0)]);
        let widths: Vec<_> = (0..3).map(|stage| model.detail_width(stage, 5)).collect();
        assert_eq!(widths, [Some(12), Some(8), Some(5)]);
        model.decoder.stages.push(16);
        assert!(model.validate().unwrap_err().contains("model.patch.size"));
    }
}
