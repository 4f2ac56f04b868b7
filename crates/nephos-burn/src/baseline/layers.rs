//! Convolutions without a bias, each followed by batch normalisation.

use burn::module::{Initializer, Module};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::batch_norm::{Activation, BatchNorm};
use crate::compute::Compute;

/// What a convolution looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Each channel by itself.
    pub depthwise: bool,
}

impl Shape {
    /// A convolution of all channels that keeps the size of the grid.
    pub(super) fn dense(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel,
            stride: 1,
            dilation: 1,
            padding: kernel / 2,
            depthwise: false,
        }
    }

    /// A convolution of squares of `side` cells that lie side by side.
    pub(super) fn reducing(width: usize, side: usize) -> Self {
        Self {
            stride: side,
            padding: 0,
            ..Self::dense(width, width, side)
        }
    }

    /// A 3×3 convolution of each channel that keeps the size of the grid, but for the
    /// stride.
    pub(super) fn depthwise(channels: usize, [stride, dilation]: [usize; 2]) -> Self {
        Self {
            stride,
            dilation,
            padding: dilation,
            depthwise: true,
            ..Self::dense(channels, channels, 3)
        }
    }

    /// With another stride.
    pub(super) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The layer, with a bias of zeros if any.
    pub(super) fn init(self, bias: bool, weights: Initializer, device: &Device) -> Conv2d {
        let pad = self.padding;
        let groups = if self.depthwise { self.inputs } else { 1 };
        let layer = Conv2dConfig::new([self.inputs, self.outputs], [self.kernel; 2])
            .with_stride([self.stride; 2])
            .with_dilation([self.dilation; 2])
            .with_groups(groups)
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_bias(bias)
            .with_initializer(weights)
            .init(device);
        match layer.bias {
            None => layer,
            Some(_) => Conv2d {
                bias: Some(Initializer::Zeros.init([self.outputs], device)),
                ..layer
            },
        }
    }
}

/// He et al.'s (2015) normal weights for features that a ReLU follows, by the number
/// of outputs, as torchvision's MobileNetV2 starts.
pub(super) fn he() -> Initializer {
    Initializer::KaimingNormal {
        gain: std::f64::consts::SQRT_2,
        fan_out_only: true,
    }
}

/// The convolution, in f32 afterwards.
///
/// # Shapes
/// - x: `[B, inputs, H, W]`
/// - output: `[B, outputs, rows, cols]`, f32
///
/// # Panics
/// The layer was not made by [`Shape::init`].
pub(super) fn convolve(layer: &Conv2d, x: Tensor<4>, compute: Compute) -> Tensor<4> {
    compute.to_f32(compute.conv2d(layer, x))
}

/// A convolution without bias, batch normalisation, an activation.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    pub(super) fn new(shape: Shape, activation: Activation, device: &Device) -> Self {
        Self {
            conv: shape.init(false, he(), device),
            norm: BatchNorm::new(shape.outputs, activation, device),
        }
    }

    /// # Shapes
    /// - x: `[B, inputs, H, W]`
    /// - output: `[B, outputs, rows, cols]`, f32
    pub(super) fn forward(&self, x: Tensor<4>, compute: Compute) -> Tensor<4> {
        self.norm.forward(convolve(&self.conv, x, compute))
    }
}

/// A convolution of each channel and one of each pixel, both without bias, then batch
/// normalisation and ReLU.
#[derive(Module, Debug)]
pub struct SeparableConv {
    depthwise: Conv2d,
    pointwise: Conv2d,
    norm: BatchNorm,
}

impl SeparableConv {
    pub(super) fn new(inputs: usize, outputs: usize, dilation: usize, device: &Device) -> Self {
        Self {
            depthwise: Shape::depthwise(inputs, [1, dilation]).init(false, he(), device),
            pointwise: Shape::dense(inputs, outputs, 1).init(false, he(), device),
            norm: BatchNorm::new(outputs, Activation::Relu, device),
        }
    }

    /// # Shapes
    /// - x: `[B, inputs, H, W]`
    /// - output: `[B, outputs, H, W]`, f32
    pub(super) fn forward(&self, x: Tensor<4>, compute: Compute) -> Tensor<4> {
        let x = convolve(&self.depthwise, x, compute);
        self.norm.forward(convolve(&self.pointwise, x, compute))
    }
}
