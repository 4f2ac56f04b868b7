//! Gradients of linear layers, `y = x W + b`.
//!
//! The forward pass is [`matmul_unpacked`] with an epilogue. Weights are
//! `[inputs, outputs]`, rows of `x` and `y` are tokens.

use rayon::prelude::*;

use crate::format::Format;
use crate::gemm::{Act, Epilogue, Matrix, matmul_unpacked};
use crate::sizes::count;
use crate::versions::versions;

/// Parts of the rows that are summed apart: results depend on it, never on the
/// number of threads.
const PARTS: usize = 16;

/// A linear layer.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// `[inputs, outputs]`.
    pub weight: &'a [f32],
    /// `[outputs]`.
    pub bias: &'a [f32],
    /// Of the operands of products.
    pub format: Format,
}

impl Linear<'_> {
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }

    /// `activation(x W + b)`.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`
    /// - out: `[rows, outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, x: &[f32], activation: Act, out: &mut [f32]) {
        let epilogue = Epilogue {
            bias: Some(self.bias),
            activation,
            ..Epilogue::default()
        };
        let [x, weight] = [x, self.weight].map(|operand| self.format.round(operand));
        let x = Matrix::new(&x, out.len() / self.outputs(), self.inputs());
        let weight = Matrix::new(&weight, self.inputs(), self.outputs());
        matmul_unpacked(x, weight, out, self.outputs(), &epilogue);
    }

    /// The gradient by `x`: `gradient Wᵀ`, added to what `out` holds if `accumulate`.
    ///
    /// # Shapes
    /// - gradient: `[rows, outputs]`
    /// - out: `[rows, inputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(&self, gradient: &[f32], accumulate: bool, out: &mut [f32]) {
        let epilogue = Epilogue {
            accumulate,
            ..Epilogue::default()
        };
        let rows = gradient.len() / self.outputs();
        assert_eq!(out.len(), count([rows, self.inputs()]), "gradients by x");
        let [gradient, weight] = [gradient, self.weight].map(|operand| self.format.round(operand));
        let gradient = Matrix::new(&gradient, rows, self.outputs());
        let transposed = Matrix::new(&weight, self.inputs(), self.outputs()).transposed();
        matmul_unpacked(gradient, transposed, out, self.inputs(), &epilogue);
    }

    /// The gradients by the weight and the bias: `xᵀ gradient`, and the sum of the
    /// gradient's rows.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`
    /// - gradient: `[rows, outputs]`
    /// - results: `[inputs, outputs]`, `[outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn weights_backward(&self, x: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
        let rows = gradient.len() / self.outputs();
        let mut weight = vec![0.0; self.weight.len()];
        let [x, operand] = [x, gradient].map(|operand| self.format.round(operand));
        let left = Matrix::new(&x, rows, self.inputs()).transposed();
        let right = Matrix::new(&operand, rows, self.outputs());
        let plain = Epilogue::default();
        matmul_unpacked(left, right, &mut weight, self.outputs(), &plain);
        [weight, column_sums(gradient, self.outputs())]
    }
}

/// The sum of all rows, in an order that depends on their number only.
///
/// # Shapes
/// - matrix: `[rows, cols]`
/// - output: `[cols]`
///
/// # Panics
/// `cols` does not divide the length of the matrix.
pub fn column_sums(matrix: &[f32], cols: usize) -> Vec<f32> {
    assert!(
        cols > 0 && matrix.len().is_multiple_of(cols),
        "rows of {cols}"
    );
    let part = (matrix.len() / cols).div_ceil(PARTS).max(1) * cols;
    let sums: Vec<Vec<f32>> = (matrix.par_chunks(part))
        .map(|rows| {
            let mut sums = vec![0.0; cols];
            add_rows(rows, &mut sums);
            sums
        })
        .collect();
    let mut total = vec![0.0; cols];
    add_rows(&sums.concat(), &mut total);
    total
}

versions! {
    fn add_rows(rows: &[f32], sums: &mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * step) % 23) as f32 * 0.25 - 2.5)
            .collect()
    }

    /// Every derivative is a sum of products that f32 holds exactly here.
    #[test]
    fn gradients_are_the_sums_they_are_defined_as() {
        for (rows, inputs, outputs) in [(1, 1, 1), (5, 3, 7), (70, 33, 18)] {
            let (weight, bias) = (numbers(inputs * outputs, 7), numbers(outputs, 5));
            let (x, gradient) = (numbers(rows * inputs, 3), numbers(rows * outputs, 11));
            let layer = Linear {
                weight: &weight,
                bias: &bias,
                format: Format::F32,
            };
            assert_eq!((layer.inputs(), layer.outputs()), (inputs, outputs));

            let mut out = vec![f32::NAN; rows * outputs];
            layer.forward(&x, Act::Relu, &mut out);
            let mut of_x = vec![1.0; rows * inputs];
            layer.backward(&gradient, true, &mut of_x);
            let [of_weight, of_bias] = layer.weights_backward(&x, &gradient);

            for row in 0..rows {
                for o in 0..outputs {
                    let sum: f32 = (0..inputs)
                        .map(|i| x[row * inputs + i] * weight[i * outputs + o])
                        .sum();
                    assert_eq!(out[row * outputs + o], (sum + bias[o]).max(0.0));
                }
                for i in 0..inputs {
                    let sum: f32 = (0..outputs)
                        .map(|o| gradient[row * outputs + o] * weight[i * outputs + o])
                        .sum();
                    assert_eq!(of_x[row * inputs + i], sum + 1.0);
                }
            }
            for o in 0..outputs {
                let by_row = |row: usize| gradient[row * outputs + o];
                assert_eq!(of_bias[o], (0..rows).map(by_row).sum::<f32>());
                for i in 0..inputs {
                    let sum: f32 = (0..rows).map(|row| x[row * inputs + i] * by_row(row)).sum();
                    assert_eq!(of_weight[i * outputs + o], sum);
                }
            }
        }
    }
}
