//! The network on a CPU, without tensors.
//!
//! [`Engine`] computes what [`Segmenter::forward`](super::Segmenter::forward) does,
//! in f32 and for inference only, from weights that are packed once and in memory
//! that is kept between calls. Its arithmetic is that of `nephos-kernel`. Tokens are
//! rows, `[batch * tokens, width]`, from the patches to the class scores.
//!
//! The readable network is the reference; the tests hold both together.

mod apart;
mod conv;
mod decoder;
mod embed;
mod encoder;
mod graph;
mod linear;
mod position;
mod pyramid;
mod stem;
mod weights;

use nephos_kernel::interpolate::Bilinear;
use nephos_kernel::pool;
use nephos_kernel::reach::Reach;

use crate::config::ModelConfig;
use decoder::Decoder;
use embed::Embed;
use encoder::Encoder;
use graph::Graph;
use position::Position;
use stem::{Features, Stem};
pub use weights::Weights;

/// Tokens that go through the network together, about: more images than this holds
/// gain little and cost memory.
const TOKENS: usize = 1024;

/// The network, packed for a CPU.
#[derive(Debug)]
pub struct Engine {
    config: ModelConfig,
    stem: Option<Stem>,
    embed: Embed,
    position: Position,
    encoder: Encoder,
    graph: Graph,
    decoder: Decoder,
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
    position: position::Scratch,
    /// What only one stage needs: patches, hidden features, what the decoder convolves.
    wide: Vec<f32>,
    encoder: encoder::Scratch,
    graph: graph::Scratch,
    decoder: decoder::Scratch,
    upsample: Option<Bilinear>,
    stretched: Vec<f32>,
    /// Those of threads that compute images by themselves.
    others: Vec<Scratch>,
}

/// The first `count` numbers of a buffer, which grows to hold them and never shrinks.
fn room(buffer: &mut Vec<f32>, count: usize) -> &mut [f32] {
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
struct Shape {
    batch: usize,
    /// Height and width in pixels.
    pixels: [usize; 2],
    /// The same, mirrored up to whole patches before a stem.
    padded: [usize; 2],
    /// Rows and columns of tokens.
    grid: [usize; 2],
}

impl Shape {
    /// Tokens of an image.
    fn tokens(self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// How far tokens attend, where `reach` keeps some of them apart.
    fn near(self, reach: Option<usize>) -> Option<Reach> {
        let reach = Reach {
            grid: self.grid,
            reach: reach?,
        };
        reach.limits().then_some(reach)
    }

    /// Tokens of all images.
    fn rows(self) -> usize {
        self.batch * self.tokens()
    }
}

impl Engine {
    /// Packs the weights of a network with a validated configuration. `None` where this
    /// engine does not know the network ([`Engine::knows`]), or a weight is missing, left over
    /// or of another shape.
    pub fn new(config: &ModelConfig, mut weights: Weights) -> Option<Self> {
        if !Self::knows(config) {
            return None;
        }
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

    /// Whether this engine computes networks of such a configuration.
    pub fn knows(config: &ModelConfig) -> bool {
        // Stages end at the padded image, which only a stem has.
        config.decoder.stages.is_empty() || !config.stem.channels.is_empty()
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
        let (rows, cols) = (self.config.grid(height, width))
            .unwrap_or_else(|| panic!("{height} x {width} pixels are smaller than one patch"));
        let (image, scores) = (
            height * width * self.channels(),
            height * width * self.classes(),
        );
        assert_eq!(images.len(), batch * image, "numbers of images");
        assert_eq!(logits.len(), batch * scores, "numbers of logits");
        let together = (TOKENS / (rows * cols)).max(1);
        let chunks = (images.chunks(together * image)).zip(logits.chunks_mut(together * scores));
        for (images, logits) in chunks {
            let shape = Shape {
                batch: images.len() / image,
                pixels: [height, width],
                padded: self.config.padded(height, width),
                grid: [rows, cols],
            };
            self.forward_together(images, shape, scratch, logits, watch);
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
        let Scratch {
            features,
            embeddings,
            tokens,
            wide,
            ..
        } = scratch;
        let size = shape.rows() * self.config.patch.width;
        embeddings.resize(size, 0.0);
        tokens.resize(size, 0.0);

        if let Some(stem) = &self.stem {
            stem.forward(images, shape, wide, features);
            watch(Stage::Stem);
        }
        let level = features.grids.last().map_or(images, |level| level);
        (self.embed).forward(level, shape, wide, embeddings);
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
