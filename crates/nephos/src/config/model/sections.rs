//! The parts of the network, one section of the configuration each.

use serde::{Deserialize, Serialize};

/// A light convolutional stem before the patch embedding; none by default
/// (reference).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StemConfig {
    /// Features at 1/2, 1/4, … of the resolution; empty: no stem.
    pub channels: Vec<usize>,
    /// The stem and the decoder get `4 c − 2` of each input `x`, negative ones as 0, with
    /// `c = ln(1 + μ x) / ln(1 + μ)`, the μ-law of ITU-T G.711: ratios of bands, as in the
    /// normalised difference indices of snow and vegetation, become differences, and dark
    /// ground gets a larger range; absent: they get the inputs.
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

/// Position of LayerNorm in an encoder layer.
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

/// Position encoding of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionKind {
    /// None (reference).
    None,
    /// A learned embedding for each position of the grid of `image_size`,
    /// bilinearly interpolated to other grids (Dosovitskiy et al. 2021).
    Learned,
    /// Fixed sines and cosines in row and column (Vaswani et al. 2017 in 2-D).
    Sincos,
    /// Conditional positional encoding: a depthwise 3×3 convolution over the grid, for any size
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
    /// Position of LayerNorm.
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

/// Use of the affinity matrix of the patches.
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
    /// Use of the affinity matrix.
    pub affinity: Affinity,
    /// What the affinity's scale starts from, in [0, 100]. From 0 all nodes start with nearly
    /// equal attention and so equal features; with a scale of 5 to 10 they start
    /// by attending to similar patches. The scale is learned.
    #[serde(skip_serializing_if = "is_zero")]
    pub affinity_start: f64,
    /// Residual graph attention layers: add the input of a layer to its output;
    /// `width` is then that of the tokens. Without it the features of a node
    /// are the attention-weighted mean alone (reference).
    #[serde(skip_serializing_if = "is_false")]
    pub residual: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
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
            affinity_start: 0.0,
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
