//! The depthwise 3×3 convolution of a conditional positional encoding (Chu et al. 2021,
//! doi:10.48550/arXiv.2102.10882) on a grid of tokens, channels last, with its residual sum.
//!
//! `y = x + bias + Σ_tap weight_tap · x_tap`, zeros around the grid.

use rayon::prelude::*;

use crate::linear::column_sums;
use crate::sizes::count;
use crate::versions::versions;

/// Places of the kernel.
pub const TAPS: usize = 9;

/// Rows of the grid whose share of the weights' gradient is summed together: results depend
/// on it, never on the number of threads.
const ROWS: usize = 4;

/// A convolution but for its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depthwise {
    /// Images.
    pub batch: usize,
    /// Rows and columns of an image's grid.
    pub grid: [usize; 2],
    /// Features of a token.
    pub width: usize,
}

/// The weights of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// `[9, width]`: by place, rows of the kernel before columns.
    pub taps: &'a [f32],
    /// `[width]`.
    pub bias: &'a [f32],
}

/// `[width, 1, 3, 3]`, as PyTorch has it, by place: `[9, width]`.
///
/// # Panics
/// The number of weights is no multiple of nine.
pub fn by_place(weight: &[f32]) -> Vec<f32> {
    assert!(
        weight.len().is_multiple_of(TAPS),
        "nine weights per feature"
    );
    let of_tap = |tap: usize| weight[tap..].iter().step_by(TAPS).copied();
    (0..TAPS).flat_map(of_tap).collect()
}

/// The way back of [`by_place`].
///
/// # Panics
/// As there.
pub fn by_feature(taps: &[f32]) -> Vec<f32> {
    assert!(taps.len().is_multiple_of(TAPS), "nine weights per feature");
    let width = taps.len() / TAPS;
    let of_feature = |feature: usize| taps[feature..].iter().step_by(width).copied();
    (0..width).flat_map(of_feature).collect()
}

impl Depthwise {
    fn numbers(&self) -> usize {
        count([self.batch, self.grid[0], self.grid[1], self.width])
    }

    fn check(&self, tokens: &[f32], taps: &[f32], bias: &[f32]) {
        assert!(self.width > 0, "tokens without features");
        assert_eq!(tokens.len(), self.numbers(), "tokens of {self:?}");
        assert_eq!(taps.len(), count([TAPS, self.width]), "taps of {self:?}");
        assert_eq!(bias.len(), self.width, "bias of {self:?}");
    }

    /// The place of the token that tap `tap` of the token at `row`, `col` reads.
    fn neighbour(&self, tap: usize, [row, col]: [usize; 2]) -> Option<[usize; 2]> {
        let ([rows, cols], [y, x]) = (self.grid, [row + tap / 3, col + tap % 3]);
        ((1..=rows).contains(&y) && (1..=cols).contains(&x)).then(|| [y - 1, x - 1])
    }

    /// # Shapes
    /// - tokens, to: `[batch, rows, cols, width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, tokens: &[f32], weights: &Weights<'_>, to: &mut [f32]) {
        self.check(tokens, weights.taps, weights.bias);
        assert_eq!(to.len(), tokens.len(), "output of {self:?}");
        let ([rows, cols], width) = (self.grid, self.width);
        (to.par_chunks_exact_mut(cols * width))
            .enumerate()
            .for_each(|(line, to)| {
                let (image, row) = (line / rows, line % rows);
                let tokens = &tokens[image * rows * cols * width..];
                for (col, to) in to.chunks_exact_mut(width).enumerate() {
                    let token = &tokens[(row * cols + col) * width..][..width];
                    sum(token, weights.bias, to);
                    for (tap, taps) in weights.taps.chunks_exact(width).enumerate() {
                        if let Some([y, x]) = self.neighbour(tap, [row, col]) {
                            let near = &tokens[(y * cols + x) * width..][..width];
                            add_product(near, taps, to);
                        }
                    }
                }
            });
    }

    /// The gradients by the tokens, by the taps and by the bias, from that by the output.
    ///
    /// # Shapes
    /// - tokens, gradient: `[batch, rows, cols, width]`
    /// - results: as the tokens, `[9, width]`, `[width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(
        &self,
        tokens: &[f32],
        weights: &Weights<'_>,
        gradient: &[f32],
    ) -> [Vec<f32>; 3] {
        self.check(tokens, weights.taps, weights.bias);
        assert_eq!(gradient.len(), tokens.len(), "gradient of {self:?}");
        let ([rows, cols], width) = (self.grid, self.width);
        // What a token gave to its neighbour comes back from there.
        let mirrored: Vec<f32> = (weights.taps.chunks_exact(width).rev())
            .flatten()
            .copied()
            .collect();
        let plain = Weights {
            taps: &mirrored,
            bias: &vec![0.0; width],
        };
        let mut of_tokens = vec![0.0; tokens.len()];
        self.forward(gradient, &plain, &mut of_tokens);

        let line = cols * width;
        let blocks: Vec<Vec<f32>> = (gradient.par_chunks(ROWS * line).enumerate())
            .map(|(block, gradient)| {
                let mut of_taps = vec![0.0; TAPS * width];
                for (offset, gradient) in gradient.chunks_exact(line).enumerate() {
                    let (image, row) = (
                        (block * ROWS + offset) / rows,
                        (block * ROWS + offset) % rows,
                    );
                    let tokens = &tokens[image * rows * line..];
                    for (col, gradient) in gradient.chunks_exact(width).enumerate() {
                        for (tap, of_tap) in of_taps.chunks_exact_mut(width).enumerate() {
                            if let Some([y, x]) = self.neighbour(tap, [row, col]) {
                                let near = &tokens[(y * cols + x) * width..][..width];
                                add_product(near, gradient, of_tap);
                            }
                        }
                    }
                }
                of_taps
            })
            .collect();
        let mut of_taps = vec![0.0; TAPS * width];
        for block in &blocks {
            of_taps.iter_mut().zip(block).for_each(|(to, x)| *to += x);
        }
        [of_tokens, of_taps, column_sums(gradient, width)]
    }
}

versions! {
    fn sum(a: &[f32], b: &[f32], to: &mut [f32]) {
        for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
            *to = a + b;
        }
    }
}

versions! {
    fn add_product(a: &[f32], b: &[f32], to: &mut [f32]) {
        for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
            *to += a * b;
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

    /// All sums are of numbers that f32 holds exactly.
    #[test]
    fn output_and_gradients_are_the_sums_they_are_defined_as() {
        for (batch, grid) in [(1, [1, 1]), (2, [3, 5]), (1, [9, 2]), (3, [2, 4])] {
            let width = 3;
            let conv = Depthwise { batch, grid, width };
            let [rows, cols] = grid;
            let tokens = numbers(batch * rows * cols * width, 7);
            let (weight, bias) = (numbers(width * TAPS, 5), numbers(width, 3));
            let gradient = numbers(tokens.len(), 11);
            let taps = by_place(&weight);
            assert_eq!(by_feature(&taps), weight);
            let weights = Weights {
                taps: &taps,
                bias: &bias,
            };
            let mut out = vec![0.0; tokens.len()];
            conv.forward(&tokens, &weights, &mut out);
            let [of_tokens, of_taps, of_bias] = conv.backward(&tokens, &weights, &gradient);

            let mut expected = tokens.clone();
            let mut by_tokens = gradient.clone();
            let mut by_weight = vec![0.0; weight.len()];
            let mut by_bias = vec![0.0; width];
            for place in 0..batch * rows * cols {
                let (row, col) = (place / cols % rows, place % cols);
                for f in 0..width {
                    expected[place * width + f] += bias[f];
                    by_bias[f] += gradient[place * width + f];
                    for tap in 0..TAPS {
                        let (dy, dx) = (tap as isize / 3 - 1, tap as isize % 3 - 1);
                        let (y, x) = (row as isize + dy, col as isize + dx);
                        if y < 0 || x < 0 || y >= rows as isize || x >= cols as isize {
                            continue;
                        }
                        let near = (place as isize + dy * cols as isize + dx) as usize * width + f;
                        let w = f * TAPS + tap;
                        expected[place * width + f] += tokens[near] * weight[w];
                        by_tokens[near] += gradient[place * width + f] * weight[w];
                        by_weight[w] += gradient[place * width + f] * tokens[near];
                    }
                }
            }
            assert_eq!(out, expected, "{conv:?}");
            assert_eq!(of_tokens, by_tokens, "{conv:?}");
            assert_eq!(by_feature(&of_taps), by_weight, "{conv:?}");
            assert_eq!(of_bias, by_bias, "{conv:?}");
        }
    }
}
