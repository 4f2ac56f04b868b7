//! From nodes to class scores.

use nephos_kernel::gemm::Act;
use rayon::prelude::*;

use super::conv::{self, GridConv};
use super::packed::{Shape, Stage, room};
use super::pyramid::{Conv, UpStage, square};
use super::stem::Features;
use super::weights::Weights;
use crate::config::ModelConfig;

/// A convolution on the grid of tokens, stages that double the grid, and a classifier
/// of each cell.
#[derive(Debug)]
pub(super) struct Decoder {
    conv: GridConv,
    /// Each with the level of the stem that it joins, 0 for the image.
    stages: Vec<(UpStage, Option<usize>)>,
    classify: Conv,
    nodes: usize,
    /// Features of the embeddings that are joined, 0 where they are not.
    skip: usize,
    width: usize,
}

/// What the decoder computes with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    conv: conv::Scratch,
    /// The input and the output of a stage, by turns.
    grids: [Vec<f32>; 2],
    scores: Vec<f32>,
}

impl Decoder {
    /// For images of so many channels.
    pub fn new(config: &ModelConfig, channels: usize, weights: &mut Weights) -> Option<Self> {
        let (decoder, classes) = (&config.decoder, config.classes);
        let (nodes, width) = (config.graph_width(), decoder.width);
        let skip = if decoder.skip { config.patch.width } else { 0 };
        let sizes = [nodes + skip, width];
        let conv = GridConv::take(weights, "decoder.conv1", sizes, decoder.kernel)?;
        let inputs = std::iter::once(width).chain(decoder.stages.iter().copied());
        let stage = |(index, (inputs, &width)): (usize, (usize, &usize))| {
            let detail = config.detail_width(index, channels).unwrap_or(0);
            let stage = UpStage::take(weights, index, [inputs, detail, width], decoder.residual)?;
            Some((stage, config.detail_level(index)))
        };
        let stages = (inputs.zip(&decoder.stages).enumerate()).map(stage);
        let stages = stages.collect::<Option<_>>()?;
        let sizes = [*decoder.stages.last().unwrap_or(&width), classes];
        let classify = Conv::take(weights, "decoder.conv_out", sizes, square(1, 1, 0))?;
        Some(Self {
            conv,
            stages,
            classify: classify.rectified(),
            nodes,
            skip,
            width,
        })
    }

    /// `wide` is a buffer of any length that others use too. Returns rows and columns of
    /// the cells that were scored.
    ///
    /// # Shapes
    /// - nodes, embeddings: `[rows, graph width]`, `[rows, patch width]`
    /// - coarse: `[batch, classes, cells]`
    #[allow(clippy::too_many_arguments)]
    pub fn classify(
        &self,
        [nodes, embeddings]: [&[f32]; 2],
        features: &Features,
        shape: Shape,
        scratch: &mut Scratch,
        wide: &mut Vec<f32>,
        coarse: &mut Vec<f32>,
        watch: &mut (dyn FnMut(Stage) + Send),
    ) -> [usize; 2] {
        let Scratch {
            conv,
            grids: [from, to],
            scores,
        } = scratch;
        let start = room(from, shape.rows() * self.width);
        if self.skip == 0 {
            self.conv.forward(nodes, shape, conv, start);
        } else {
            let joined = room(wide, nodes.len() + embeddings.len());
            (joined.par_chunks_exact_mut(self.nodes + self.skip))
                .zip(nodes.par_chunks_exact(self.nodes))
                .zip(embeddings.par_chunks_exact(self.skip))
                .with_min_len(64)
                .for_each(|((to, node), embedding)| {
                    to[..self.nodes].copy_from_slice(node);
                    to[self.nodes..].copy_from_slice(embedding);
                });
            self.conv.forward(joined, shape, conv, start);
        }
        watch(Stage::Convolution);
        let mut size = conv::size(shape);
        for (stage, level) in &self.stages {
            let cells = size.batch * size.height * size.width;
            let detail = match level {
                Some(level) => &features.grids[*level][..4 * cells * stage.detail()],
                None => &[],
            };
            let rectified = level.is_some_and(|level| level > 0);
            let x = &from[..cells * stage.inputs()];
            size = stage.forward(x, size, (detail, rectified), wide, to);
            std::mem::swap(from, to);
            watch(Stage::Stages);
        }
        let cells = size.height * size.width;
        let classes = self.classify.outputs();
        let scores = room(scores, size.batch * cells * classes);
        let x = &from[..size.batch * cells * self.classify.inputs()];
        self.classify.forward(x, size, Act::None, None, scores);
        coarse.resize(scores.len(), 0.0);
        (coarse.par_chunks_exact_mut(cells))
            .enumerate()
            .for_each(|(plane, to)| {
                let (image, class) = (plane / classes, plane % classes);
                let scores = &scores[image * cells * classes..][..cells * classes];
                for (to, scores) in to.iter_mut().zip(scores.chunks_exact(classes)) {
                    *to = scores[class];
                }
            });
        watch(Stage::Classify);
        [size.height, size.width]
    }
}
