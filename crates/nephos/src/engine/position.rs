//! Positions of tokens.

use nephos_kernel::depthwise::{self, Depthwise};
use nephos_kernel::interpolate::Bilinear;
use rayon::prelude::*;

use super::packed::Shape;
use super::weights::Weights;
use crate::config::{ModelConfig, PositionKind};

/// Adds a position to each token.
#[derive(Debug)]
pub(super) struct Position {
    kind: PositionKind,
    width: usize,
    /// Learned: `[width, rows, cols]`, for this grid.
    embedding: Vec<f32>,
    grid: [usize; 2],
    /// Conditional: the depthwise convolution's weights, by place: `[9, width]`, and a
    /// bias.
    conditional: Option<(Vec<f32>, Vec<f32>)>,
}

/// The positions of the last grid, `[tokens, width]`.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    grid: [usize; 2],
    positions: Vec<f32>,
}

impl Position {
    pub fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Self> {
        let (rows, cols) = config.grid(config.image_size, config.image_size)?;
        let (kind, width) = (config.encoder.position, config.patch.width);
        let embedding = match kind {
            PositionKind::Learned => {
                weights.take("block12.position.embedding", &[1, width, rows, cols])?
            }
            PositionKind::Sincos | PositionKind::None | PositionKind::Conditional => Vec::new(),
        };
        let conditional = match kind {
            PositionKind::Conditional => {
                let name = "block12.position.conditional";
                let weight = weights.take(&format!("{name}.weight"), &[width, 1, 3, 3])?;
                let bias = weights.take(&format!("{name}.bias"), &[width])?;
                Some((depthwise::by_place(&weight), bias))
            }
            _ => None,
        };
        Some(Self {
            kind,
            width,
            embedding,
            grid: [rows, cols],
            conditional,
        })
    }

    /// `to = tokens + positions`.
    pub fn forward(&self, tokens: &[f32], shape: Shape, scratch: &mut Scratch, to: &mut [f32]) {
        if self.kind == PositionKind::None {
            to.copy_from_slice(tokens);
            return;
        }
        if let Some((taps, bias)) = &self.conditional {
            let convolution = Depthwise {
                batch: shape.batch,
                grid: shape.grid,
                width: self.width,
            };
            convolution.forward(tokens, &depthwise::Weights { taps, bias }, to);
            return;
        }
        if scratch.grid != shape.grid {
            scratch.positions = self.positions(shape.grid);
            scratch.grid = shape.grid;
        }
        let positions = &scratch.positions;
        (to.par_chunks_exact_mut(positions.len()))
            .zip(tokens.par_chunks_exact(positions.len()))
            .for_each(|(to, tokens)| {
                for ((to, token), position) in to.iter_mut().zip(tokens).zip(positions) {
                    *to = token + position;
                }
            });
    }

    fn positions(&self, [rows, cols]: [usize; 2]) -> Vec<f32> {
        if self.kind == PositionKind::Sincos {
            return sincos(rows, cols, self.width);
        }
        let resampling = resampling(self.grid, [rows, cols]);
        learned(&self.embedding, &resampling, self.width, [rows, cols])
    }
}

/// Of learned positions from the configured grid to that of an image; edge-aligned: a grid
/// twice as fine covers the same ground.
pub(super) fn resampling(from: [usize; 2], to: [usize; 2]) -> Bilinear {
    Bilinear::new(from, to, false)
}

/// Learned positions of an image's tokens, `[rows * cols, width]`, from the embedding, `[width,
/// configured rows, configured cols]`.
pub(super) fn learned(
    embedding: &[f32],
    resampling: &Bilinear,
    width: usize,
    [rows, cols]: [usize; 2],
) -> Vec<f32> {
    let mut planes = vec![0.0; width * rows * cols];
    resampling.resample(embedding, &mut planes, &mut Vec::new());
    let feature = |token: usize| planes[token..].iter().step_by(rows * cols).copied();
    (0..rows * cols).flat_map(feature).collect()
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
