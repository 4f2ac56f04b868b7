//! The number format in which layers multiply.
//!
//! Burn has no autocast, so the casts are written out, all of them here. The
//! rule is that of mixed-precision training (Micikevicius et al. 2018): matrix
//! products and convolutions run in the compute format on weights cast from
//! their f32 masters; residual sums, norms, softmax and the loss stay in f32.

use burn::nn::conv::Conv2d;
use burn::nn::{Dropout, Linear, PaddingConfig2d};
use burn::tensor::activation::softmax;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{FloatDType, Tensor, module};

use crate::cost;
use nephos::config::Precision;

/// Casts into and out of the compute format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute(Option<FloatDType>);

impl From<Precision> for Compute {
    fn from(precision: Precision) -> Self {
        Self(match precision {
            Precision::F32 => None,
            Precision::Bf16 => Some(FloatDType::BF16),
            Precision::F16 => Some(FloatDType::F16),
        })
    }
}

impl Compute {
    /// `x` in the compute format.
    pub(crate) fn to_compute_dtype<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.0 {
            Some(dtype) if FloatDType::from(x.dtype()) != dtype => x.cast(dtype),
            _ => x,
        }
    }

    /// `x` in f32.
    pub(crate) fn to_f32<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match FloatDType::from(x.dtype()) {
            FloatDType::F32 => x,
            _ => x.cast(FloatDType::F32),
        }
    }

    /// The weights of attention: softmax of `scores` over the last axis, then dropout, in
    /// the compute format.
    ///
    /// # Shapes
    /// - scores, output: `[B, heads, N, N]`
    pub(crate) fn weights(self, scores: Tensor<4>, dropout: &Dropout) -> Tensor<4> {
        self.to_compute_dtype(dropout.forward(softmax(self.to_f32(scores), 3)))
    }

    /// `x W + b`, in the compute format.
    pub(crate) fn linear<const D: usize>(self, layer: &Linear, x: Tensor<D>) -> Tensor<D> {
        count_linear(layer, &x);
        let bias = layer
            .bias
            .as_ref()
            .map(|bias| self.to_compute_dtype(bias.val()));
        module::linear(
            self.to_compute_dtype(x),
            self.to_compute_dtype(layer.weight.val()),
            bias,
        )
    }

    /// `x w + b` of plain matrices, in the compute format.
    pub(crate) fn product(self, x: Tensor<2>, w: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        cost::add(x.dims().iter().product::<usize>() * w.dims()[1]);
        let product = self.to_compute_dtype(x).matmul(self.to_compute_dtype(w));
        match bias {
            Some(bias) => product + self.to_compute_dtype(bias).unsqueeze::<2>(),
            None => product,
        }
    }

    /// The convolution of a grid of cells.
    ///
    /// # Shapes
    /// - grid: `[B, H, W, inputs]`
    /// - output: `[B, rows, cols, outputs]`, f32
    ///
    /// # Panics
    /// As [`Compute::conv2d`].
    pub(crate) fn convolve(self, layer: &Conv2d, grid: Tensor<4>) -> Tensor<4> {
        let planes = self.conv2d(layer, grid.permute([0, 3, 1, 2]));
        self.to_f32(planes).permute([0, 2, 3, 1])
    }

    /// The convolution of planes, `[B, channels, H, W]`, in the compute format.
    ///
    /// # Panics
    /// The layer was not made with explicit symmetric padding.
    pub(crate) fn conv2d(self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        cost::add(multiplications(layer, x.dims()));
        let options = ConvOptions::new(layer.stride, padding(layer), layer.dilation, layer.groups);
        let bias = layer
            .bias
            .as_ref()
            .map(|bias| self.to_compute_dtype(bias.val()));
        module::conv2d(
            self.to_compute_dtype(x),
            self.to_compute_dtype(layer.weight.val()),
            bias,
            options,
        )
    }
}

/// Counts the multiplications of `x W`.
fn count_linear<const D: usize>(layer: &Linear, x: &Tensor<D>) {
    let [_, outputs] = layer.weight.lazy_shape().dims();
    cost::add(x.dims().iter().product::<usize>() * outputs);
}

/// Rows and columns of zeros around a convolution's input.
///
/// # Panics
/// The layer was not made with explicit symmetric padding.
fn padding(layer: &Conv2d) -> [usize; 2] {
    match layer.padding {
        PaddingConfig2d::Explicit(top, left, bottom, right) if [top, left] == [bottom, right] => {
            [top, left]
        }
        _ => panic!("layers of nephos pad explicitly and symmetrically"),
    }
}

/// Multiplications of a convolution of planes, `[B, inputs, H, W]`.
///
/// # Panics
/// As [`padding`].
fn multiplications(layer: &Conv2d, [batch, _, height, width]: [usize; 4]) -> usize {
    let padding = padding(layer);
    let cells = |side: usize, axis: usize| {
        let reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1);
        (side + 2 * padding[axis] - reach - 1) / layer.stride[axis] + 1
    };
    let [outputs, inputs, rows, cols] = layer.weight.lazy_shape().dims();
    batch * cells(height, 0) * cells(width, 1) * outputs * inputs * rows * cols
}
