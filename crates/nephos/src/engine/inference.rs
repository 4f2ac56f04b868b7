//! The network packed for inference.
//!
//! [`Engine`] computes in f32, from weights that are packed once and in memory that is reused
//! between calls.

use nephos_kernel::interpolate::Bilinear;
use nephos_kernel::pool;
use nephos_kernel::scratch::{self, Buffer};
use nephos_kernel::stage::Stage;

use super::layers::{Encoded, Layers, Pass};
use super::shape::Shape;
use super::weights::{Source, Weights};
use super::{per_image, position};
use crate::config::ModelConfig;

/// Tokens that go through the network together, about: more images than this holds
/// gain little and cost memory.
const TOKENS: usize = 1024;

/// The network, packed for a CPU.
#[derive(Debug)]
pub struct Engine {
    pub(super) layers: Layers<'static>,
}

/// What [`Engine::forward`] computes with: it grows to what the largest images
/// need, and then allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The images of the last pass.
    sizes: [usize; 3],
    pub(super) buffers: scratch::Scratch,
    positions: position::Cache,
    upsample: Option<Bilinear>,
    stretched: Vec<f32>,
    /// Those of threads that compute images by themselves.
    pub(super) others: Vec<Scratch>,
}

impl Scratch {
    /// A pass with these buffers.
    pub(super) fn pass<'p>(&'p mut self, watch: &'p mut (dyn FnMut(Stage) + Send)) -> Pass<'p> {
        Pass {
            scratch: &mut self.buffers,
            positions: &mut self.positions,
            watch,
            seed: None,
            checkpointing: false,
        }
    }
}

impl Engine {
    /// Packs the weights of a network with a validated configuration. `None` where a weight is
    /// missing, left over or of another shape.
    pub fn new(config: &ModelConfig, weights: Weights) -> Option<Self> {
        let layers = Layers::new(config, Source::Stored(weights))?;
        Some(Self { layers })
    }

    /// Channels of the images.
    pub fn channels(&self) -> usize {
        self.layers.channels
    }

    /// Classes that are scored.
    pub fn classes(&self) -> usize {
        self.layers.config.classes
    }

    /// Numbers of an image and of its scores.
    ///
    /// # Panics
    /// Slices that do not hold `batch` of them.
    pub(super) fn check(
        &self,
        images: &[f32],
        [batch, height, width]: [usize; 3],
        logits: &[f32],
    ) -> [usize; 2] {
        let [image, scores] = [self.channels(), self.classes()].map(|many| many * height * width);
        assert_eq!(images.len(), batch * image, "numbers of images");
        assert_eq!(logits.len(), batch * scores, "numbers of logits");
        [image, scores]
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
        if per_image::suits(self, sizes) {
            per_image::forward(self, images, sizes, scratch, logits);
        } else if std::mem::replace(&mut scratch.sizes, sizes) != sizes {
            // The first of its size allocates, which is best done by the caller's thread:
            // there is what loading the weights has left free.
            self.forward_watched(images, sizes, scratch, logits, &mut |_| ());
        } else {
            pool::with_spinning_workers(|| {
                self.forward_watched(images, sizes, scratch, logits, &mut |_| ());
            });
        }
    }

    /// As [`Engine::forward`], all threads on the same images, which do not
    /// [spin](pool::with_spinning_workers) between loops; `watch` receives each stage when it is
    /// done.
    ///
    /// # Panics
    /// As [`Engine::forward`].
    pub fn forward_watched(
        &self,
        images: &[f32],
        sizes: [usize; 3],
        scratch: &mut Scratch,
        logits: &mut [f32],
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        let whole = Shape::of(&self.layers.config, sizes);
        let [image, scores] = self.check(images, sizes, logits);
        let together = (TOKENS / whole.tokens()).max(1);
        let chunks = (images.chunks(together * image)).zip(logits.chunks_mut(together * scores));
        for (images, logits) in chunks {
            let shape = Shape {
                batch: images.len() / image,
                ..whole
            };
            let mut pass = scratch.pass(watch);
            let (coarse, cells) = self.layers.forward(images, shape, &mut pass, None);
            self.upsample(&coarse, cells, shape, scratch, logits);
            scratch.buffers.give(coarse);
            watch(Stage::Upsample);
        }
    }

    /// Scores of pixels, from those of cells.
    fn upsample(
        &self,
        coarse: &[f32],
        cells: [usize; 2],
        shape: Shape,
        scratch: &mut Scratch,
        logits: &mut [f32],
    ) {
        let align_corners = self.layers.config.decoder.align_corners;
        let upsample = match scratch.upsample.take() {
            Some(upsample) if upsample.is(cells, shape.padded, align_corners) => upsample,
            _ => Bilinear::new(cells, shape.padded, align_corners),
        };
        if shape.padded == shape.pixels {
            upsample.resample(coarse, logits, &mut scratch.stretched);
        } else {
            let [rows, cols] = shape.padded;
            let grids = logits.len() / (shape.pixels[0] * shape.pixels[1]);
            let mut padded = scratch.buffers.take(grids * rows * cols);
            upsample.resample(coarse, &mut padded, &mut scratch.stretched);
            crop(&padded, shape, logits);
            scratch.buffers.give(padded);
        }
        scratch.upsample = Some(upsample);
    }

    /// The embeddings and the encoder's tokens of images, and the grid of patches, every token
    /// attending to all of its image. The buffers are of `scratch`.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - results: `[batch * rows * cols, patch width]` each
    ///
    /// # Panics
    /// Another number of values, or images smaller than one patch.
    pub(super) fn encode(
        &self,
        images: &[f32],
        sizes: [usize; 3],
        scratch: &mut Scratch,
    ) -> ([Buffer; 2], [usize; 2]) {
        let numbers = sizes.iter().product::<usize>() * self.channels();
        assert_eq!(images.len(), numbers, "numbers of images");
        let shape = Shape::of(&self.layers.config, sizes).without_reach();
        let mut watch = |_| ();
        let mut pass = scratch.pass(&mut watch);
        let Encoded {
            features,
            embeddings,
            tokens,
        } = self.layers.encode(images, shape, &mut pass, None);
        features.give(pass.scratch);
        ([embeddings, tokens], shape.grid)
    }

    /// The graph over nodes of one graph, of any number.
    ///
    /// # Shapes
    /// - encoded: `[nodes, patch width]`
    /// - output: `[nodes, graph width]`
    pub(super) fn refine(&self, encoded: Vec<f32>, nodes: usize) -> Vec<f32> {
        let mut scratch = Scratch {
            buffers: scratch::Scratch::allocating(),
            ..Scratch::default()
        };
        let (shape, mut watch) = (Shape::of_graph(nodes), |_| ());
        let mut pass = scratch.pass(&mut watch);
        let graph = &self.layers.graph;
        graph.forward(encoded.into(), shape, &mut pass, None).into()
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
        image: Vec<f32>,
        [height, width]: [usize; 2],
        grid: [usize; 2],
        [nodes, embeddings]: [&[f32]; 2],
        scratch: &mut Scratch,
    ) -> (Buffer, [usize; 2]) {
        let shape = Shape {
            grid,
            ..Shape::of(&self.layers.config, [1, height, width])
        };
        let mut watch = |_| ();
        let pass = &mut scratch.pass(&mut watch);
        let features = self.layers.stem.forward(&image, shape, pass, false);
        drop(image);
        let parts = [nodes, embeddings];
        let scores = (self.layers.decoder).forward(parts, &features, shape, pass, None);
        features.give(pass.scratch);
        scores
    }
}

/// Grids of the image's size, from grids padded below and to the right.
fn crop(padded: &[f32], shape: Shape, grids: &mut [f32]) {
    let ([height, width], [rows, cols]) = (shape.pixels, shape.padded);
    let of_grid = padded.chunks_exact(rows * cols);
    for (from, to) in of_grid.zip(grids.chunks_exact_mut(height * width)) {
        let lines = from.chunks_exact(cols).zip(to.chunks_exact_mut(width));
        lines.for_each(|(from, to)| to.copy_from_slice(&from[..width]));
    }
}
