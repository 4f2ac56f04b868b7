//! From nodes to class scores of patches.

use nephos_kernel::gemm::Act;
use rayon::prelude::*;

use super::conv::{self, GridConv};
use super::linear::Linear;
use super::weights::Weights;
use super::{Shape, Stage, room};
use crate::config::ModelConfig;

/// A convolution on the grid of tokens, and a classifier of each.
#[derive(Debug)]
pub(super) struct Decoder {
    conv: GridConv,
    classify: Linear,
    nodes: usize,
    /// Features of the embeddings that are joined, 0 where they are not.
    skip: usize,
    width: usize,
    classes: usize,
}

/// What the decoder computes with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    conv: conv::Scratch,
    scores: Vec<f32>,
}

impl Decoder {
    pub fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Self> {
        let (decoder, classes) = (&config.decoder, config.classes);
        let (nodes, width) = (config.graph_width(), decoder.width);
        let skip = if decoder.skip { config.patch.width } else { 0 };
        let sizes = [nodes + skip, width];
        let conv = GridConv::take(weights, "decoder.conv1", sizes, decoder.kernel)?;
        let weight = weights.take("decoder.conv_out.weight", &[classes, width, 1, 1])?;
        let bias = weights.take("decoder.conv_out.bias", &[classes])?;
        Some(Self {
            conv,
            classify: Linear::new(&weight, [width, classes], Some(bias)),
            nodes,
            skip,
            width,
            classes,
        })
    }

    /// `wide` is a buffer of any length that others use too.
    ///
    /// # Shapes
    /// - nodes: `[rows, graph width]`
    /// - embeddings: `[rows, patch width]`
    /// - coarse: `[batch, classes, tokens]`
    #[allow(clippy::too_many_arguments)]
    pub fn classify(
        &self,
        nodes: &[f32],
        embeddings: &[f32],
        shape: Shape,
        scratch: &mut Scratch,
        wide: &mut Vec<f32>,
        coarse: &mut [f32],
        watch: &mut dyn FnMut(Stage),
    ) {
        let Scratch { conv, scores } = scratch;
        let joined = if self.skip == 0 {
            0
        } else {
            nodes.len() + embeddings.len()
        };
        let wide = room(wide, joined + shape.rows() * self.width);
        let (joined, features) = wide.split_at_mut(joined);
        let grid = if self.skip == 0 {
            nodes
        } else {
            (joined.par_chunks_exact_mut(self.nodes + self.skip))
                .zip(nodes.par_chunks_exact(self.nodes))
                .zip(embeddings.par_chunks_exact(self.skip))
                .with_min_len(64)
                .for_each(|((to, node), embedding)| {
                    to[..self.nodes].copy_from_slice(node);
                    to[self.nodes..].copy_from_slice(embedding);
                });
            joined
        };
        self.conv.forward(grid, shape, conv, features);
        watch(Stage::Convolution);
        scores.resize(shape.rows() * self.classes, 0.0);
        (self.classify).forward(features, None, Act::None, scores);
        let items = scores.chunks_exact(shape.tokens() * self.classes);
        for (scores, coarse) in items.zip(coarse.chunks_exact_mut(shape.tokens() * self.classes)) {
            for (class, plane) in coarse.chunks_exact_mut(shape.tokens()).enumerate() {
                for (to, scores) in plane.iter_mut().zip(scores.chunks_exact(self.classes)) {
                    *to = scores[class];
                }
            }
        }
        watch(Stage::Classify);
    }
}
