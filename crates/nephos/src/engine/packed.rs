//! The network packed for inference.
//!
//! [`Engine`] computes in f32, from weights that are packed once and in memory that is reused
//! between calls. Tokens are rows, `[batch * tokens, width]`, from the patches to the class
//! scores.

use nephos_kernel::interpolate::Bilinear;
use nephos_kernel::pool;
use nephos_kernel::reach::Reach;

use super::decoder::Decoder;
use super::embed::Embed;
use super::encoder::Encoder;
use super::graph::Graph;
use super::position::Position;
use super::stem::{Features, Stem, channels_last};
use super::training;
use super::weights::Weights;
use super::{apart, decoder, encoder, graph, position};
use crate::config::ModelConfig;

/// Tokens that go through the network together, about: more images than this holds
/// gain little and cost memory.
const TOKENS: usize = 1024;

/// The network, packed for a CPU.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: ModelConfig,
    pub(super) stem: Option<Stem>,
    pub(super) embed: Embed,
    pub(super) position: Position,
    pub(super) encoder: Encoder,
    pub(super) graph: Graph,
    pub(super) decoder: Decoder,
}

/// What [`Engine::forward`] computes with: it grows to what the largest images
/// need, and then allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The images of the last pass.
    sizes: [usize; 3],
    features: Features,
    embeddings: Vec<f32>,
    tokens: Vec<f32>,
    coarse: Vec<f32>,
    pub(super) position: position::Scratch,
    /// What only one stage needs: patches, hidden features, what the decoder convolves.
    wide: Vec<f32>,
    pub(super) encoder: encoder::Scratch,
    pub(super) graph: graph::Scratch,
    pub(super) decoder: decoder::Scratch,
    upsample: Option<Bilinear>,
    stretched: Vec<f32>,
    /// Those of threads that compute images by themselves.
    pub(super) others: Vec<Scratch>,
}

/// The first `count` numbers of a buffer, which grows to hold them and never shrinks.
pub(super) fn room(buffer: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if buffer.len() < count {
        buffer.resize(count, 0.0);
    }
    &mut buffer[..count]
}

/// A part of the forward pass, for whoever asks where the time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The stem before the patches.
    Stem,
    /// Patches, and their product with the embedding.
    Embed,
    /// Positions added.
    Position,
    /// Query, key and value of a layer.
    QueryKeyValue,
    /// Attention itself.
    Attention,
    /// The projection after it, with the residual sum.
    Project,
    /// The feed-forward part, with the residual sum.
    FeedForward,
    /// LayerNorm.
    Norm,
    /// Features of the nodes of a graph layer, and their scores.
    GraphProject,
    /// Graph attention itself.
    GraphAttention,
    /// The convolution of the decoder.
    Convolution,
    /// The stages of the decoder.
    Stages,
    /// Class scores of patches, or of what the stages made of them.
    Classify,
    /// Class scores of pixels.
    Upsample,
}

/// Sizes of images and of their grid of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    /// Height and width in pixels.
    pub(crate) pixels: [usize; 2],
    /// The same, mirrored up to whole patches before a stem or stages.
    pub(crate) padded: [usize; 2],
    /// Rows and columns of tokens.
    pub(crate) grid: [usize; 2],
    /// How many tokens away a token attends to others; `None`: to all.
    pub(crate) reach: Option<usize>,
}

impl Shape {
    /// Of so many images of so many rows and columns.
    ///
    /// # Panics
    /// Images smaller than one patch.
    pub(crate) fn of(config: &ModelConfig, [batch, height, width]: [usize; 3]) -> Self {
        let (rows, cols) = (config.grid(height, width))
            .unwrap_or_else(|| panic!("{height} x {width} pixels are smaller than one patch"));
        Self {
            batch,
            pixels: [height, width],
            padded: config.padded(height, width),
            grid: [rows, cols],
            reach: config.reach,
        }
    }

    /// Tokens of an image.
    pub(crate) fn tokens(self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// How far tokens attend, where that keeps some of them apart.
    pub(super) fn near(self) -> Option<Reach> {
        let reach = Reach {
            grid: self.grid,
            reach: self.reach?,
        };
        reach.limits().then_some(reach)
    }

    /// Tokens of all images.
    pub(super) fn rows(self) -> usize {
        self.batch * self.tokens()
    }
}

impl Engine {
    /// Packs the weights of a network with a validated configuration. `None` where a weight is
    /// missing, left over or of another shape.
    pub fn new(config: &ModelConfig, mut weights: Weights) -> Option<Self> {
        let stem = Stem::new(config, &mut weights)?;
        let embed = Embed::new(config, &mut weights)?;
        let channels = stem.as_ref().map_or(embed.channels(), Stem::channels);
        let engine = Self {
            stem,
            embed,
            position: Position::new(config, &mut weights)?,
            encoder: Encoder::new(config, &mut weights)?,
            graph: Graph::new(config, &mut weights)?,
            decoder: Decoder::new(config, channels, &mut weights)?,
            config: config.clone(),
        };
        weights.is_empty().then_some(engine)
    }

    /// Channels of the images.
    pub fn channels(&self) -> usize {
        match &self.stem {
            Some(stem) => stem.channels(),
            None => self.embed.channels(),
        }
    }

    /// Classes that are scored.
    pub fn classes(&self) -> usize {
        self.config.classes
    }

    /// Class scores (logits) of every pixel.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - logits: `[batch, classes, height, width]`
    ///
    /// # Panics
    /// Slices of other sizes, or images smaller than one patch, that is of a size for
    /// which [`ModelConfig::grid`] is `None`.
    pub fn forward(
        &self,
        images: &[f32],
        sizes: [usize; 3],
        scratch: &mut Scratch,
        logits: &mut [f32],
    ) {
        if apart::suits(self, sizes) {
            apart::forward(self, images, sizes, scratch, logits);
        } else if std::mem::replace(&mut scratch.sizes, sizes) != sizes {
            // The first of its size allocates, which is best done by the caller's thread:
            // there is what loading the weights has left free.
            self.forward_watched(images, sizes, scratch, logits, &mut |_| ());
        } else {
            pool::awake(|| self.forward_watched(images, sizes, scratch, logits, &mut |_| ()));
        }
    }

    /// As [`Engine::forward`], all threads on the same images, asleep between loops if they
    /// are not kept [`awake`](pool::awake); `watch` is told of each stage when it is done.
    ///
    /// # Panics
    /// As [`Engine::forward`].
    pub fn forward_watched(
        &self,
        images: &[f32],
        [batch, height, width]: [usize; 3],
        scratch: &mut Scratch,
        logits: &mut [f32],
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        let whole = Shape::of(&self.config, [batch, height, width]);
        let (image, scores) = (
            height * width * self.channels(),
            height * width * self.classes(),
        );
        assert_eq!(images.len(), batch * image, "numbers of images");
        assert_eq!(logits.len(), batch * scores, "numbers of logits");
        let together = (TOKENS / whole.tokens()).max(1);
        let chunks = (images.chunks(together * image)).zip(logits.chunks_mut(together * scores));
        for (images, logits) in chunks {
            let shape = Shape {
                batch: images.len() / image,
                ..whole
            };
            self.forward_together(images, shape, scratch, logits, watch);
        }
    }

    /// The embeddings and the encoder's tokens of images, and the grid of patches, every token
    /// attending to all of its image.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - results: `[batch * rows * cols, patch width]` each
    ///
    /// # Panics
    /// Another number of values, or images smaller than one patch.
    pub(super) fn encode<'a>(
        &self,
        images: &[f32],
        sizes: [usize; 3],
        scratch: &'a mut Scratch,
    ) -> ([&'a [f32]; 2], [usize; 2]) {
        let numbers = sizes.iter().product::<usize>() * self.channels();
        assert_eq!(images.len(), numbers, "numbers of images");
        let shape = Shape {
            reach: None,
            ..Shape::of(&self.config, sizes)
        };
        self.encode_together(images, shape, scratch, &mut |_| ());
        ([&scratch.embeddings, &scratch.tokens], shape.grid)
    }

    /// Class scores of the decoder's cells, from nodes that a graph has refined, and their rows
    /// and columns.
    ///
    /// # Shapes
    /// - image: `[channels, height, width]`
    /// - nodes, embeddings: `[rows * cols, _]` for `grid = [rows, cols]`
    /// - output: `[classes, cell rows, cell columns]`
    ///
    /// # Panics
    /// Slices of other sizes, or an image smaller than one patch.
    pub(super) fn decode(
        &self,
        image: &[f32],
        [height, width]: [usize; 2],
        grid: [usize; 2],
        [nodes, embeddings]: [Vec<f32>; 2],
        scratch: &mut Scratch,
    ) -> (Vec<f32>, [usize; 2]) {
        let shape = Shape {
            grid,
            ..Shape::of(&self.config, [1, height, width])
        };
        self.see(image, shape, scratch, &mut |_| ());
        let parts = [&nodes[..], &embeddings[..]];
        let Scratch {
            features,
            decoder,
            wide,
            ..
        } = scratch;
        let mut scores = Vec::new();
        let cells = (self.decoder).classify(
            parts,
            features,
            shape,
            decoder,
            wide,
            &mut scores,
            &mut |_| (),
        );
        (scores, cells)
    }

    /// The stem's features, the embeddings and the encoder's tokens of images, into `scratch`.
    fn encode_together(
        &self,
        images: &[f32],
        shape: Shape,
        scratch: &mut Scratch,
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        let size = shape.rows() * self.config.patch.width;
        scratch.embeddings.resize(size, 0.0);
        scratch.tokens.resize(size, 0.0);
        self.see(images, shape, scratch, watch);
        let Scratch {
            features,
            embeddings,
            tokens,
            wide,
            ..
        } = scratch;
        let padded;
        let grid = match (&self.stem, features.grids.last()) {
            (Some(_), Some(level)) => &level[..],
            _ => {
                padded = training::padded(images, shape);
                &padded
            }
        };
        (self.embed).forward(grid, shape, wide, embeddings);
        watch(Stage::Embed);
        (self.position).forward(embeddings, shape, &mut scratch.position, tokens);
        watch(Stage::Position);
        (self.encoder).forward(
            tokens,
            shape,
            &mut scratch.encoder,
            &mut scratch.wide,
            watch,
        );
    }

    /// The grids that the stem makes of images, or those that the decoder's stages see.
    fn see(
        &self,
        images: &[f32],
        shape: Shape,
        scratch: &mut Scratch,
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        let Scratch { features, wide, .. } = scratch;
        if let Some(stem) = &self.stem {
            stem.forward(images, shape, wide, features);
            watch(Stage::Stem);
        } else if !self.config.decoder.stages.is_empty() {
            features.grids.resize_with(1, Vec::new);
            let cells = shape.batch * shape.padded[0] * shape.padded[1];
            let channels = self.embed.channels();
            let pixels = room(&mut features.grids[0], cells * channels);
            channels_last(images, shape, channels, None, pixels);
        }
    }

    fn forward_together(
        &self,
        images: &[f32],
        shape: Shape,
        scratch: &mut Scratch,
        logits: &mut [f32],
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        self.encode_together(images, shape, scratch, watch);
        let Scratch {
            tokens, embeddings, ..
        } = scratch;
        let nodes = self.graph.forward(tokens, shape, &mut scratch.graph, watch);
        let Scratch {
            decoder,
            wide,
            coarse,
            features,
            ..
        } = scratch;
        let parts = [nodes, embeddings];
        let cells = (self.decoder).classify(parts, features, shape, decoder, wide, coarse, watch);

        let align_corners = self.config.decoder.align_corners;
        let upsample = match scratch.upsample.take() {
            Some(upsample) if upsample.is(cells, shape.padded, align_corners) => upsample,
            _ => Bilinear::new(cells, shape.padded, align_corners),
        };
        if shape.padded == shape.pixels {
            upsample.resample(coarse, logits, &mut scratch.stretched);
        } else {
            let [rows, cols] = shape.padded;
            let planes = logits.len() / (shape.pixels[0] * shape.pixels[1]);
            let padded = room(wide, planes * rows * cols);
            upsample.resample(coarse, padded, &mut scratch.stretched);
            crop(padded, shape, logits);
        }
        scratch.upsample = Some(upsample);
        watch(Stage::Upsample);
    }
}

/// Planes of the image's size, from planes padded below and to the right.
fn crop(padded: &[f32], shape: Shape, planes: &mut [f32]) {
    let ([height, width], [rows, cols]) = (shape.pixels, shape.padded);
    let of_plane = padded.chunks_exact(rows * cols);
    for (from, to) in of_plane.zip(planes.chunks_exact_mut(height * width)) {
        let lines = from.chunks_exact(cols).zip(to.chunks_exact_mut(width));
        lines.for_each(|(from, to)| to.copy_from_slice(&from[..width]));
    }
}
