//! The whole network.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use super::affinity::{affinity, unit};
use super::compute::Compute;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::graph::{Graph, Watch};
use super::patch_embed::PatchEmbed;
use super::position::Position;
use crate::config::{ModelConfig, Precision};

/// A Vision Transformer whose tokens a graph attention network refines and a
/// decoder brings back to the pixels.
///
/// Images of any size work: each is cut into as many patches as fit
/// ([`ModelConfig::grid`]).
#[derive(Module, Debug)]
pub struct Segmenter {
    patch_embed: PatchEmbed,
    position: Position,
    encoder: Encoder,
    graph: Graph,
    decoder: Decoder,
}

/// What the network looks at, from [`Segmenter::explain`].
#[derive(Debug, Clone)]
pub struct Explanation {
    /// `[B, N, N]`: inner products of the encoder's tokens, `Z Zᵀ`.
    pub affinity: Tensor<3>,
    /// One `[B, heads, N, N]` a graph attention layer; row `i` is what patch `i`
    /// attends to, and sums to one.
    pub attention: Vec<Tensor<4>>,
    /// Rows and columns of the grid of patches; patch `r * cols + c` of the `N`
    /// stands at row `r` and column `c`.
    pub grid: (usize, usize),
}

/// The stations of the forward pass before the decoder.
struct Tokens {
    /// `[B, N, patch width]`: the skip connection.
    embeddings: Tensor<3>,
    /// `[B, N, patch width]`: the encoder's output.
    encoded: Tensor<3>,
    grid: [usize; 2],
}

impl Segmenter {
    /// A network for images of `channels` channels, with PyTorch's initial
    /// weights drawn from the device's generator: seed it with
    /// [`Device::seed`] for the same weights again.
    ///
    /// Convolutions and linear layers start uniform in ±1/√(inputs), biases
    /// included; the packed projection of attention starts Xavier uniform; its
    /// biases, and the affinity's scale, start at zero; norms at one and zero.
    ///
    /// # Panics
    /// The configuration was not validated.
    pub fn new(config: &ModelConfig, channels: usize, device: &Device) -> Self {
        let segmenter = Self::unset(config, channels, device);
        segmenter.visit(&mut Draw);
        segmenter
    }

    /// A network whose weights are drawn only when first used, for a caller that
    /// sets all of them.
    pub(crate) fn unset(config: &ModelConfig, channels: usize, device: &Device) -> Self {
        Self {
            patch_embed: PatchEmbed::new(&config.patch, channels, device),
            position: Position::new(config, device),
            encoder: Encoder::new(&config.encoder, config.patch.width, device),
            graph: Graph::new(&config.graph, config.patch.width, device),
            decoder: Decoder::new(config, device),
        }
    }

    /// Class scores (logits) of every pixel, in f32.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, classes, H, W]`, f32
    ///
    /// # Panics
    /// Another number of channels, or an image smaller than one patch, that is
    /// one for which [`ModelConfig::grid`] is `None`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.forward_with(images, Precision::F32)
    }

    /// As [`Segmenter::forward`], with matrix products and convolutions in
    /// `precision`; weights, norms, softmax and the logits stay in f32.
    ///
    /// # Panics
    /// As [`Segmenter::forward`].
    pub fn forward_with(&self, images: Tensor<4>, precision: Precision) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let coarse = self.forward_coarse(images, precision); // [B, classes, rows, cols]
        self.upsample(coarse, [height, width])
    }

    /// Brings the scores of [`Segmenter::forward_coarse`] to the pixels of the image.
    ///
    /// # Shapes
    /// - coarse: `[B, classes, rows, cols]`
    /// - output: `[B, classes, height, width]` for `size = [height, width]`
    pub fn upsample(&self, coarse: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        self.decoder.upsample(coarse, size)
    }

    /// Class scores of every patch, before upsampling.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, classes, rows, cols]`, f32
    ///
    /// # Panics
    /// As [`Segmenter::forward`].
    pub fn forward_coarse(&self, images: Tensor<4>, precision: Precision) -> Tensor<4> {
        let compute = Compute::from(precision);
        let tokens = self.encode(images, compute);
        let nodes = self.refine(tokens.encoded, compute, None); // [B, N, graph width]
        (self.decoder).classify(nodes, tokens.embeddings, tokens.grid, compute)
    }

    /// The affinity of all pairs of patches and the attention of each graph
    /// layer.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    ///
    /// # Panics
    /// As [`Segmenter::forward`].
    pub fn explain(&self, images: Tensor<4>) -> Explanation {
        let compute = Compute::from(Precision::F32);
        let tokens = self.encode(images, compute);
        let mut attention = Vec::new();
        let mut watch = |layer: &Tensor<4>| attention.push(layer.clone());
        self.refine(tokens.encoded.clone(), compute, Some(&mut watch));
        Explanation {
            affinity: affinity(tokens.encoded),
            attention,
            grid: tokens.grid.into(),
        }
    }

    fn encode(&self, images: Tensor<4>, compute: Compute) -> Tokens {
        let (embeddings, grid) = self.patch_embed.forward(images, compute); // [B, N, patch width]
        let placed = self.position.forward(embeddings.clone(), grid);
        Tokens {
            encoded: self.encoder.forward(placed, compute),
            embeddings,
            grid,
        }
    }

    fn refine(&self, encoded: Tensor<3>, compute: Compute, watch: Watch<'_>) -> Tensor<3> {
        let unit = (self.graph.wants_affinity()).then(|| unit(encoded.clone())); // [B, N, width]
        (self.graph).forward(encoded, unit.as_ref(), compute, watch)
    }
}

/// Draws weights that wait for their first use, in the fixed order of the
/// network's fields: an order of use would make them depend on the first image.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}
