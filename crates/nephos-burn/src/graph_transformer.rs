//! The network of nephos as a whole.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::affinity::{affinity, unit};
use crate::arrays::array;
use crate::compute::Compute;
use crate::decoder::Decoder;
use crate::encoder::Encoder;
use crate::graph::{AttentionHook, Graph};
use crate::pad::{crop, pad};
use crate::patch_embed::PatchEmbed;
use crate::position::Position;
use crate::stem::Stem;
use nephos::Result;
use nephos::config::{ModelConfig, Precision};
use nephos::network::Explanation;

/// A Vision Transformer whose tokens a graph attention network refines and a
/// decoder brings back to the pixels.
///
/// Images of any size work: each is cut into as many patches as fit
/// ([`ModelConfig::grid`]); where there is a stem or a stage of the decoder it is first padded
/// to whole patches, with its own reflection ([`ModelConfig::padded`]).
#[derive(Module, Debug)]
pub struct GraphTransformer {
    stem: Stem,
    patch_embed: PatchEmbed,
    position: Position,
    encoder: Encoder,
    graph: Graph,
    decoder: Decoder,
    #[module(skip)]
    config: ModelConfig,
}

/// The stations of the forward pass before the decoder.
struct Tokens {
    /// One a stage of the decoder, where the stem has features of its size.
    detail: Vec<Option<Tensor<4>>>,
    /// `[B, N, patch width]`: the skip connection.
    embeddings: Tensor<3>,
    /// `[B, N, patch width]`: the encoder's output.
    encoded: Tensor<3>,
    grid: [usize; 2],
}

impl GraphTransformer {
    /// A network for images of `channels` channels, whose weights are drawn only when
    /// first used.
    ///
    /// # Panics
    /// The configuration was not validated.
    pub(crate) fn unset(config: &ModelConfig, channels: usize, device: &Device) -> Self {
        let stem = &config.stem.channels;
        let reduction = config.stem.reduction();
        let features = *stem.last().unwrap_or(&channels);
        Self {
            stem: Stem::new(&config.stem, channels, device),
            patch_embed: PatchEmbed::new(&config.patch, features, reduction, device),
            position: Position::new(config, device),
            encoder: Encoder::new(&config.encoder, config.patch.width, device),
            graph: Graph::new(&config.graph, config.patch.width, device),
            decoder: Decoder::new(config, channels, device),
            config: config.clone(),
        }
    }

    /// What the network is.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Brings the scores of [`GraphTransformer::forward_coarse`] to the pixels of the image.
    ///
    /// # Shapes
    /// - coarse: `[B, classes, rows, cols]`
    /// - output: `[B, classes, height, width]` for `size = [height, width]`
    pub fn upsample(&self, coarse: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
        let padded = self.config.padded(height, width);
        crop(self.decoder.upsample(coarse, padded), [height, width])
    }

    /// Class scores of every cell of the decoder's last grid, before upsampling to
    /// the pixels of the (padded) image: a patch each, `2^stages` along each side of
    /// a patch where the decoder has stages.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, classes, rows, cols]`, f32
    ///
    /// # Panics
    /// As [`Segmenter::forward`](super::Segmenter::forward).
    pub fn forward_coarse(&self, images: Tensor<4>, precision: Precision) -> Tensor<4> {
        let compute = Compute::from(precision);
        let tokens = self.encode(images, compute);
        let nodes = self.refine(tokens.encoded, compute, None); // [B, N, graph width]
        let Tokens {
            embeddings,
            detail,
            grid,
            ..
        } = tokens;
        (self.decoder).classify(nodes, embeddings, detail, grid, compute)
    }

    /// The affinity of all pairs of patches and the attention of each graph layer.
    ///
    /// # Shapes
    /// - image: `[1, channels, H, W]`
    ///
    /// # Errors
    /// Numbers that the device does not give back.
    ///
    /// # Panics
    /// As [`Segmenter::forward`](super::Segmenter::forward).
    pub(crate) fn explain(&self, image: Tensor<4>) -> Result<Explanation> {
        let compute = Compute::from(Precision::F32);
        let tokens = self.encode(image, compute);
        let mut attention = Vec::new();
        let mut hook = |layer: &Tensor<4>| attention.push(layer.clone());
        self.refine(tokens.encoded.clone(), compute, Some(&mut hook));
        let attention = attention.into_iter();
        Ok(Explanation {
            affinity: array(affinity(tokens.encoded).squeeze_dim::<2>(0))?,
            attention: (attention.map(|layer| array(layer.squeeze_dim::<3>(0))))
                .collect::<Result<_>>()?,
            grid: tokens.grid.into(),
        })
    }

    /// The tokens before the graph.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, 2 · width, rows, cols]`, f32: embeddings, then the encoder's output
    pub(crate) fn tokens(&self, images: Tensor<4>) -> Tensor<4> {
        let tokens = self.encode(images, Compute::from(Precision::F32));
        let both = Tensor::cat(vec![tokens.embeddings, tokens.encoded], 2); // [B, N, 2 · width]
        let ([batch, _, width], [rows, cols]) = (both.dims(), tokens.grid);
        both.swap_dims(1, 2).reshape([batch, width, rows, cols])
    }

    /// The graph over nodes of any number.
    ///
    /// # Shapes
    /// - encoded: `[N, width]`
    /// - output: `[N, graph width]`, f32
    pub(crate) fn refine_nodes(&self, encoded: Tensor<2>) -> Tensor<2> {
        let compute = Compute::from(Precision::F32);
        let nodes = self.refine(encoded.unsqueeze::<3>(), compute, None);
        nodes.squeeze_dim::<2>(0)
    }

    /// Class scores of every cell, from nodes that a graph has refined.
    ///
    /// # Shapes
    /// - image: `[channels, H, W]`, padded here as in a whole forward pass
    /// - nodes: `[graph width, rows, cols]`
    /// - embeddings: `[width, rows, cols]`
    /// - output: `[classes, rows · 2^stages, cols · 2^stages]`, f32
    pub(crate) fn decode(
        &self,
        image: Tensor<3>,
        nodes: Tensor<3>,
        embeddings: Tensor<3>,
    ) -> Tensor<3> {
        let compute = Compute::from(Precision::F32);
        let [_, rows, cols] = nodes.dims();
        let sequence = |grid: Tensor<3>| grid.flatten::<2>(1, 2).transpose().unsqueeze::<3>();
        let image = self.stem.pixels(self.pad(image.unsqueeze::<4>()));
        let detail = self.detail(&image, &self.stem.forward(image.clone(), compute));
        let (nodes, embeddings) = (sequence(nodes), sequence(embeddings)); // [1, N, …]
        let scores = (self.decoder).classify(nodes, embeddings, detail, [rows, cols], compute);
        scores.squeeze_dim::<3>(0)
    }

    /// The image, mirrored below and to the right, up to whole patches.
    fn pad(&self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        pad(images, self.config.padded(height, width))
    }

    /// The stem's features, or the images, for each stage of the decoder, all
    /// channels-last.
    fn detail(&self, images: &Tensor<4>, levels: &[Tensor<4>]) -> Vec<Option<Tensor<4>>> {
        (0..self.config.decoder.stages.len())
            .map(|stage| {
                let detail = match self.config.detail_level(stage)? {
                    0 => images,
                    level => &levels[level - 1],
                };
                Some(detail.clone())
            })
            .collect()
    }

    fn encode(&self, images: Tensor<4>, compute: Compute) -> Tokens {
        let images = self.pad(images);
        let pixels = self.stem.pixels(images.clone()); // [B, H, W, channels]
        let levels = self.stem.forward(pixels.clone(), compute);
        let features = match levels.last() {
            Some(level) => level.clone().permute([0, 3, 1, 2]),
            None => images,
        };
        let (embeddings, grid) = self.patch_embed.forward(features, compute); // [B, N, patch width]
        let placed = (self.position).forward(embeddings.clone(), grid, compute);
        Tokens {
            detail: self.detail(&pixels, &levels),
            encoded: self.encoder.forward(placed, compute),
            embeddings,
            grid,
        }
    }

    fn refine(&self, encoded: Tensor<3>, compute: Compute, hook: AttentionHook<'_>) -> Tensor<3> {
        let unit = (self.config.compares_patches()).then(|| unit(encoded.clone())); // [B, N, width]
        (self.graph).forward(encoded, unit.as_ref(), compute, hook)
    }
}
