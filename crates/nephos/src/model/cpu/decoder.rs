//! From nodes to class scores of patches.

use nephos_kernel::gemm::{Act, Epilogue, Matrix, Packed, matmul};
use rayon::prelude::*;

use super::Shape;
use super::linear::Linear;
use super::weights::Weights;
use crate::config::ModelConfig;

/// A convolution on the grid of tokens, and a classifier of each.
#[derive(Debug)]
pub(super) struct Decoder {
    /// One matrix `[inputs, width]` for each place of the kernel.
    taps: Vec<Packed>,
    bias: Vec<f32>,
    kernel: usize,
    width: usize,
    nodes: usize,
    skip: usize,
    classify: Linear,
    classes: usize,
}

/// What the decoder computes with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    input: Vec<f32>,
    features: Vec<f32>,
    scores: Vec<f32>,
}

impl Decoder {
    pub fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Self> {
        let decoder = &config.decoder;
        let (width, kernel) = (decoder.width, decoder.kernel);
        let skip = if decoder.skip { config.patch.width } else { 0 };
        let inputs = config.graph_width() + skip;
        let weight = weights.take("decoder.conv1.weight", &[width, inputs, kernel, kernel])?;
        let bias = weights.take("decoder.conv1.bias", &[width])?;
        let places = kernel * kernel;
        let tap = |place: usize| {
            let data = &weight[place..];
            let weight = Matrix::strided(data, [inputs, width], [places, inputs * places]);
            Packed::new(weight)
        };
        let taps = (0..places).map(tap).collect();
        let classes = config.classes;
        let classify = weights.take("decoder.conv_out.weight", &[classes, width, 1, 1])?;
        let classify_bias = weights.take("decoder.conv_out.bias", &[classes])?;
        Some(Self {
            taps,
            bias,
            kernel,
            width,
            nodes: config.graph_width(),
            skip,
            classify: Linear::new(&classify, [width, classes], Some(classify_bias)),
            classes,
        })
    }

    /// # Shapes
    /// - nodes: `[rows, graph width]`
    /// - embeddings: `[rows, patch width]`
    /// - coarse: `[batch, classes, tokens]`
    pub fn classify(
        &self,
        nodes: &[f32],
        embeddings: &[f32],
        shape: Shape,
        scratch: &mut Scratch,
        coarse: &mut [f32],
    ) {
        self.convolve(nodes, embeddings, shape, scratch);
        let lines = self.lines(shape);
        scratch.scores.resize(shape.batch * lines * self.classes, 0.0);
        (self.classify).forward(&scratch.features, None, Act::None, &mut scratch.scores);
        let ([_, cols], line) = (shape.grid, shape.grid[1] + 2 * (self.kernel / 2));
        let planes = coarse.chunks_exact_mut(shape.tokens());
        for (plane, to) in planes.enumerate() {
            let (item, class) = (plane / self.classes, plane % self.classes);
            let scores = &scratch.scores[item * lines * self.classes..];
            for (row, to) in to.chunks_exact_mut(cols).enumerate() {
                for (col, to) in to.iter_mut().enumerate() {
                    *to = scores[(row * line + col) * self.classes + class];
                }
            }
        }
    }
}

impl Decoder {
    /// Convolution and ReLU, to `features`: one matrix product for each place of the
    /// kernel, on the grid with a border of zeros, flattened. The last columns of its
    /// lines are no patches; what is computed there means nothing.
    ///
    /// # Shapes
    /// - features: `[batch, lines, width]`, see [`Decoder::lines`]
    fn convolve(&self, nodes: &[f32], embeddings: &[f32], shape: Shape, scratch: &mut Scratch) {
        let pad = self.kernel / 2;
        let [rows, cols] = shape.grid;
        let inputs = self.nodes + self.skip;
        let line = cols + 2 * pad;
        let border = line * (rows + 2 * pad) * inputs;
        scratch.input.clear();
        scratch.input.resize(shape.batch * border, 0.0);
        let tokens = shape.tokens();
        for (item, to) in scratch.input.chunks_exact_mut(border).enumerate() {
            (to[pad * line * inputs..][..rows * line * inputs].par_chunks_exact_mut(line * inputs))
                .enumerate()
                .for_each(|(row, to)| {
                    let to = to[pad * inputs..].chunks_exact_mut(inputs).take(cols);
                    for (col, to) in to.enumerate() {
                        let token = item * tokens + row * cols + col;
                        let (node, skip) = to.split_at_mut(self.nodes);
                        node.copy_from_slice(&nodes[token * self.nodes..][..self.nodes]);
                        skip.copy_from_slice(&embeddings[token * self.skip..][..self.skip]);
                    }
                });
        }
        let lines = self.lines(shape);
        scratch.features.resize(shape.batch * lines * self.width, 0.0);
        let items = scratch.input.chunks_exact(border);
        for (input, features) in items.zip(scratch.features.chunks_exact_mut(lines * self.width)) {
            for (place, tap) in self.taps.iter().enumerate() {
                let first = (place / self.kernel * line + place % self.kernel) * inputs;
                let input = Matrix::strided(&input[first..], [lines, inputs], [inputs, 1]);
                let last = place + 1 == self.taps.len();
                let epilogue = Epilogue {
                    bias: (place == 0).then_some(&self.bias[..]),
                    accumulate: place > 0,
                    activation: if last { Act::Relu } else { Act::None },
                    residual: None,
                };
                matmul(input, tap, features, self.width, &epilogue);
            }
        }
    }

    /// Rows of features of an image: `cols + kernel - 1` for each row of the grid, but
    /// `cols` for the last.
    fn lines(&self, shape: Shape) -> usize {
        let [rows, cols] = shape.grid;
        (rows - 1) * (cols + 2 * (self.kernel / 2)) + cols
    }
}
