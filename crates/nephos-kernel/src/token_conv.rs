//! A convolution over a grid of tokens, forward and backward.
//!
//! The features of a token lie side by side, so a tap of the kernel is a matrix
//! product of all tokens with one matrix, and nothing is unfolded: the grid gets a
//! border of zero tokens, and a tap then reads the same tokens some rows further on.
//! The border to the right of a row of the grid is the one to the left of the next.

use rayon::prelude::*;

use crate::format::Format;
use crate::gemm::{Act, Epilogue, Matrix, matmul_unpacked};
use crate::linear::column_sums;
use crate::sizes::{count, sum};

/// A convolution with stride 1 that keeps the size of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenConv {
    /// Independent grids.
    pub batch: usize,
    /// Rows and columns of a grid.
    pub grid: [usize; 2],
    /// Features of a token of the input.
    pub inputs: usize,
    /// Features of a token of the output.
    pub outputs: usize,
    /// Side of the kernel; odd.
    pub kernel: usize,
    /// Of the operands of products.
    pub format: Format,
}

/// Tokens with their border, from [`TokenConv::pad`].
#[derive(Debug, Clone)]
pub struct Padded(Vec<f32>);

impl TokenConv {
    fn reach(&self) -> usize {
        self.kernel / 2
    }

    /// # Panics
    /// Grids with their border, or filters, have more numbers than fit.
    fn check(&self) {
        let [rows, cols] = self.grid.map(|side| sum([side, self.kernel, self.kernel]));
        for features in [self.inputs, self.outputs] {
            count([self.batch, rows, cols, features, self.kernel]);
        }
        count([self.outputs, self.inputs, self.kernel, self.kernel]);
    }

    /// Tokens from one row of the grid to the next, border included.
    fn pitch(&self) -> usize {
        self.grid[1] + self.reach()
    }

    /// Tokens from one grid to the next.
    fn image(&self) -> usize {
        (self.grid[0] + self.reach()) * self.pitch()
    }

    /// Border tokens before the first token.
    fn lead(&self) -> usize {
        self.reach() * self.pitch() + self.reach()
    }

    /// Tokens from the first to the last, with the border between them.
    fn span(&self) -> usize {
        self.batch * self.image() - self.lead()
    }

    fn tokens(&self) -> usize {
        self.batch * self.grid[0] * self.grid[1]
    }

    /// Where each row of each grid begins, in tokens from the first.
    fn starts(&self) -> impl Iterator<Item = usize> {
        let image = move |batch: usize| {
            (0..self.grid[0]).map(move |row| batch * self.image() + row * self.pitch())
        };
        (0..self.batch).flat_map(image)
    }

    /// Tokens, whose features come in several parts, with a border of zeros.
    ///
    /// # Shapes
    /// - parts: `[batch * rows * cols, _]` each, `inputs` features together
    ///
    /// # Panics
    /// Parts of other sizes, or an even kernel.
    pub fn pad(&self, parts: &[&[f32]]) -> Padded {
        self.check();
        let features = parts.iter().map(|part| part.len()).sum::<usize>();
        assert_eq!(
            features,
            self.tokens() * self.inputs,
            "features of {self:?}"
        );
        self.pad_parts(parts, self.inputs)
    }

    fn pad_parts(&self, parts: &[&[f32]], width: usize) -> Padded {
        assert!(self.kernel % 2 == 1, "a kernel of {}", self.kernel);
        let mut padded = vec![0.0; (self.span() + 2 * self.lead()) * width];
        let mut first = 0;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            let count = part.len() / self.tokens();
            let rows = self.starts().zip(part.chunks_exact(self.grid[1] * count));
            for (start, row) in rows {
                let to = padded[(self.lead() + start) * width..].chunks_exact_mut(width);
                for (to, token) in to.zip(row.chunks_exact(count)) {
                    to[first..first + count].copy_from_slice(token);
                }
            }
            first += count;
        }
        self.format.round_in_place(&mut padded);
        Padded(padded)
    }

    /// The tokens of `span`, without the border.
    fn unpad(&self, span: &[f32], width: usize) -> Vec<f32> {
        let mut tokens = vec![0.0; self.tokens() * width];
        let rows = tokens.chunks_exact_mut(self.grid[1] * width);
        for (row, start) in rows.zip(self.starts()) {
            row.copy_from_slice(&span[start * width..][..row.len()]);
        }
        tokens
    }

    /// `width` features of the `count` tokens that a tap of row `dy` of the kernel and
    /// of column `dx` sees.
    fn seen<'a>(&self, padded: &'a Padded, dy: usize, dx: usize, width: usize) -> Matrix<'a> {
        let features = padded.0.len() / (self.span() + 2 * self.lead());
        let first = (dy * self.pitch() + dx) * features;
        Matrix::strided(&padded.0[first..], [self.span(), width], [features, 1])
    }

    /// `weight` as `[outputs, kernel, kernel, inputs]`.
    fn by_tap(&self, weight: &[f32]) -> Vec<f32> {
        let taps = self.kernel * self.kernel;
        assert_eq!(
            weight.len(),
            self.outputs * self.inputs * taps,
            "weights of {self:?}"
        );
        let weight = self.format.round(weight);
        let mut moved = vec![0.0; weight.len()];
        (moved.par_chunks_exact_mut(self.inputs * taps))
            .zip(weight.par_chunks_exact(self.inputs * taps))
            .for_each(|(to, from)| transpose(from, taps, to));
        moved
    }

    /// `activation(convolution + bias)`.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs, kernel, kernel]`
    /// - bias: `[outputs]`
    /// - output: `[batch * rows * cols, outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, x: &Padded, weight: &[f32], bias: &[f32], activation: Act) -> Vec<f32> {
        self.check();
        let weight = self.by_tap(weight);
        let (row, all) = (
            self.kernel * self.inputs,
            self.kernel * self.kernel * self.inputs,
        );
        let mut span = vec![0.0; self.span() * self.outputs];
        for dy in 0..self.kernel {
            let last = dy + 1 == self.kernel;
            let epilogue = Epilogue {
                bias: last.then_some(bias),
                accumulate: dy > 0,
                activation: if last { activation } else { Act::None },
                ..Epilogue::default()
            };
            // The taps of a row of the kernel see tokens that lie side by side.
            let taps = Matrix::strided(&weight[dy * row..], [self.outputs, row], [all, 1]);
            let seen = self.seen(x, dy, 0, row);
            matmul_unpacked(seen, taps.transposed(), &mut span, self.outputs, &epilogue);
        }
        self.unpad(&span, self.outputs)
    }

    /// The gradients by the input, the weight and the bias, from the gradient by the
    /// output before its activation.
    ///
    /// # Shapes
    /// - gradient: `[batch * rows * cols, outputs]`
    /// - results: `[batch * rows * cols, inputs]`, and as the weight and the bias
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(&self, x: &Padded, weight: &[f32], gradient: &[f32]) -> [Vec<f32>; 3] {
        self.check();
        assert_eq!(
            gradient.len(),
            self.tokens() * self.outputs,
            "gradients of {self:?}"
        );
        let (taps, side) = (self.kernel * self.kernel, self.kernel);
        let all = taps * self.inputs;
        let of_bias = column_sums(gradient, self.outputs);
        let padded = self.pad_parts(&[gradient], self.outputs);
        let inner = self.seen(&padded, self.reach(), self.reach(), self.outputs);

        let mut moved = vec![0.0; weight.len()];
        for dy in 0..side {
            let to = &mut moved[dy * side * self.inputs..];
            let seen = self.seen(x, dy, 0, side * self.inputs);
            matmul_unpacked(inner.transposed(), seen, to, all, &Epilogue::default());
        }
        let mut of_weight = vec![0.0; weight.len()];
        (of_weight.par_chunks_exact_mut(all))
            .zip(moved.par_chunks_exact(all))
            .for_each(|(to, from)| transpose(from, self.inputs, to));

        let weight = self.by_tap(weight);
        let mut span = moved;
        span.clear();
        span.resize(self.span() * self.inputs, 0.0);
        for tap in 0..taps {
            // What a token gave to its neighbour comes back from there.
            let (dy, dx) = (side - 1 - tap / side, side - 1 - tap % side);
            let epilogue = Epilogue {
                accumulate: tap > 0,
                ..Epilogue::default()
            };
            let shape = [self.outputs, self.inputs];
            let matrix = Matrix::strided(&weight[tap * self.inputs..], shape, [all, 1]);
            let seen = self.seen(&padded, dy, dx, self.outputs);
            matmul_unpacked(seen, matrix, &mut span, self.inputs, &epilogue);
        }
        [self.unpad(&span, self.inputs), of_weight, of_bias]
    }
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
    fn products(conv: &TokenConv, mut each: impl FnMut([usize; 2], [usize; 2], usize)) {
        let ([rows, cols], side) = (conv.grid, conv.kernel);
        let inside = |at: usize, d: usize, size: usize| {
            (at + d).checked_sub(side / 2).filter(|at| *at < size)
        };
        for token in 0..conv.tokens() {
            let (image, y, x) = (token / (rows * cols), token / cols % rows, token % cols);
            for tap in 0..side * side {
                let (Some(y), Some(x)) = (inside(y, tap / side, rows), inside(x, tap % side, cols))
                else {
                    continue;
                };
                let from = (image * rows + y) * cols + x;
                for o in 0..conv.outputs {
                    for i in 0..conv.inputs {
                        let weight = (o * conv.inputs + i) * side * side + tap;
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
            let conv = TokenConv {
                batch,
                grid,
                inputs: 4,
                outputs: 7,
                kernel,
                format: Format::F32,
            };
            let tokens = conv.tokens();
            let parts = [numbers(tokens * split, 3), numbers(tokens * (4 - split), 5)];
            let x = |[token, i]: [usize; 2]| match i.checked_sub(split) {
                None => parts[0][token * split + i],
                Some(i) => parts[1][token * (4 - split) + i],
            };
            let weight = numbers(7 * 4 * kernel * kernel, 7);
            let (bias, gradient) = (numbers(7, 11), numbers(tokens * 7, 13));

            let padded = conv.pad(&[&parts[0], &parts[1]]);
            let out = conv.forward(&padded, &weight, &bias, Act::Relu);
            let [of_x, of_weight, of_bias] = conv.backward(&padded, &weight, &gradient);

            let mut expected: Vec<f32> = bias.repeat(tokens);
            let (mut by_x, mut by_weight) = (vec![0.0; tokens * 4], vec![0.0; weight.len()]);
            products(&conv, |[token, o], from, w| {
                expected[token * 7 + o] += x(from) * weight[w];
                by_x[from[0] * 4 + from[1]] += gradient[token * 7 + o] * weight[w];
                by_weight[w] += gradient[token * 7 + o] * x(from);
            });
            expected.iter_mut().for_each(|x| *x = x.max(0.0));
            assert_eq!(out, expected, "{conv:?}");
            assert_eq!(of_x, by_x, "{conv:?}");
            assert_eq!(of_weight, by_weight, "{conv:?}");
            let sum = |o: usize| gradient.iter().skip(o).step_by(7).sum::<f32>();
            assert_eq!(of_bias, (0..7).map(sum).collect::<Vec<_>>());
        }
    }
}
