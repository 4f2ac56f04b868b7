//! Forward and backward passes of the graph transformer, layer by layer.
//!
//! Each part of the network is a struct of its configuration and its parameters, whose
//! `forward` returns what its `backward` needs. Grids are channels-last, tokens rows.

mod backbone;
#[cfg(test)]
mod parity;
mod refine;
mod scope;
mod transformer;
mod upsample;

use std::borrow::Cow;

use nephos_kernel::format::Format;

use backbone::{Features, PatchEmbed, Position, Stem, add};
use refine::{Graph, GraphSaved};
use scope::Scope;
use transformer::{Encoder, EncoderSaved};
use upsample::{Decoder, DecoderSaved};

use crate::config::ModelConfig;
use crate::engine::packed::Shape;
use crate::mirror::mirrored;
use crate::weights::Parameters;

pub(crate) use scope::Gradients;

/// A network in training.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network<'a> {
    pub config: &'a ModelConfig,
    pub channels: usize,
    pub parameters: &'a Parameters,
    /// What dropout is a function of; `None`: nothing is dropped.
    pub seed: Option<u64>,
    /// Whether the backward pass computes again what is inside layers.
    pub checkpointing: bool,
    /// Of the operands of products.
    pub format: Format,
}

/// What the backward pass of a network needs beside its parameters.
pub(crate) struct Pass<'a> {
    shape: Shape,
    images: Cow<'a, [f32]>,
    features: Features,
    embeddings: Vec<f32>,
    encoder: EncoderSaved,
    graph: GraphSaved,
    decoder: DecoderSaved,
}

impl<'a> Network<'a> {
    fn scope(&self, name: &str) -> Scope<'a> {
        Scope::new(self.parameters, name, self.format)
    }

    fn stem(&self) -> Stem<'a> {
        Stem {
            config: self.config,
            channels: self.channels,
            scope: self.scope("stem"),
            checkpointing: self.checkpointing,
        }
    }

    fn patch_embed(&self) -> PatchEmbed<'a> {
        PatchEmbed {
            config: self.config,
            channels: self.channels,
            scope: self.scope("patch_embed"),
        }
    }

    fn position(&self) -> Position<'a> {
        Position {
            config: self.config,
            scope: self.scope("position"),
        }
    }

    fn encoder(&self) -> Encoder<'a> {
        Encoder {
            config: self.config,
            scope: self.scope("encoder"),
            seed: self.seed,
            checkpointing: self.checkpointing,
        }
    }

    fn graph(&self) -> Graph<'a> {
        Graph {
            config: self.config,
            scope: self.scope("graph"),
            seed: self.seed,
            checkpointing: self.checkpointing,
        }
    }

    fn decoder(&self) -> Decoder<'a> {
        Decoder {
            config: self.config,
            channels: self.channels,
            scope: self.scope("decoder"),
            checkpointing: self.checkpointing,
        }
    }

    /// Class scores of every cell of the decoder's last grid, and what
    /// [`Network::backward`] needs.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]` for `sizes = [batch, height, width]`
    /// - output: `[batch, classes, cell rows, cell columns]`, of [`Network::cells`]
    ///
    /// # Panics
    /// Another number of values, or images smaller than one patch.
    pub fn forward<'b>(&self, images: &'b [f32], sizes: [usize; 3]) -> (Vec<f32>, Pass<'b>) {
        let shape = Shape::of(self.config, sizes);
        let numbers = sizes.iter().product::<usize>() * self.channels;
        assert_eq!(images.len(), numbers, "numbers of images");
        let features = self.stem().forward(images, shape);
        let images = match self.config.stem.channels.is_empty() {
            true => padded(images, shape),
            false => Cow::Borrowed(images),
        };
        let embeddings = self.patch_embed().forward(&images, &features, shape);
        let placed = self.position().forward(&embeddings, shape);
        let (encoded, encoder) = self.encoder().forward(placed, shape);
        let (nodes, graph) = self.graph().forward(encoded, shape);
        let (scores, decoder) = (self.decoder()).forward(&nodes, &embeddings, &features, shape);
        let pass = Pass {
            shape,
            images,
            features,
            embeddings,
            encoder,
            graph,
            decoder,
        };
        (scores, pass)
    }

    /// Rows and columns of the cells that are scored.
    ///
    /// # Panics
    /// The image is smaller than one patch.
    pub fn cells(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let shape = Shape::of(self.config, [1, height, width]);
        shape
            .grid
            .map(|side| side << self.config.decoder.stages.len())
    }

    /// The gradients of all parameters, from that by the scores.
    ///
    /// # Panics
    /// The gradient has another number of values than the scores.
    pub fn backward(&self, pass: Pass<'_>, gradient: &[f32]) -> Gradients {
        let Pass {
            shape,
            images,
            features,
            embeddings,
            encoder,
            graph,
            decoder,
        } = pass;
        let mut gradients = Gradients::default();
        let to = &mut gradients;
        let upsample::InputGradients {
            tokens: [of_nodes, mut of_embeddings],
            mut levels,
        } = self.decoder().backward(decoder, shape, gradient, to);
        let of_encoded = self.graph().backward(graph, shape, of_nodes, to);
        let of_placed = self.encoder().backward(encoder, shape, of_encoded, to);
        let of_tokens = self.position().backward(&embeddings, shape, of_placed, to);
        add(&mut of_embeddings, of_tokens);
        let of_features =
            (self.patch_embed()).backward(&images, &features, shape, &of_embeddings, to);
        if let (Some(of_features), Some(last)) = (of_features, levels.last_mut()) {
            add(last, of_features);
        }
        self.stem().backward(features, levels, shape, to);
        gradients
    }
}

/// Images, [`mirrored`] below and to the right up to the padded size.
pub(crate) fn padded(images: &[f32], shape: Shape) -> Cow<'_, [f32]> {
    let ([height, width], [rows, cols]) = (shape.pixels, shape.padded);
    if [height, width] == [rows, cols] {
        return Cow::Borrowed(images);
    }
    let plane = |plane: &[f32]| -> Vec<f32> {
        let line = |row: usize| &plane[mirrored(row as isize, height) * width..][..width];
        let pixel = |line: &[f32], col: usize| line[mirrored(col as isize, width)];
        let places = (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col)));
        places.map(|(row, col)| pixel(line(row), col)).collect()
    };
    Cow::Owned(
        images
            .chunks_exact(height * width)
            .flat_map(plane)
            .collect(),
    )
}
