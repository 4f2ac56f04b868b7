//! Linear layers, `y = x W + b`, forward and backward.
//!
//! Rows of `x` and `y` are tokens.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::format::Format;
use crate::gemm::{Act, Epilogue, Matrix, Packed, matmul, matmul_unpacked};
use crate::sizes::count;
use crate::versions::versions;

/// Parts of the rows that are summed separately: results depend on it, never on the
/// number of threads.
const PARTS: usize = 16;

/// A linear layer.
#[derive(Debug, Clone)]
pub struct Linear<'a> {
    weight: Weight<'a>,
    bias: Option<Cow<'a, [f32]>>,
    sizes: [usize; 2],
    format: Format,
}

#[derive(Debug, Clone)]
enum Weight<'a> {
    Packed(Packed),
    /// `[inputs, outputs]`
    Plain(&'a [f32]),
    /// `[outputs, inputs]`
    Transposed(&'a [f32]),
}

impl<'a> Linear<'a> {
    /// For inference alone.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs]` of `sizes = [inputs, outputs]`
    /// - bias: `[outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn packed(weight: &[f32], sizes: [usize; 2], bias: Option<Vec<f32>>) -> Self {
        let [inputs, outputs] = sizes;
        let weight = Matrix::new(weight, outputs, inputs).transposed();
        Self {
            weight: Weight::Packed(Packed::new(weight)),
            bias: bias.map(Cow::Owned),
            sizes,
            format: Format::F32,
        }
    }

    /// For training: weights that change between passes. Operands of products are of `format`.
    ///
    /// # Shapes
    /// - weight: `[inputs, outputs]` of `sizes`
    /// - bias: `[outputs]`
    pub fn plain(
        weight: &'a [f32],
        sizes: [usize; 2],
        bias: Option<&'a [f32]>,
        format: Format,
    ) -> Self {
        Self {
            weight: Weight::Plain(weight),
            bias: bias.map(Cow::Borrowed),
            sizes,
            format,
        }
    }

    /// As [`Linear::plain`], of a weight `[outputs, inputs]`.
    pub fn transposed(
        weight: &'a [f32],
        sizes: [usize; 2],
        bias: Option<&'a [f32]>,
        format: Format,
    ) -> Self {
        Self {
            weight: Weight::Transposed(weight),
            ..Self::plain(weight, sizes, bias, format)
        }
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.sizes[0]
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.sizes[1]
    }

    /// Of the operands of products.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Calls `work` with the weight of a layer in training as `[inputs, outputs]`.
    fn with_matrix<T>(&self, work: impl FnOnce(Matrix<'_>) -> T) -> T {
        let [inputs, outputs] = self.sizes;
        match &self.weight {
            Weight::Packed(_) => panic!("a layer that is packed for inference"),
            Weight::Plain(weight) => work(Matrix::new(&self.format.round(weight), inputs, outputs)),
            Weight::Transposed(weight) => {
                let weight = self.format.round(weight);
                work(Matrix::new(&weight, outputs, inputs).transposed())
            }
        }
    }

    /// `out = activation(x W + b) + residual`.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`
    /// - out, residual: `[rows, outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, x: &[f32], residual: Option<&[f32]>, activation: Act, out: &mut [f32]) {
        let [inputs, outputs] = self.sizes;
        let epilogue = Epilogue {
            bias: self.bias.as_deref(),
            residual,
            activation,
            ..Epilogue::default()
        };
        let x = self.format.round(x);
        let x = Matrix::new(&x, out.len() / outputs, inputs);
        match &self.weight {
            Weight::Packed(weight) => matmul(x, weight, out, outputs, &epilogue),
            _ => self.with_matrix(|weight| matmul_unpacked(x, weight, out, outputs, &epilogue)),
        }
    }

    /// The gradient by `x`: `gradient Wᵀ`, added to what `out` holds if `accumulate`.
    ///
    /// # Shapes
    /// - gradient: `[rows, outputs]`
    /// - out: `[rows, inputs]`
    ///
    /// # Panics
    /// Slices of other sizes, or a packed layer.
    pub fn backward(&self, gradient: &[f32], accumulate: bool, out: &mut [f32]) {
        let [inputs, outputs] = self.sizes;
        let epilogue = Epilogue {
            accumulate,
            ..Epilogue::default()
        };
        let rows = gradient.len() / outputs;
        assert_eq!(out.len(), count([rows, inputs]), "gradients by x");
        let gradient = self.format.round(gradient);
        let gradient = Matrix::new(&gradient, rows, outputs);
        self.with_matrix(|weight| {
            matmul_unpacked(gradient, weight.transposed(), out, inputs, &epilogue);
        });
    }

    /// The gradients by the weight, in the layout that it has, and the bias: `xᵀ gradient`,
    /// and the sum of the gradient's rows.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`
    /// - gradient: `[rows, outputs]`
    /// - results: `[inputs, outputs]` or `[outputs, inputs]`, `[outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn weights_backward(&self, x: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
        let [inputs, outputs] = self.sizes;
        let rows = gradient.len() / outputs;
        let mut weight = vec![0.0; count([inputs, outputs])];
        let [x, operand] = [x, gradient].map(|operand| self.format.round(operand));
        let x = Matrix::new(&x, rows, inputs);
        let operand = Matrix::new(&operand, rows, outputs);
        let (left, right, stride) = match self.weight {
            Weight::Transposed(_) => (operand, x, inputs),
            _ => (x, operand, outputs),
        };
        let plain = Epilogue::default();
        matmul_unpacked(left.transposed(), right, &mut weight, stride, &plain);
        [weight, column_sums(gradient, outputs)]
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
            let layer = Linear::plain(&weight, [inputs, outputs], Some(&bias), Format::F32);

            let mut out = vec![f32::NAN; rows * outputs];
            layer.forward(&x, None, Act::Relu, &mut out);
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
