//! From nodes to class scores: a convolution on the grid of tokens, stages that double the
//! grid, a classifier of each cell.

use nephos_kernel::conv;
use nephos_kernel::conv_blocks::{Block, Conv, Merge};
use nephos_kernel::gemm::Act;
use nephos_kernel::scratch::Buffer;
use nephos_kernel::stage::Stage;
use nephos_kernel::token_conv::{Padded, TokenConv};
use rayon::prelude::*;

use super::gradients::{Gradients, transposed};
use super::layers::Pass;
use super::shape::Shape;
use super::stem::Features;
use super::weights::Source;
use crate::config::ModelConfig;

/// The decoder but for the bilinear upsampling of its scores.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    conv: TokenConv<'a>,
    stages: Vec<Doubling<'a>>,
    classify: Conv<'a>,
    /// Features of the nodes, and of the embeddings that are joined, 0 where they are not.
    parts: [usize; 2],
}

/// A stage, which doubles the grid.
#[derive(Debug)]
struct Doubling<'a> {
    merge: Merge<'a>,
    block: Option<Block<'a>>,
    /// The level of the stem that is joined, 0 for the image.
    level: Option<usize>,
}

/// What the backward pass of a decoder needs beside its weights.
#[derive(Debug, Default)]
pub(super) struct Saved {
    tokens: Padded,
    stages: Vec<DoublingSaved>,
    /// The grid that is classified.
    last: Buffer,
}

#[derive(Debug)]
struct DoublingSaved {
    x: Buffer,
    joined: Buffer,
    /// The input of the block, and what it saved, which is empty where it is computed again.
    merged: Buffer,
    hidden: Buffer,
}

/// The gradients by what a decoder is given.
pub(super) struct InputGradients {
    /// By the nodes, then by the embeddings: empty where they are not joined.
    pub tokens: [Vec<f32>; 2],
    /// By the output of each level of the stem; empty where it is not joined.
    pub levels: Vec<Vec<f32>>,
}

fn name(stage: usize, part: &str) -> String {
    format!("decoder.stages.{stage}.{part}")
}

fn doubled(size: conv::Shape) -> conv::Shape {
    conv::Shape {
        batch: size.batch,
        height: 2 * size.height,
        width: 2 * size.width,
    }
}

impl<'a> Decoder<'a> {
    /// For images of so many channels.
    pub fn new(config: &ModelConfig, channels: usize, source: &mut Source<'a>) -> Option<Self> {
        let (decoder, width) = (&config.decoder, config.decoder.width);
        let skip = if decoder.skip { config.patch.width } else { 0 };
        let parts = [config.graph_width(), skip];
        let sizes = [parts[0] + parts[1], width];
        let conv = source.token_conv("decoder.conv1", sizes, decoder.kernel)?;
        let inputs = std::iter::once(width).chain(decoder.stages.iter().copied());
        let stage = |(index, (inputs, &width)): (usize, (usize, &usize))| {
            let detail = config.detail_width(index, channels).unwrap_or(0);
            let reduce = source.conv(&name(index, "reduce"), [inputs, width], [1, 1, 0])?;
            let merge = Merge {
                reduce: reduce.with_input_relu(),
                join: source.conv(&name(index, "join"), [width + detail, width], [3, 1, 1])?,
                detail,
            };
            let block = match decoder.residual {
                true => Some(source.block(&name(index, "block"), width)?),
                false => None,
            };
            let level = config.detail_level(index);
            Some(Doubling {
                merge,
                block,
                level,
            })
        };
        let stages = (inputs.zip(&decoder.stages).enumerate()).map(stage);
        let stages = stages.collect::<Option<_>>()?;
        let sizes = [*decoder.stages.last().unwrap_or(&width), config.classes];
        let classify = source.conv("decoder.conv_out", sizes, [1, 1, 0])?;
        Some(Self {
            conv,
            stages,
            classify: classify.with_input_relu(),
            parts,
        })
    }

    /// Class scores of cells, and rows and columns of these.
    ///
    /// # Shapes
    /// - nodes, embeddings: `[batch * rows * cols, _]`
    /// - output: `[batch, classes, rows · 2^stages, cols · 2^stages]`
    pub fn forward(
        &self,
        [nodes, embeddings]: [&[f32]; 2],
        features: &Features,
        shape: Shape,
        pass: &mut Pass<'_>,
        mut saved: Option<&mut Saved>,
    ) -> (Buffer, [usize; 2]) {
        let mut size = shape.cells();
        let both = [nodes, embeddings];
        let parts = if self.parts[1] == 0 {
            &both[..1]
        } else {
            &both
        };
        let place = saved.as_deref_mut().map(|saved| &mut saved.tokens);
        let mut x = (self.conv).forward(parts, size, Act::Relu, place, pass.scratch);
        (pass.watch)(Stage::Convolution);
        for stage in &self.stages {
            let (out, doubling) = stage.forward(x, size, features, pass, saved.is_some());
            if let (Some(saved), Some(doubling)) = (saved.as_deref_mut(), doubling) {
                saved.stages.push(doubling);
            }
            (x, size) = (out, doubled(size));
            (pass.watch)(Stage::Stages);
        }
        let (cells, classes) = (size.height * size.width, self.classify.outputs());
        let mut by_cell = pass.scratch.take(self.classify.numbers(size));
        (self.classify).forward(&x, size, Act::None, None, &mut by_cell);
        let place = saved.map(|saved| &mut saved.last);
        pass.scratch.save_or_give(place, x);
        let mut scores = pass.scratch.take(by_cell.len());
        (scores.par_chunks_exact_mut(cells))
            .enumerate()
            .for_each(|(index, to)| {
                let (image, class) = (index / classes, index % classes);
                let scores = &by_cell[image * cells * classes..][..cells * classes];
                for (to, scores) in to.iter_mut().zip(scores.chunks_exact(classes)) {
                    *to = scores[class];
                }
            });
        pass.scratch.give(by_cell);
        (pass.watch)(Stage::Classify);
        (scores, [size.height, size.width])
    }

    /// From the gradient by the scores.
    pub fn backward(
        &self,
        saved: Saved,
        features: &Features,
        shape: Shape,
        gradient: &[f32],
        gradients: &mut Gradients,
    ) -> InputGradients {
        let image = gradient.len() / shape.batch;
        let cells = image / self.classify.outputs();
        let by_cell: Vec<f32> = (gradient.chunks_exact(image))
            .flat_map(|scores| transposed(scores, cells))
            .collect();
        let size = |doublings| (0..doublings).fold(shape.cells(), |size, _| doubled(size));
        let [mut gradient, weight, bias] =
            (self.classify).backward(&saved.last, size(self.stages.len()), &by_cell, true);
        gradients.add_pair("decoder.conv_out", [weight, bias]);

        let mut levels = vec![Vec::new(); features.grids.len().saturating_sub(1)];
        for (index, saved) in saved.stages.into_iter().enumerate().rev() {
            let Doubling {
                merge,
                block,
                level,
            } = &self.stages[index];
            if let Some(block) = block {
                let DoublingSaved { merged, hidden, .. } = &saved;
                let mut by = block.backward(merged, size(index + 1), hidden, &gradient);
                gradient = std::mem::take(&mut by.x);
                gradients.add_block(&name(index, "block"), by);
            }
            let level = level.and_then(|level| level.checked_sub(1));
            let DoublingSaved { x, joined, .. } = &saved;
            let by = merge.backward(x, size(index), level.is_some(), joined, &gradient);
            gradients.add_pair(&name(index, "reduce"), by.reduce);
            gradients.add_pair(&name(index, "join"), by.join);
            if let Some(level) = level {
                levels[level] = by.detail;
            }
            gradient = by.x;
        }
        let [of_tokens, weight, bias] =
            (self.conv).backward(&saved.tokens, shape.cells(), &gradient);
        gradients.add_pair("decoder.conv1", [weight, bias]);
        InputGradients {
            tokens: self.part(of_tokens),
            levels,
        }
    }

    /// Nodes and embeddings, which lie side by side.
    fn part(&self, joined: Vec<f32>) -> [Vec<f32>; 2] {
        let [nodes, skip] = self.parts;
        if skip == 0 {
            return [joined, Vec::new()];
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for token in joined.chunks_exact(nodes + skip) {
            first.extend_from_slice(&token[..nodes]);
            second.extend_from_slice(&token[nodes..]);
        }
        [first, second]
    }
}

impl Doubling<'_> {
    fn forward(
        &self,
        mut x: Buffer,
        size: conv::Shape,
        features: &Features,
        pass: &mut Pass<'_>,
        saves: bool,
    ) -> (Buffer, Option<DoublingSaved>) {
        let detail: &[f32] = self.level.map_or(&[], |level| &features.grids[level]);
        let detail = (detail, self.level.is_some_and(|level| level > 0));
        let [mut joined, mut hidden, mut merged]: [Buffer; 3] = Default::default();
        let place = saves.then_some(&mut joined);
        let mut out = self.merge.forward(&x, size, detail, place, pass.scratch);
        if !saves {
            pass.scratch.give(std::mem::take(&mut x));
        }
        if let Some(block) = &self.block {
            let place = (saves && !pass.checkpointing).then_some(&mut hidden);
            let refined = block.forward(&out, doubled(size), place, pass.scratch);
            merged = std::mem::replace(&mut out, refined);
        }
        if saves {
            let saved = DoublingSaved {
                x,
                joined,
                merged,
                hidden,
            };
            return (out, Some(saved));
        }
        pass.scratch.give(merged);
        (out, None)
    }
}
