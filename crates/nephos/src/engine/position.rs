//! Positions of tokens.

use std::borrow::Cow;

use nephos_kernel::depthwise::{self, Depthwise};
use nephos_kernel::interpolate::Bilinear;
use nephos_kernel::scratch::Buffer;
use nephos_kernel::stage::Stage;
use rayon::prelude::*;

use super::gradients::{Gradients, transposed};
use super::layers::Pass;
use super::shape::Shape;
use super::weights::Source;
use crate::config::{ModelConfig, PositionKind};

/// Adds a position to each token.
#[derive(Debug)]
pub(super) struct Position<'a> {
    encoding: Encoding<'a>,
    width: usize,
}

#[derive(Debug)]
enum Encoding<'a> {
    None,
    Sincos,
    Learned {
        /// `[width, rows, cols]`, for this grid.
        embedding: Cow<'a, [f32]>,
        grid: [usize; 2],
    },
    /// A depthwise convolution's weights, by place, `[9, width]`, and its bias.
    Conditional(Vec<f32>, Cow<'a, [f32]>),
}

/// The positions of the last grid, `[tokens, width]`.
#[derive(Debug, Default)]
pub(super) struct Cache {
    grid: [usize; 2],
    positions: Vec<f32>,
}

const EMBEDDING: &str = "position.embedding";
const CONDITIONAL: &str = "position.conditional";

impl<'a> Position<'a> {
    pub fn new(config: &ModelConfig, source: &mut Source<'a>) -> Option<Self> {
        let width = config.patch.width;
        let encoding = match config.encoder.position {
            PositionKind::None => Encoding::None,
            PositionKind::Sincos => Encoding::Sincos,
            PositionKind::Learned => {
                let (rows, cols) = config.grid(config.image_size, config.image_size)?;
                let embedding = source.values(EMBEDDING, &[1, width, rows, cols])?;
                let grid = [rows, cols];
                Encoding::Learned { embedding, grid }
            }
            PositionKind::Conditional => {
                let weight = source.values(&format!("{CONDITIONAL}.weight"), &[width, 1, 3, 3])?;
                let bias = source.values(&format!("{CONDITIONAL}.bias"), &[width])?;
                Encoding::Conditional(depthwise::by_place(&weight), bias)
            }
        };
        Some(Self { encoding, width })
    }

    fn convolution(&self, shape: Shape) -> Depthwise {
        Depthwise {
            batch: shape.batch,
            grid: shape.grid,
            width: self.width,
        }
    }

    /// Tokens with their positions.
    ///
    /// # Shapes
    /// - tokens, output: `[batch * rows * cols, width]`
    pub fn forward(&self, tokens: &[f32], shape: Shape, pass: &mut Pass<'_>) -> Buffer {
        let mut placed = pass.scratch.take(tokens.len());
        match &self.encoding {
            Encoding::None => placed.copy_from_slice(tokens),
            Encoding::Conditional(taps, bias) => {
                let weights = depthwise::Weights { taps, bias };
                (self.convolution(shape)).forward(tokens, &weights, &mut placed);
            }
            Encoding::Sincos | Encoding::Learned { .. } => {
                if pass.positions.grid != shape.grid {
                    pass.positions.positions = self.positions(shape.grid);
                    pass.positions.grid = shape.grid;
                }
                let positions = &pass.positions.positions;
                (placed.par_chunks_exact_mut(positions.len()))
                    .zip(tokens.par_chunks_exact(positions.len()))
                    .for_each(|(to, tokens)| {
                        for ((to, token), position) in to.iter_mut().zip(tokens).zip(positions) {
                            *to = token + position;
                        }
                    });
            }
        }
        (pass.watch)(Stage::Position);
        placed
    }

    /// The gradient by the tokens, from that by the output.
    pub fn backward(
        &self,
        tokens: &[f32],
        shape: Shape,
        gradient: Vec<f32>,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        match &self.encoding {
            Encoding::None | Encoding::Sincos => gradient,
            Encoding::Learned { grid, .. } => {
                let image = shape.tokens() * self.width;
                let mut of_image = vec![0.0; image];
                for part in gradient.chunks_exact(image) {
                    of_image.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
                }
                let by_feature = transposed(&of_image, self.width);
                let of_embedding = resampling(*grid, shape.grid).transposed(&by_feature);
                gradients.add(EMBEDDING.to_owned(), of_embedding);
                gradient
            }
            Encoding::Conditional(taps, bias) => {
                let weights = depthwise::Weights { taps, bias };
                let [of_tokens, taps, bias] =
                    (self.convolution(shape)).backward(tokens, &weights, &gradient);
                gradients.add_pair(CONDITIONAL, [depthwise::by_feature(&taps), bias]);
                of_tokens
            }
        }
    }

    /// Of an image's tokens, `[rows * cols, width]`.
    fn positions(&self, [rows, cols]: [usize; 2]) -> Vec<f32> {
        let Encoding::Learned { embedding, grid } = &self.encoding else {
            return sincos(rows, cols, self.width);
        };
        let mut by_feature = vec![0.0; self.width * rows * cols];
        let resampling = resampling(*grid, [rows, cols]);
        resampling.resample(embedding, &mut by_feature, &mut Vec::new());
        transposed(&by_feature, rows * cols)
    }
}

/// Of learned positions from the configured grid to that of an image; edge-aligned: a grid
/// twice as fine covers the same ground.
fn resampling(from: [usize; 2], to: [usize; 2]) -> Bilinear {
    Bilinear::new(from, to, false)
}

/// Longest wavelength of the fixed embedding over 2π (Vaswani et al. 2017).
const BASE: f64 = 10_000.0;

/// Sines and cosines of the row in the first half of the features, of the column
/// in the second, `[rows * cols, width]`: sin of `width / 4` frequencies, then cos.
pub fn sincos(rows: usize, cols: usize, width: usize) -> Vec<f32> {
    let quarter = width / 4;
    let mut values = Vec::with_capacity(rows * cols * width);
    for row in 0..rows {
        for col in 0..cols {
            for place in [row as f64, col as f64] {
                let angle = |k: usize| place / BASE.powf(k as f64 / quarter as f64);
                values.extend((0..quarter).map(|k| angle(k).sin() as f32));
                values.extend((0..quarter).map(|k| angle(k).cos() as f32));
            }
        }
    }
    values
}
