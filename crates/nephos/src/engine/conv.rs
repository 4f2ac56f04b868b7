//! The convolution on the grid of tokens.

use nephos_kernel::conv::{self, Conv3x3Packed};
use nephos_kernel::gemm::{Act, Epilogue, Matrix, Packed, matmul};
use rayon::prelude::*;

use super::packed::Shape;
use super::weights::Weights;

/// A convolution with ReLU that keeps the size of the grid.
#[derive(Debug)]
pub(super) struct GridConv {
    kernel: Kernel,
    bias: Vec<f32>,
    inputs: usize,
    width: usize,
}

#[derive(Debug)]
enum Kernel {
    /// 3 × 3, by minimal filtering.
    Three(Conv3x3Packed),
    /// Any odd side: one matrix `[inputs, width]` for each of its places.
    Places { side: usize, taps: Vec<Packed> },
}

/// What a convolution that is not 3 × 3 computes with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The grid with a border of zeros.
    bordered: Vec<f32>,
    /// The output at every place between the first and the last.
    lines: Vec<f32>,
}

/// The grid of tokens.
pub(super) fn size(shape: Shape) -> conv::Shape {
    conv::Shape {
        batch: shape.batch,
        height: shape.grid[0],
        width: shape.grid[1],
    }
}

impl GridConv {
    /// The convolution whose weight and bias are `{name}.weight` and `{name}.bias`.
    pub fn take(
        weights: &mut Weights,
        name: &str,
        [inputs, width]: [usize; 2],
        side: usize,
    ) -> Option<Self> {
        let weight = weights.take(&format!("{name}.weight"), &[width, inputs, side, side])?;
        let kernel = if side == 3 {
            Kernel::Three(Conv3x3Packed::new(&weight, [width, inputs]))
        } else {
            let places = side * side;
            let tap = |place: usize| {
                let strides = [places, inputs * places];
                Packed::new(Matrix::strided(&weight[place..], [inputs, width], strides))
            };
            Kernel::Places {
                side,
                taps: (0..places).map(tap).collect(),
            }
        };
        Some(Self {
            kernel,
            bias: weights.take(&format!("{name}.bias"), &[width])?,
            inputs,
            width,
        })
    }

    /// # Shapes
    /// - grid: `[batch, rows, cols, inputs]`
    /// - to: `[batch, rows, cols, width]`
    pub fn forward(&self, grid: &[f32], shape: Shape, scratch: &mut Scratch, to: &mut [f32]) {
        match &self.kernel {
            Kernel::Three(conv) => {
                conv.forward(grid, size(shape), Some(&self.bias), Act::Relu, to);
            }
            Kernel::Places { side, taps } => {
                let images = (grid.chunks_exact(shape.tokens() * self.inputs))
                    .zip(to.chunks_exact_mut(shape.tokens() * self.width));
                for (grid, to) in images {
                    self.by_places(grid, shape, *side, taps, scratch, to);
                }
            }
        }
    }

    /// One matrix product for each place of the kernel, on the bordered grid of one
    /// image, flattened. The last `side - 1` columns of its lines are no places of the
    /// output; what is computed there is left out.
    fn by_places(
        &self,
        grid: &[f32],
        shape: Shape,
        side: usize,
        taps: &[Packed],
        scratch: &mut Scratch,
        to: &mut [f32],
    ) {
        let ([rows, cols], inputs, pad) = (shape.grid, self.inputs, side / 2);
        let line = cols + 2 * pad;
        let Scratch { bordered, lines } = scratch;
        bordered.clear();
        bordered.resize(line * (rows + 2 * pad) * inputs, 0.0);
        (bordered[pad * line * inputs..].par_chunks_exact_mut(line * inputs))
            .zip(grid.par_chunks_exact(cols * inputs))
            .for_each(|(to, row)| to[pad * inputs..][..row.len()].copy_from_slice(row));
        let places = (rows - 1) * line + cols;
        lines.resize(places * self.width, 0.0);
        for (place, tap) in taps.iter().enumerate() {
            let first = (place / side * line + place % side) * inputs;
            let last = place + 1 == taps.len();
            let epilogue = Epilogue {
                bias: (place == 0).then_some(&self.bias[..]),
                accumulate: place > 0,
                activation: if last { Act::Relu } else { Act::None },
                residual: None,
            };
            let input = Matrix::strided(&bordered[first..], [places, inputs], [inputs, 1]);
            matmul(input, tap, lines, self.width, &epilogue);
        }
        for (to, from) in
            (to.chunks_exact_mut(cols * self.width)).zip(lines.chunks(line * self.width))
        {
            to.copy_from_slice(&from[..to.len()]);
        }
    }
}
