//! From nodes to class scores: a convolution on the grid of tokens, stages that double the
//! grid, a classifier of each cell.

use nephos_kernel::conv::{self, Window};
use nephos_kernel::gemm::Act;
use nephos_kernel::pyramid::{
    Convolve, Merge, MergeWeights, Residual, ResidualSaved, relu_backward,
};
use nephos_kernel::token_conv::{Padded, TokenConv};

use super::backbone::{Features, exchange, residual_backward, residual_weights};
use super::scope::{Gradients, Scope};
use crate::config::ModelConfig;
use crate::engine::packed::Shape;

/// The decoder but for the bilinear upsampling of its scores.
pub(super) struct Decoder<'a> {
    pub config: &'a ModelConfig,
    pub channels: usize,
    pub scope: Scope<'a>,
    /// Whether the backward pass computes the inside of blocks again.
    pub checkpointing: bool,
}

/// What the backward pass of a decoder needs beside its weights.
pub(super) struct DecoderSaved {
    tokens: Padded,
    /// The output of the convolution, then of each stage.
    grids: Vec<Vec<f32>>,
    stages: Vec<StageSaved>,
}

struct StageSaved {
    joined: Vec<f32>,
    /// What the block was given, and saved.
    block: Option<(Vec<f32>, Option<ResidualSaved>)>,
}

/// The gradients by what a decoder is given.
pub(super) struct InputGradients {
    /// By the nodes, then by the embeddings: empty where they are not joined.
    pub tokens: [Vec<f32>; 2],
    /// By the output of each level of the stem; empty where it is not joined.
    pub levels: Vec<Vec<f32>>,
}

impl Decoder<'_> {
    /// Features of the embeddings that are joined.
    fn skip(&self) -> usize {
        match self.config.decoder.skip {
            true => self.config.patch.width,
            false => 0,
        }
    }

    fn conv(&self, shape: Shape) -> TokenConv {
        TokenConv {
            batch: shape.batch,
            grid: shape.grid,
            inputs: self.config.graph_width() + self.skip(),
            outputs: self.config.decoder.width,
            kernel: self.config.decoder.kernel,
            format: self.scope.format(),
        }
    }

    fn inputs(&self, stage: usize) -> usize {
        match stage {
            0 => self.config.decoder.width,
            _ => self.config.decoder.stages[stage - 1],
        }
    }

    fn merge(&self, stage: usize, shape: Shape) -> Merge {
        let detail = self.config.detail_width(stage, self.channels);
        Merge {
            shape: size(shape, stage),
            inputs: self.inputs(stage),
            detail: detail.unwrap_or(0),
            width: self.config.decoder.stages[stage],
            format: self.scope.format(),
        }
    }

    fn classify(&self, shape: Shape) -> Convolve {
        let stages = self.config.decoder.stages.len();
        Convolve {
            shape: size(shape, stages),
            inputs: self.inputs(stages),
            outputs: self.config.classes,
            window: Window {
                kernel: [1; 2],
                stride: 1,
                padding: [0; 2],
            },
            format: self.scope.format(),
        }
    }

    /// # Shapes
    /// - nodes, embeddings: `[batch · rows · cols, _]`
    /// - output: `[batch, classes, rows · 2^stages, cols · 2^stages]`
    pub fn forward(
        &self,
        nodes: &[f32],
        embeddings: &[f32],
        features: &Features,
        shape: Shape,
    ) -> (Vec<f32>, DecoderSaved) {
        let conv = self.conv(shape);
        let tokens = match self.skip() {
            0 => conv.pad(&[nodes]),
            _ => conv.pad(&[nodes, embeddings]),
        };
        let [weight, bias] = self.scope.pair("conv1");
        let mut saved = DecoderSaved {
            grids: vec![conv.forward(&tokens, weight, bias, Act::Relu)],
            stages: Vec::new(),
            tokens,
        };
        for stage in 0..self.config.decoder.stages.len() {
            let (merge, scope) = (
                self.merge(stage, shape),
                self.scope.child("stages").child(stage),
            );
            let detail = match self.config.detail_level(stage) {
                Some(level) => &features.grids[level][..],
                None => &[],
            };
            let act = match self.config.decoder.residual {
                true => Act::None,
                false => Act::Relu,
            };
            let (out, joined) =
                merge.forward(&saved.grids[stage], detail, &merge_weights(&scope), act);
            let (out, block) = match self.config.decoder.residual {
                false => (out, None),
                true => {
                    let weights = residual_weights(&scope.child("block"));
                    let (refined, inside) = residual(&merge).forward(&out, &weights);
                    (
                        refined,
                        Some((out, (!self.checkpointing).then_some(inside))),
                    )
                }
            };
            saved.stages.push(StageSaved { joined, block });
            saved.grids.push(out);
        }
        let [weight, bias] = self.scope.pair("conv_out");
        let last = &saved.grids[saved.stages.len()];
        let scores = (self.classify(shape)).forward(last, weight, bias, Act::None);
        let image = scores.len() / shape.batch;
        let planes = |scores: &[f32]| exchange(scores, self.config.classes);
        (scores.chunks_exact(image).flat_map(planes).collect(), saved)
    }

    /// From the gradient by the scores.
    pub fn backward(
        &self,
        saved: DecoderSaved,
        shape: Shape,
        gradient: &[f32],
        gradients: &mut Gradients,
    ) -> InputGradients {
        let image = gradient.len() / shape.batch;
        let cells = image / self.config.classes;
        let by_cell: Vec<f32> = (gradient.chunks_exact(image))
            .flat_map(|planes| exchange(planes, cells))
            .collect();
        let DecoderSaved {
            tokens,
            mut grids,
            stages,
        } = saved;
        let [weight, _] = self.scope.pair("conv_out");
        let last = grids.pop().unwrap_or_default();
        let [mut gradient, weight, bias] =
            (self.classify(shape)).backward(&last, weight, &by_cell, true);
        self.scope.add_pair(gradients, "conv_out", [weight, bias]);

        let mut levels = vec![Vec::new(); self.config.stem.channels.len()];
        let mut out = last;
        for (stage, StageSaved { joined, block }) in stages.into_iter().enumerate().rev() {
            let (merge, scope) = (
                self.merge(stage, shape),
                self.scope.child("stages").child(stage),
            );
            match block {
                None => relu_backward(&out, &mut gradient),
                Some((x, inside)) => {
                    let (block, scope) = (residual(&merge), scope.child("block"));
                    gradient = residual_backward(&block, &scope, &x, inside, &gradient, gradients);
                }
            }
            let x = grids.pop().unwrap_or_default();
            let [of_x, of_detail, w1, b1, w2, b2] =
                merge.backward(&x, &merge_weights(&scope), &joined, &gradient);
            scope.add_pair(gradients, "reduce", [w1, b1]);
            scope.add_pair(gradients, "join", [w2, b2]);
            if let Some(level) = self
                .config
                .detail_level(stage)
                .and_then(|level| level.checked_sub(1))
            {
                levels[level] = of_detail;
            }
            (gradient, out) = (of_x, x);
        }
        relu_backward(&out, &mut gradient);
        let [weight, _] = self.scope.pair("conv1");
        let [of_tokens, weight, bias] = (self.conv(shape)).backward(&tokens, weight, &gradient);
        self.scope.add_pair(gradients, "conv1", [weight, bias]);
        InputGradients {
            tokens: self.part(of_tokens),
            levels,
        }
    }

    /// Nodes and embeddings, which lie side by side.
    fn part(&self, joined: Vec<f32>) -> [Vec<f32>; 2] {
        if self.skip() == 0 {
            return [joined, Vec::new()];
        }
        let nodes = self.config.graph_width();
        let tokens = joined.chunks_exact(nodes + self.skip());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for token in tokens {
            first.extend_from_slice(&token[..nodes]);
            second.extend_from_slice(&token[nodes..]);
        }
        [first, second]
    }
}

/// The cells after so many doublings.
fn size(shape: Shape, doublings: usize) -> conv::Shape {
    let [height, width] = shape.grid.map(|side| side << doublings);
    conv::Shape {
        batch: shape.batch,
        height,
        width,
    }
}

fn residual(merge: &Merge) -> Residual {
    Residual {
        shape: merge.doubled(),
        width: merge.width,
        format: merge.format,
    }
}

fn merge_weights<'a>(scope: &Scope<'a>) -> MergeWeights<'a> {
    MergeWeights {
        reduce: scope.pair("reduce"),
        join: scope.pair("join"),
    }
}
