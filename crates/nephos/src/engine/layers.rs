//! The layers of the network, for inference and training alike.
//!
//! Grids are channels-last, tokens rows, `[batch * tokens, width]`, from the patches to the class
//! scores.

use nephos_kernel::scratch::{Buffer, Scratch};
use nephos_kernel::stage::Watch;

use super::decoder::{self, Decoder, InputGradients};
use super::embed::Embed;
use super::encoder::{self, Encoder};
use super::gradients::{Gradients, add};
use super::graph::{self, Graph};
use super::position::{self, Position};
use super::shape::Shape;
use super::stem::{Features, Stem};
use super::weights::Source;
use crate::config::ModelConfig;

/// The network but for the bilinear upsampling of its scores.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    pub config: ModelConfig,
    pub channels: usize,
    pub stem: Stem<'a>,
    pub embed: Embed<'a>,
    pub position: Position<'a>,
    pub encoder: Encoder<'a>,
    pub graph: Graph<'a>,
    pub decoder: Decoder<'a>,
}

/// What a forward pass computes with.
pub(super) struct Pass<'p> {
    pub scratch: &'p mut Scratch,
    pub positions: &'p mut position::Cache,
    /// Receives each stage when it is done.
    pub watch: &'p mut Watch<'p>,
    /// What dropout is a function of; `None`: nothing is dropped.
    pub seed: Option<u64>,
    /// Whether the backward pass computes again what is inside layers.
    pub checkpointing: bool,
}

/// What the backward pass needs beside the images and the parameters.
#[derive(Debug, Default)]
pub(super) struct Saved {
    features: Features,
    embeddings: Buffer,
    encoder: encoder::Saved,
    graph: graph::Saved,
    decoder: decoder::Saved,
}

/// What the graph and the decoder are given.
pub(super) struct Encoded {
    pub features: Features,
    pub embeddings: Buffer,
    pub tokens: Buffer,
}

impl<'a> Layers<'a> {
    /// Of a validated configuration. `None` where a weight is missing, left over or of another
    /// shape.
    pub fn new(config: &ModelConfig, mut source: Source<'a>) -> Option<Self> {
        let first = match config.stem.channels.is_empty() {
            true => "patch_embed.proj.weight",
            false => "stem.levels.0.down.weight",
        };
        let channels = *source
            .shape(first)?
            .get(1)
            .filter(|channels| **channels > 0)?;
        let source = &mut source;
        let layers = Self {
            stem: Stem::new(config, channels, source)?,
            embed: Embed::new(config, channels, source)?,
            position: Position::new(config, source)?,
            encoder: Encoder::new(config, source)?,
            graph: Graph::new(config, source)?,
            decoder: Decoder::new(config, channels, source)?,
            config: config.clone(),
            channels,
        };
        source.is_empty().then_some(layers)
    }

    /// The stem's features, the embeddings and the encoder's tokens.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn encode(
        &self,
        images: &[f32],
        shape: Shape,
        pass: &mut Pass<'_>,
        saved: Option<&mut encoder::Saved>,
    ) -> Encoded {
        let features = self.stem.forward(images, shape, pass, saved.is_some());
        let embeddings = self.embed.forward(images, &features, shape, pass);
        let placed = self.position.forward(&embeddings, shape, pass);
        let tokens = self.encoder.forward(placed, shape, pass, saved);
        Encoded {
            features,
            embeddings,
            tokens,
        }
    }

    /// Class scores of every cell of the decoder's last grid, and its rows and columns; `saved`
    /// takes what [`Layers::backward`] needs.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, classes, cell rows, cell columns]`
    pub fn forward(
        &self,
        images: &[f32],
        shape: Shape,
        pass: &mut Pass<'_>,
        mut saved: Option<&mut Saved>,
    ) -> (Buffer, [usize; 2]) {
        let place = saved.as_deref_mut().map(|saved| &mut saved.encoder);
        let Encoded {
            features,
            embeddings,
            tokens,
        } = self.encode(images, shape, pass, place);
        let place = saved.as_deref_mut().map(|saved| &mut saved.graph);
        let nodes = self.graph.forward(tokens, shape, pass, place);
        let place = saved.as_deref_mut().map(|saved| &mut saved.decoder);
        let parts = [&nodes[..], &embeddings];
        let scores = (self.decoder).forward(parts, &features, shape, pass, place);
        pass.scratch.give(nodes);
        match saved {
            Some(saved) => (saved.features, saved.embeddings) = (features, embeddings),
            None => {
                features.give(pass.scratch);
                pass.scratch.give(embeddings);
            }
        }
        scores
    }

    /// [`Layers::forward`] in training; `seed` is what dropout is a function of.
    ///
    /// # Panics
    /// Another number of values.
    pub fn forward_and_save(
        &self,
        images: &[f32],
        shape: Shape,
        seed: u64,
        checkpointing: bool,
    ) -> (Vec<f32>, Saved) {
        let numbers = shape.batch * shape.pixels[0] * shape.pixels[1] * self.channels;
        assert_eq!(images.len(), numbers, "numbers of images");
        let mut saved = Saved::default();
        let mut pass = Pass {
            scratch: &mut Scratch::allocating(),
            positions: &mut position::Cache::default(),
            watch: &mut |_| (),
            seed: Some(seed),
            checkpointing,
        };
        let (scores, _) = self.forward(images, shape, &mut pass, Some(&mut saved));
        (scores.into(), saved)
    }

    /// The gradients of all parameters, from that by the scores.
    ///
    /// # Panics
    /// The gradient has another number of values than the scores.
    pub fn backward(
        &self,
        images: &[f32],
        shape: Shape,
        seed: u64,
        saved: Saved,
        gradient: &[f32],
    ) -> Gradients {
        let Saved {
            features,
            embeddings,
            encoder,
            graph,
            decoder,
        } = saved;
        let (mut gradients, seed) = (Gradients::default(), Some(seed));
        let to = &mut gradients;
        let InputGradients {
            tokens: [of_nodes, mut of_embeddings],
            mut levels,
        } = self
            .decoder
            .backward(decoder, &features, shape, gradient, to);
        let of_encoded = self.graph.backward(graph, shape, of_nodes, seed, to);
        let of_placed = self.encoder.backward(encoder, shape, of_encoded, seed, to);
        let of_tokens = self.position.backward(&embeddings, shape, of_placed, to);
        add(&mut of_embeddings, of_tokens);
        let of_features = self
            .embed
            .backward(images, &features, shape, &of_embeddings, to);
        if let (Some(of_features), Some(last)) = (of_features, levels.last_mut()) {
            add(last, of_features);
        }
        self.stem.backward(features, levels, shape, to);
        gradients
    }
}
