//! Convolutions that keep the size of their grid.

use burn::module::{Initializer, Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::compute::Compute;

/// Weight of a fresh block's residual branch: near zero, so that a deep stack
/// begins as the identity and needs no normalisation (De & Smith 2020,
/// doi:10.48550/arXiv.2002.10444). Statistics of the image never enter: a window's
/// scores depend on its pixels alone.
const INITIAL_GAIN: f64 = 0.1;

/// A 3×3 convolution with zero padding of one, for features that a ReLU follows
/// or precedes: it starts with He et al.'s (2015) uniform weights, which keep
/// their variance.
pub(crate) fn conv3x3(inputs: usize, outputs: usize, stride: usize, device: &Device) -> Conv2d {
    let he = Initializer::KaimingUniform {
        gain: std::f64::consts::SQRT_2,
        fan_out_only: false,
    };
    Conv2dConfig::new([inputs, outputs], [3, 3])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_initializer(he)
        .init(device)
}

/// `relu(x + g · conv(relu(conv(relu(x)))))`, both 3×3 (He et al. 2016,
/// doi:10.48550/arXiv.1603.05027), with a learned scalar `g` in place of norms.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    conv1: Conv2d,
    conv2: Conv2d,
    gain: Param<Tensor<1>>,
}

impl ResidualBlock {
    /// A block for `width` features.
    pub(crate) fn new(width: usize, device: &Device) -> Self {
        let gain = Initializer::Constant {
            value: INITIAL_GAIN,
        };
        Self {
            conv1: conv3x3(width, width, 1, device),
            conv2: conv3x3(width, width, 1, device),
            gain: gain.init([1], device),
        }
    }

    /// # Shapes
    /// - x, output: `[B, H, W, width]`, f32
    pub(crate) fn forward(&self, x: Tensor<4>, compute: Compute) -> Tensor<4> {
        let branch = compute.convolve(&self.conv1, relu(x.clone()));
        let branch = compute.convolve(&self.conv2, relu(branch));
        relu(x + branch * self.gain.val().unsqueeze::<4>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};
    use nephos::config::Precision;

    #[test]
    fn without_gain_a_block_keeps_what_is_positive() {
        let device = Device::flex();
        let mut block = ResidualBlock::new(3, &device);
        let x = Tensor::random([2, 5, 4, 3], Distribution::Normal(0.0, 1.0), &device);
        let compute = Compute::from(Precision::F32);
        let moved = block.forward(x.clone(), compute);
        assert_eq!(moved.dims(), [2, 5, 4, 3]);
        let distance = (moved - relu(x.clone())).abs().max().into_scalar::<f32>();
        assert!(distance > 1e-4, "a fresh block changes its input");
        block.gain = Param::from_data([0.0], &device);
        (block.forward(x.clone(), compute).into_data())
            .assert_approx_eq::<f32>(&relu(x).into_data(), Tolerance::absolute(0.0));
    }
}
