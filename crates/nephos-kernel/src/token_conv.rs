//! A convolution over a grid of tokens, forward and backward.
//!
//! The features of a token lie side by side, so a tap of the kernel is a matrix
//! product of all tokens with one matrix, and nothing is unfolded: the grid gets a
//! border of zero tokens, and a tap then reads the same tokens some rows further on.
//! The border to the right of a row of the grid is the one to the left of the next.
//! For inference, kernels of 3 × 3 go by minimal filtering instead.

mod layout;

use std::borrow::Cow;

use rayon::prelude::*;

use crate::conv::{Conv3x3Packed, Shape};
use crate::format::Format;
use crate::gemm::{Act, Epilogue, Matrix, Packed, matmul, matmul_unpacked};
use crate::linear::column_sums;
use crate::scratch::{Buffer, Scratch};
use crate::sizes::{count, sum};
use layout::Layout;

/// A convolution with stride 1 that keeps the size of the grid.
#[derive(Debug, Clone)]
pub struct TokenConv<'a> {
    weight: Weight<'a>,
    bias: Cow<'a, [f32]>,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    format: Format,
}

#[derive(Debug, Clone)]
enum Weight<'a> {
    /// `[outputs, inputs, kernel, kernel]`
    Plain(&'a [f32]),
    /// For each row of the kernel, `[kernel * inputs, outputs]`.
    Packed(Vec<Packed>),
    /// Of 3 × 3.
    Filters(Conv3x3Packed),
}

/// What the backward pass needs: tokens with their border.
#[derive(Debug, Clone, Default)]
pub struct Padded(Buffer);

impl<'a> TokenConv<'a> {
    /// For training: weights that change between passes. Operands of products are of `format`.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs, kernel, kernel]` of `[inputs, outputs]`
    /// - bias: `[outputs]`
    ///
    /// # Panics
    /// A weight of another size, or an even kernel.
    pub fn plain(
        weight: &'a [f32],
        bias: &'a [f32],
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        format: Format,
    ) -> Self {
        assert!(kernel % 2 == 1, "a kernel of {kernel}");
        let numbers = count([outputs, inputs, kernel, kernel]);
        assert_eq!(weight.len(), numbers, "weights of a convolution");
        Self {
            weight: Weight::Plain(weight),
            bias: Cow::Borrowed(bias),
            inputs,
            outputs,
            kernel,
            format,
        }
    }

    /// For inference alone.
    ///
    /// # Shapes
    /// As [`TokenConv::plain`].
    ///
    /// # Panics
    /// As [`TokenConv::plain`].
    pub fn packed(weight: &[f32], bias: Vec<f32>, sizes: [usize; 2], kernel: usize) -> Self {
        let plain = TokenConv::plain(weight, &bias, sizes, kernel, Format::F32);
        let weight = match kernel {
            3 => Weight::Filters(Conv3x3Packed::new(weight, [sizes[1], sizes[0]])),
            _ => {
                let weight = plain.by_tap(weight);
                let pack = |dy| Packed::new(plain.kernel_row(&weight, dy));
                Weight::Packed((0..kernel).map(pack).collect())
            }
        };
        Self {
            weight,
            bias: Cow::Owned(bias),
            inputs: sizes[0],
            outputs: sizes[1],
            kernel,
            format: Format::F32,
        }
    }

    /// # Panics
    /// Grids with their border have more numbers than fit.
    fn layout(&self, shape: Shape) -> Layout {
        let [rows, cols] =
            [shape.height, shape.width].map(|side| sum([side, self.kernel, self.kernel]));
        for features in [self.inputs, self.outputs] {
            count([shape.batch, rows, cols, features, self.kernel]);
        }
        let kernel = self.kernel;
        Layout { shape, kernel }
    }

    /// `weight` as `[outputs, kernel, kernel, inputs]`.
    fn by_tap(&self, weight: &[f32]) -> Vec<f32> {
        let taps = self.kernel * self.kernel;
        let weight = self.format.round(weight);
        let mut moved = vec![0.0; weight.len()];
        (moved.par_chunks_exact_mut(self.inputs * taps))
            .zip(weight.par_chunks_exact(self.inputs * taps))
            .for_each(|(to, from)| transpose(from, taps, to));
        moved
    }

    /// The taps of a row of the kernel, `[kernel * inputs, outputs]`, which read tokens that lie
    /// side by side.
    fn kernel_row<'b>(&self, by_tap: &'b [f32], dy: usize) -> Matrix<'b> {
        let row = self.kernel * self.inputs;
        let shape = [self.outputs, row];
        Matrix::strided(&by_tap[dy * row..], shape, [self.kernel * row, 1]).transposed()
    }

    /// `activation(convolution + bias)`; `saved` takes what [`TokenConv::backward`] needs.
    ///
    /// # Shapes
    /// - parts: `[batch * rows * cols, _]` each, `inputs` features together
    /// - output: `[batch * rows * cols, outputs]`
    ///
    /// # Panics
    /// Parts of other sizes.
    pub fn forward(
        &self,
        parts: &[&[f32]],
        shape: Shape,
        activation: Act,
        saved: Option<&mut Padded>,
        scratch: &mut Scratch,
    ) -> Buffer {
        let layout = self.layout(shape);
        let (tokens, inputs, outputs) = (layout.tokens(), self.inputs, self.outputs);
        let features = parts.iter().map(|part| part.len()).sum::<usize>();
        assert_eq!(features, tokens * inputs, "features of tokens of {shape:?}");
        let mut out = scratch.take(tokens * outputs);
        if let Weight::Filters(filters) = &self.weight {
            let joined = (parts.len() > 1).then(|| {
                let mut joined = scratch.take(tokens * inputs);
                join(parts, tokens, &mut joined);
                joined
            });
            let grid = joined.as_deref().unwrap_or(parts[0]);
            filters.forward(grid, shape, Some(&self.bias), activation, &mut out);
            joined.into_iter().for_each(|joined| scratch.give(joined));
            return out;
        }
        let mut padded = scratch.take(layout.padded() * inputs);
        layout.pad(parts, inputs, &mut padded);
        self.format.round_in_place(&mut padded);
        let by_tap = match &self.weight {
            Weight::Plain(weight) => self.by_tap(weight),
            _ => Vec::new(),
        };
        let mut span = scratch.take(layout.span() * outputs);
        for dy in 0..self.kernel {
            let last = dy + 1 == self.kernel;
            let epilogue = Epilogue {
                bias: last.then_some(&self.bias),
                accumulate: dy > 0,
                activation: if last { activation } else { Act::None },
                ..Epilogue::default()
            };
            let read = layout.read(&padded, dy, 0, self.kernel * inputs);
            match &self.weight {
                Weight::Packed(rows) => matmul(read, &rows[dy], &mut span, outputs, &epilogue),
                _ => {
                    let row = self.kernel_row(&by_tap, dy);
                    matmul_unpacked(read, row, &mut span, outputs, &epilogue);
                }
            }
        }
        layout.unpad(&span, outputs, &mut out);
        scratch.give(span);
        scratch.save_or_give(saved.map(|saved| &mut saved.0), padded);
        out
    }

    /// The gradients by the input, the weight and the bias, from the gradient by the
    /// output before its activation.
    ///
    /// # Shapes
    /// - gradient: `[batch * rows * cols, outputs]`
    /// - results: `[batch * rows * cols, inputs]`, and as the weight and the bias
    ///
    /// # Panics
    /// Slices of other sizes, or a convolution for inference alone.
    pub fn backward(&self, saved: &Padded, shape: Shape, gradient: &[f32]) -> [Vec<f32>; 3] {
        let Weight::Plain(weight) = self.weight else {
            panic!("a convolution that is packed for inference");
        };
        let layout = self.layout(shape);
        let (side, inputs, outputs) = (self.kernel, self.inputs, self.outputs);
        assert_eq!(
            gradient.len(),
            layout.tokens() * outputs,
            "gradients of {shape:?}"
        );
        let (taps, all) = (side * side, side * side * inputs);
        let of_bias = column_sums(gradient, outputs);
        let mut padded = vec![0.0; layout.padded() * outputs];
        layout.pad(&[gradient], outputs, &mut padded);
        self.format.round_in_place(&mut padded);
        let inner = layout.read(&padded, layout.reach(), layout.reach(), outputs);

        let mut moved = vec![0.0; weight.len()];
        for dy in 0..side {
            let to = &mut moved[dy * side * inputs..];
            let read = layout.read(&saved.0, dy, 0, side * inputs);
            matmul_unpacked(inner.transposed(), read, to, all, &Epilogue::default());
        }
        let mut of_weight = vec![0.0; weight.len()];
        (of_weight.par_chunks_exact_mut(all))
            .zip(moved.par_chunks_exact(all))
            .for_each(|(to, from)| transpose(from, inputs, to));

        let weight = self.by_tap(weight);
        let mut span = moved;
        span.clear();
        span.resize(layout.span() * inputs, 0.0);
        for tap in 0..taps {
            // What a token gave to its neighbour comes back from there.
            let (dy, dx) = (side - 1 - tap / side, side - 1 - tap % side);
            let epilogue = Epilogue {
                accumulate: tap > 0,
                ..Epilogue::default()
            };
            let matrix = Matrix::strided(&weight[tap * inputs..], [outputs, inputs], [all, 1]);
            let read = layout.read(&padded, dy, dx, outputs);
            matmul_unpacked(read, matrix, &mut span, inputs, &epilogue);
        }
        let mut of_tokens = vec![0.0; layout.tokens() * inputs];
        layout.unpad(&span, inputs, &mut of_tokens);
        [of_tokens, of_weight, of_bias]
    }
}

/// The parts of each of some tokens, side by side.
fn join(parts: &[&[f32]], tokens: usize, joined: &mut [f32]) {
    let width = joined.len() / tokens.max(1);
    (joined.par_chunks_exact_mut(width.max(1)).enumerate())
        .with_min_len(64)
        .for_each(|(token, mut to)| {
            for part in parts {
                let count = part.len() / tokens;
                let (own, rest) = to.split_at_mut(count);
                own.copy_from_slice(&part[token * count..][..count]);
                to = rest;
            }
        });
}

/// `from`, rows of `cols` numbers, with rows and columns exchanged.
fn transpose(from: &[f32], cols: usize, to: &mut [f32]) {
    let rows = from.len() / cols;
    for (i, to) in to.chunks_exact_mut(rows).enumerate() {
        for (to, from) in to.iter_mut().zip(from.chunks_exact(cols)) {
            *to = from[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * step) % 19) as f32 * 0.25 - 2.25)
            .collect()
    }

    /// Calls `each` with every product of a convolution: token of the output and its
    /// feature, token of the input and its feature, place of the weight.
    fn products(
        (shape, side): (Shape, usize),
        [inputs, outputs]: [usize; 2],
        mut each: impl FnMut([usize; 2], [usize; 2], usize),
    ) {
        let [rows, cols] = [shape.height, shape.width];
        let inside = |at: usize, d: usize, size: usize| {
            (at + d).checked_sub(side / 2).filter(|at| *at < size)
        };
        for token in 0..shape.batch * rows * cols {
            let (image, y, x) = (token / (rows * cols), token / cols % rows, token % cols);
            for tap in 0..side * side {
                let (Some(y), Some(x)) = (inside(y, tap / side, rows), inside(x, tap % side, cols))
                else {
                    continue;
                };
                let from = (image * rows + y) * cols + x;
                for o in 0..outputs {
                    for i in 0..inputs {
                        let weight = (o * inputs + i) * side * side + tap;
                        each([token, o], [from, i], weight);
                    }
                }
            }
        }
    }

    /// All sums are of numbers that f32 holds exactly.
    #[test]
    fn a_convolution_and_its_gradients_are_the_sums_they_are_defined_as() {
        for (batch, grid, kernel, split) in [
            (1, [1, 1], 3, 2),
            (2, [3, 5], 3, 0),
            (3, [4, 2], 5, 1),
            (2, [3, 3], 1, 4),
            (1, [9, 6], 3, 3),
        ] {
            let shape = Shape {
                batch,
                height: grid[0],
                width: grid[1],
            };
            let tokens = batch * grid[0] * grid[1];
            let parts = [numbers(tokens * split, 3), numbers(tokens * (4 - split), 5)];
            let x = |[token, i]: [usize; 2]| match i.checked_sub(split) {
                None => parts[0][token * split + i],
                Some(i) => parts[1][token * (4 - split) + i],
            };
            let weight = numbers(7 * 4 * kernel * kernel, 7);
            let (bias, gradient) = (numbers(7, 11), numbers(tokens * 7, 13));

            let conv = TokenConv::plain(&weight, &bias, [4, 7], kernel, Format::F32);
            let packed = TokenConv::packed(&weight, bias.clone(), [4, 7], kernel);
            let (mut saved, mut scratch) = (Padded::default(), Scratch::default());
            let parts = parts.each_ref().map(|part| &part[..]);
            let mut forward = |conv: &TokenConv<'_>, saved| {
                conv.forward(&parts, shape, Act::Relu, saved, &mut scratch)
            };
            let out = forward(&conv, Some(&mut saved));
            let inference = forward(&packed, None);
            let [of_x, of_weight, of_bias] = conv.backward(&saved, shape, &gradient);

            let mut expected: Vec<f32> = bias.repeat(tokens);
            let (mut by_x, mut by_weight) = (vec![0.0; tokens * 4], vec![0.0; weight.len()]);
            products((shape, kernel), [4, 7], |[token, o], from, w| {
                expected[token * 7 + o] += x(from) * weight[w];
                by_x[from[0] * 4 + from[1]] += gradient[token * 7 + o] * weight[w];
                by_weight[w] += gradient[token * 7 + o] * x(from);
            });
            expected.iter_mut().for_each(|x| *x = x.max(0.0));
            assert_eq!(out[..], expected, "{shape:?}");
            for (a, b) in inference.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-3, "{shape:?}: {a} is not {b}");
            }
            assert_eq!(of_x, by_x, "{shape:?}");
            assert_eq!(of_weight, by_weight, "{shape:?}");
            let sum = |o: usize| gradient.iter().skip(o).step_by(7).sum::<f32>();
            assert_eq!(of_bias, (0..7).map(sum).collect::<Vec<_>>());
        }
    }
}
