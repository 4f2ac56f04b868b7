//! Positions of tokens.

use nephos_kernel::interpolate::Bilinear;
use rayon::prelude::*;

use super::Shape;
use super::weights::Weights;
use crate::config::{ModelConfig, PositionKind};
use crate::model::position::sincos;

/// Adds a position to each token.
#[derive(Debug)]
pub(super) struct Position {
    kind: PositionKind,
    width: usize,
    /// Learned: `[width, rows, cols]`, for this grid.
    embedding: Vec<f32>,
    grid: [usize; 2],
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
            PositionKind::Sincos | PositionKind::None => Vec::new(),
            PositionKind::Conditional => return None,
        };
        Some(Self {
            kind,
            width,
            embedding,
            grid: [rows, cols],
        })
    }

    /// `to = tokens + positions`.
    pub fn forward(&self, tokens: &[f32], shape: Shape, scratch: &mut Scratch, to: &mut [f32]) {
        if self.kind == PositionKind::None {
            to.copy_from_slice(tokens);
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
        // Edge-aligned: a grid twice as fine covers the same ground.
        let planes = if self.grid == [rows, cols] {
            self.embedding.clone()
        } else {
            let mut planes = vec![0.0; self.width * rows * cols];
            Bilinear::new(self.grid, [rows, cols], false).resample(
                &self.embedding,
                &mut planes,
                &mut Vec::new(),
            );
            planes
        };
        let feature = |token: usize| planes[token..].iter().step_by(rows * cols).copied();
        (0..rows * cols).flat_map(feature).collect()
    }
}
