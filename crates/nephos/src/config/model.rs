//! The hyperparameters of the network; the defaults are the reference model.

use serde::{Deserialize, Serialize};

use super::require;

/// Bounds on a configuration, which may come from an untrusted bundle: products
/// of any three sizes stay far from overflow.
const MAX_SIZE: usize = 65_536;
const MAX_DEPTH: usize = 1000;

/// The network: patch embedding, encoder, graph attention, decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Side of the square image the model is made for, in pixels. Other sizes
    /// work too: a learned position embedding is interpolated from this one.
    pub image_size: usize,
    /// Number of classes.
    pub classes: usize,
    /// How the image becomes tokens.
    pub patch: PatchConfig,
    /// The transformer.
    pub encoder: EncoderConfig,
    /// The graph attention network.
    pub graph: GraphConfig,
    /// How tokens become a map.
    pub decoder: DecoderConfig,
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
    /// Dropout on attention weights, after attention, inside and after the
    /// feed-forward part.
    pub dropout: f64,
    /// Position embedding, added to the tokens before the first layer.
    pub position: PositionKind,
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
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            image_size: 509,
            classes: 4,
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
            dropout: 0.1,
            position: PositionKind::None,
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
        }
    }
}

impl ModelConfig {
    /// Rows and columns of the grid of tokens for an image of `height` × `width`
    /// pixels, or `None` when the image is smaller than one patch.
    pub fn grid(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        let side = |pixels: usize| {
            (pixels + 2 * self.patch.padding)
                .checked_sub(self.patch.size)
                .map(|rest| rest / self.patch.stride + 1)
        };
        Some((side(height)?, side(width)?))
    }

    /// Features of a node that leaves the graph.
    pub fn graph_width(&self) -> usize {
        if self.graph.layers == 0 {
            self.patch.width
        } else {
            self.graph.width
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
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
}
