//! From images to tokens: stem, patch embedding, positions.

use nephos_kernel::conv::{self, Window};
use nephos_kernel::depthwise::{self, Depthwise};
use nephos_kernel::gemm::Act;
use nephos_kernel::interpolate::Bilinear;
use nephos_kernel::patches::Patches;
use nephos_kernel::pyramid::{Convolve, Residual, ResidualSaved, ResidualWeights};

use super::scope::{Gradients, Scope};
use crate::config::{ModelConfig, PositionKind};
use crate::engine::packed::Shape;
use crate::engine::position::{learned, resampling, sincos};
use crate::engine::stem::channels_last;

/// A light convolutional stem: each level halves the grid (Xiao et al. 2021,
/// doi:10.48550/arXiv.2106.14881).
pub(super) struct Stem<'a> {
    pub config: &'a ModelConfig,
    pub channels: usize,
    pub scope: Scope<'a>,
    /// Whether the backward pass computes again what is inside a block.
    pub checkpointing: bool,
}

/// The grids of a stem, channels-last, and what its backward pass needs beside them.
#[derive(Default)]
pub(super) struct Features {
    /// The padded image, then the output of each level; nothing without a stem and stages.
    pub grids: Vec<Vec<f32>>,
    levels: Vec<(Vec<f32>, Option<ResidualSaved>)>,
}

impl Stem<'_> {
    fn size(&self, level: usize, shape: Shape) -> conv::Shape {
        let [height, width] = shape.padded.map(|side| side >> level);
        conv::Shape {
            batch: shape.batch,
            height,
            width,
        }
    }

    /// The halving convolution of a level, from 0, and its block.
    fn level(&self, level: usize, shape: Shape) -> (Convolve, Residual) {
        let widths = &self.config.stem.channels;
        let down = Convolve {
            shape: self.size(level, shape),
            inputs: if level == 0 {
                self.channels
            } else {
                widths[level - 1]
            },
            outputs: widths[level],
            window: Window {
                kernel: [3; 2],
                stride: 2,
                padding: [1; 2],
            },
            format: self.scope.format(),
        };
        let block = Residual {
            shape: self.size(level + 1, shape),
            width: widths[level],
            format: self.scope.format(),
        };
        (down, block)
    }

    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn forward(&self, images: &[f32], shape: Shape) -> Features {
        let mut features = Features::default();
        if self.config.stem.channels.is_empty() && self.config.decoder.stages.is_empty() {
            return features;
        }
        let [rows, cols] = shape.padded;
        let mut pixels = vec![0.0; shape.batch * rows * cols * self.channels];
        let mu = self.config.stem.mu;
        channels_last(images, shape, self.channels, mu, &mut pixels);
        features.grids.push(pixels);
        for level in 0..self.config.stem.channels.len() {
            let (down, block) = self.level(level, shape);
            let scope = self.scope.child("levels").child(level);
            let [weight, bias] = scope.pair("down");
            let halved = down.forward(&features.grids[level], weight, bias, Act::None);
            let (out, saved) = block.forward(&halved, &residual_weights(&scope.child("block")));
            features.grids.push(out);
            let saved = (!self.checkpointing).then_some(saved);
            features.levels.push((halved, saved));
        }
        features
    }

    /// From the gradients by the output of each level, which are empty where there is none.
    pub fn backward(
        &self,
        features: Features,
        mut by_level: Vec<Vec<f32>>,
        shape: Shape,
        gradients: &mut Gradients,
    ) {
        let Features { grids, levels } = features;
        for (level, (halved, saved)) in levels.into_iter().enumerate().rev() {
            let (down, block) = self.level(level, shape);
            let scope = self.scope.child("levels").child(level);
            let of_out = std::mem::take(&mut by_level[level]);
            if of_out.is_empty() {
                continue;
            }
            let of_halved = residual_backward(
                &block,
                &scope.child("block"),
                &halved,
                saved,
                &of_out,
                gradients,
            );
            let [weight, _] = scope.pair("down");
            let [of_input, weight, bias] =
                down.backward(&grids[level], weight, &of_halved, level > 0);
            scope.add_pair(gradients, "down", [weight, bias]);
            if level > 0 {
                add(&mut by_level[level - 1], of_input);
            }
        }
    }
}

/// Adds `more`, or takes it where there is nothing yet.
pub(super) fn add(sum: &mut Vec<f32>, more: Vec<f32>) {
    if sum.is_empty() {
        *sum = more;
    } else {
        sum.iter_mut().zip(&more).for_each(|(sum, x)| *sum += x);
    }
}

/// The weights of a residual block.
pub(super) fn residual_weights<'a>(scope: &Scope<'a>) -> ResidualWeights<'a> {
    ResidualWeights {
        conv1: scope.pair("conv1"),
        conv2: scope.pair("conv2"),
        gain: scope.scalar("gain"),
    }
}

/// The gradient by the input `x` of a residual block, whose inside is computed again where it
/// was not saved.
pub(super) fn residual_backward(
    block: &Residual,
    scope: &Scope<'_>,
    x: &[f32],
    saved: Option<ResidualSaved>,
    gradient: &[f32],
    gradients: &mut Gradients,
) -> Vec<f32> {
    let weights = residual_weights(scope);
    let saved = saved.unwrap_or_else(|| block.forward(x, &weights).1);
    let (of_x, [conv1, conv2], gain) = block.backward(x, &weights, &saved, gradient);
    scope.add_pair(gradients, "conv1", conv1);
    scope.add_pair(gradients, "conv2", conv2);
    scope.add(gradients, "gain", vec![gain]);
    of_x
}

/// A strided convolution that makes one token of each patch (Dosovitskiy et al. 2021,
/// doi:10.48550/arXiv.2010.11929), of the image or of a stem's features.
pub(super) struct PatchEmbed<'a> {
    pub config: &'a ModelConfig,
    pub channels: usize,
    pub scope: Scope<'a>,
}

impl PatchEmbed<'_> {
    /// Of a stem's features.
    fn of_features(&self, shape: Shape) -> Option<Convolve> {
        let inputs = *self.config.stem.channels.last()?;
        let (patch, reduction) = (&self.config.patch, self.config.stem.reduction());
        let [height, width] = shape.padded.map(|side| side / reduction);
        Some(Convolve {
            shape: conv::Shape {
                batch: shape.batch,
                height,
                width,
            },
            inputs,
            outputs: patch.width,
            window: Window {
                kernel: [patch.size / reduction; 2],
                stride: patch.stride / reduction,
                padding: [patch.padding / reduction; 2],
            },
            format: self.scope.format(),
        })
    }

    fn of_pixels(&self, shape: Shape) -> Patches {
        let patch = &self.config.patch;
        Patches {
            batch: shape.batch,
            channels: self.channels,
            image: shape.padded,
            size: patch.size,
            stride: patch.stride,
            padding: patch.padding,
            format: self.scope.format(),
        }
    }

    /// # Shapes
    /// - images: `[batch, channels, padded height, padded width]`
    /// - output: `[batch · rows · cols, width]`
    pub fn forward(&self, images: &[f32], features: &Features, shape: Shape) -> Vec<f32> {
        let [weight, bias] = self.scope.pair("proj");
        match (self.of_features(shape), features.grids.last()) {
            (Some(conv), Some(grid)) => conv.forward(grid, weight, bias, Act::None),
            _ => self.of_pixels(shape).forward(images, weight, bias),
        }
    }

    /// The gradient by a stem's features; none without a stem.
    pub fn backward(
        &self,
        images: &[f32],
        features: &Features,
        shape: Shape,
        gradient: &[f32],
        gradients: &mut Gradients,
    ) -> Option<Vec<f32>> {
        let [weight, _] = self.scope.pair("proj");
        match (self.of_features(shape), features.grids.last()) {
            (Some(conv), Some(grid)) => {
                let [of_grid, weight, bias] = conv.backward(grid, weight, gradient, true);
                self.scope.add_pair(gradients, "proj", [weight, bias]);
                Some(of_grid)
            }
            _ => {
                let pair = self.of_pixels(shape).weights_backward(images, gradient);
                self.scope.add_pair(gradients, "proj", pair);
                None
            }
        }
    }
}

/// Adds a position to each token.
pub(super) struct Position<'a> {
    pub config: &'a ModelConfig,
    pub scope: Scope<'a>,
}

impl Position<'_> {
    fn conditional(&self, shape: Shape) -> Depthwise {
        Depthwise {
            batch: shape.batch,
            grid: shape.grid,
            width: self.config.patch.width,
        }
    }

    fn resampling(&self, shape: Shape) -> Bilinear {
        let config = self.config;
        let (rows, cols) = (config.grid(config.image_size, config.image_size))
            .expect("a validated configuration has a grid");
        resampling([rows, cols], shape.grid)
    }

    /// # Shapes
    /// - tokens, output: `[batch · rows · cols, width]`
    pub fn forward(&self, tokens: &[f32], shape: Shape) -> Vec<f32> {
        let (width, [rows, cols]) = (self.config.patch.width, shape.grid);
        match self.config.encoder.position {
            PositionKind::None => tokens.to_vec(),
            PositionKind::Sincos => plus_each(tokens, &sincos(rows, cols, width)),
            PositionKind::Learned => {
                let embedding = self.scope.get("embedding");
                let resampling = self.resampling(shape);
                plus_each(tokens, &learned(embedding, &resampling, width, shape.grid))
            }
            PositionKind::Conditional => {
                let mut placed = vec![0.0; tokens.len()];
                let [weight, bias] = self.scope.pair("conditional");
                let taps = &depthwise::by_place(weight);
                let weights = depthwise::Weights { taps, bias };
                (self.conditional(shape)).forward(tokens, &weights, &mut placed);
                placed
            }
        }
    }

    /// The gradient by the tokens, from that by the output.
    pub fn backward(
        &self,
        tokens: &[f32],
        shape: Shape,
        gradient: Vec<f32>,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        match self.config.encoder.position {
            PositionKind::None | PositionKind::Sincos => gradient,
            PositionKind::Learned => {
                let image = shape.tokens() * self.config.patch.width;
                let mut of_image = vec![0.0; image];
                for part in gradient.chunks_exact(image) {
                    of_image.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
                }
                let planes = exchange(&of_image, self.config.patch.width);
                let of_embedding = self.resampling(shape).transposed(&planes);
                self.scope.add(gradients, "embedding", of_embedding);
                gradient
            }
            PositionKind::Conditional => {
                let [weight, bias] = self.scope.pair("conditional");
                let taps = &depthwise::by_place(weight);
                let weights = depthwise::Weights { taps, bias };
                let [of_tokens, taps, bias] =
                    (self.conditional(shape)).backward(tokens, &weights, &gradient);
                let weight = depthwise::by_feature(&taps);
                self.scope
                    .add_pair(gradients, "conditional", [weight, bias]);
                of_tokens
            }
        }
    }
}

/// `positions` added to the tokens of each image.
fn plus_each(tokens: &[f32], positions: &[f32]) -> Vec<f32> {
    let positions = positions.iter().cycle();
    tokens.iter().zip(positions).map(|(x, p)| x + p).collect()
}

/// A matrix of rows of `cols` numbers, transposed.
pub(super) fn exchange(matrix: &[f32], cols: usize) -> Vec<f32> {
    let of_col = |col: usize| matrix[col..].iter().step_by(cols).copied();
    (0..cols).flat_map(of_col).collect()
}
