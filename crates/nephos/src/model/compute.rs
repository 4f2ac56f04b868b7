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
use burn::tensor::{Device, FloatDType, Tensor, module};

use super::cost;
use crate::config::Precision;
use crate::kernel;

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
    /// Whether layers compute on `device` by kernels that autodiff records as one
    /// step each: training in f32 on the CPU.
    pub(super) fn is_recorded(self, device: &Device) -> bool {
        self.0.is_none() && kernel::is_recorded(device)
    }

    /// Whether layers compute on `device` by the CPU's kernels, in training and without.
    pub(super) fn has_kernels(self, device: &Device) -> bool {
        self.0.is_none() && kernel::is_cpu(device)
    }

    /// Whether a convolution is one of the CPU's kernels: square, dense, in f32.
    fn has_kernel(self, layer: &Conv2d, device: &Device) -> bool {
        let square = |[a, b]: [usize; 2]| a == b;
        let plain = layer.groups == 1 && layer.dilation == [1, 1];
        let dense = plain && square(layer.kernel_size) && square(layer.stride);
        let padded = matches!(layer.padding, PaddingConfig2d::Explicit(a, b, ..) if a == b);
        self.has_kernels(device) && dense && padded && layer.bias.is_some()
    }

    /// `x` in the compute format.
    pub(super) fn narrow<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.0 {
            Some(dtype) if FloatDType::from(x.dtype()) != dtype => x.cast(dtype),
            _ => x,
        }
    }

    /// `x` in f32.
    pub(super) fn wide<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
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
    pub(super) fn weights(self, scores: Tensor<4>, dropout: &Dropout) -> Tensor<4> {
        self.narrow(dropout.forward(softmax(self.wide(scores), 3)))
    }

    /// `x W + b`, in the compute format.
    pub(super) fn linear<const D: usize>(self, layer: &Linear, x: Tensor<D>) -> Tensor<D> {
        count_linear(layer, &x);
        let bias = layer.bias.as_ref().map(|bias| self.narrow(bias.val()));
        module::linear(self.narrow(x), self.narrow(layer.weight.val()), bias)
    }

    /// `x w + b` of plain matrices, in the compute format.
    pub(super) fn product(self, x: Tensor<2>, w: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        cost::add(x.dims().iter().product::<usize>() * w.dims()[1]);
        let product = self.narrow(x).matmul(self.narrow(w));
        match bias {
            Some(bias) => product + self.narrow(bias).unsqueeze::<2>(),
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
    pub(super) fn convolve(self, layer: &Conv2d, grid: Tensor<4>) -> Tensor<4> {
        if self.has_kernel(layer, &grid.device()) {
            self.count(layer, grid.dims());
            let sides = [layer.stride[0], padding(layer)[0]];
            return kernel::pyramid::convolve(grid, conv_tensors(layer), sides);
        }
        let planes = self.conv2d(layer, grid.permute([0, 3, 1, 2]));
        self.wide(planes).permute([0, 2, 3, 1])
    }

    /// Counts the multiplications of a convolution of a grid, `[B, H, W, inputs]`.
    pub(super) fn count(self, layer: &Conv2d, [batch, height, width, inputs]: [usize; 4]) {
        let planes = [batch, inputs, height, width];
        cost::add(multiplications(layer, planes));
    }

    /// The convolution of planes, `[B, channels, H, W]`, in the compute format.
    ///
    /// # Panics
    /// The layer was not made with explicit symmetric padding.
    pub(super) fn conv2d(self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        if self.has_kernel(layer, &x.device()) {
            let grid = self.convolve(layer, x.permute([0, 2, 3, 1]));
            return grid.permute([0, 3, 1, 2]);
        }
        cost::add(multiplications(layer, x.dims()));
        let options = ConvOptions::new(layer.stride, padding(layer), layer.dilation, layer.groups);
        let bias = layer.bias.as_ref().map(|bias| self.narrow(bias.val()));
        module::conv2d(
            self.narrow(x),
            self.narrow(layer.weight.val()),
            bias,
            options,
        )
    }
}

/// Counts the multiplications of `x W`.
pub(super) fn count_linear<const D: usize>(layer: &Linear, x: &Tensor<D>) {
    let [_, outputs] = layer.weight.lazy_shape().dims();
    cost::add(x.dims().iter().product::<usize>() * outputs);
}

/// Rows and columns of zeros around a convolution's input.
///
/// # Panics
/// The layer was not made with explicit symmetric padding.
pub(super) fn padding(layer: &Conv2d) -> [usize; 2] {
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
pub(super) fn multiplications(layer: &Conv2d, [batch, _, height, width]: [usize; 4]) -> usize {
    let padding = padding(layer);
    let cells = |side: usize, axis: usize| {
        let reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1);
        (side + 2 * padding[axis] - reach - 1) / layer.stride[axis] + 1
    };
    let [outputs, inputs, rows, cols] = layer.weight.lazy_shape().dims();
    batch * cells(height, 0) * cells(width, 1) * outputs * inputs * rows * cols
}

/// Weight and bias of a layer that has both.
pub(super) fn tensors(layer: &Linear) -> (Tensor<2>, Tensor<1>) {
    let bias = layer.bias.as_ref().expect("a layer with a bias");
    (layer.weight.val(), bias.val())
}

/// Weight and bias of a convolution, which always has both here.
pub(super) fn conv_tensors(layer: &Conv2d) -> (Tensor<4>, Tensor<1>) {
    let bias = layer.bias.as_ref().expect("a convolution with a bias");
    (layer.weight.val(), bias.val())
}
