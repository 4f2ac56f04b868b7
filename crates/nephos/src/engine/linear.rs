//! Linear layers and norms.

use nephos_kernel::gemm::{Act, Epilogue, Matrix, Packed, matmul};
use nephos_kernel::norm;

use super::weights::Weights;

/// `x W + b`.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Packed,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// From PyTorch's `[outputs, inputs]`.
    pub fn new(weight: &[f32], [inputs, outputs]: [usize; 2], bias: Option<Vec<f32>>) -> Self {
        let weight = Matrix::new(weight, outputs, inputs).transposed();
        Self {
            weight: Packed::new(weight),
            bias,
        }
    }

    /// The layer whose weight and bias are `{name}weight` and `{name}bias`.
    pub fn take(weights: &mut Weights, name: &str, sizes: [usize; 2]) -> Option<Self> {
        let [inputs, outputs] = sizes;
        let weight = weights.take(&format!("{name}weight"), &[outputs, inputs])?;
        let bias = weights.take(&format!("{name}bias"), &[outputs])?;
        Some(Self::new(&weight, sizes, Some(bias)))
    }

    /// `to = activation(x W + b) + residual`.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`
    /// - to, residual: `[rows, outputs]`
    pub fn forward(&self, x: &[f32], residual: Option<&[f32]>, activation: Act, to: &mut [f32]) {
        let (inputs, outputs) = (self.weight.rows(), self.weight.cols());
        let epilogue = Epilogue {
            bias: self.bias.as_deref(),
            residual,
            accumulate: false,
            activation,
        };
        let x = Matrix::new(x, x.len() / inputs, inputs);
        matmul(x, &self.weight, to, outputs, &epilogue);
    }
}

/// A LayerNorm.
#[derive(Debug)]
pub(super) struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    /// The norm whose weights are `{name}weight` and `{name}bias`.
    pub fn take(weights: &mut Weights, name: &str, width: usize, epsilon: f64) -> Option<Self> {
        Some(Self {
            epsilon: epsilon as f32,
            scale: weights.take(&format!("{name}weight"), &[width])?,
            shift: weights.take(&format!("{name}bias"), &[width])?,
        })
    }

    /// Normalises rows where they stand.
    pub fn in_place(&self, x: &mut [f32]) {
        norm::forward_in_place(x, None, &self.layer());
    }

    /// Normalises rows.
    pub fn forward(&self, x: &[f32], to: &mut [f32]) {
        norm::forward(x, None, &self.layer(), to, None);
    }

    fn layer(&self) -> norm::LayerNorm<'_> {
        norm::LayerNorm {
            scale: &self.scale,
            shift: &self.shift,
            epsilon: self.epsilon,
        }
    }
}
