//! A transformer block.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Distribution, Tensor};

use super::super::layers::{Shape, convolve};
use super::super::tokens::{from_grid, to_grid};
use super::attention::ReducedAttention;
use super::{Size, linear, normal};
use crate::compute::Compute;

/// Hidden width of the feed-forward part, in widths.
const EXPANSION: usize = 4;

/// Attention and a feed-forward part, each after a norm and added to its input.
#[derive(Module, Debug)]
pub struct Block {
    norm1: LayerNorm,
    attention: ReducedAttention,
    norm2: LayerNorm,
    feed: MixFeedForward,
    drop_path: f64,
}

impl Block {
    pub(super) fn new(size: Size, drop_path: f64, device: &Device) -> Self {
        let norm = || LayerNormConfig::new(size.width).init(device);
        Self {
            norm1: norm(),
            attention: ReducedAttention::new(size, device),
            norm2: norm(),
            feed: MixFeedForward::new(size.width, device),
            drop_path,
        }
    }

    /// # Shapes
    /// - x, output: `[B, rows · cols, width]`, f32
    pub(super) fn forward(&self, x: Tensor<3>, grid: [usize; 2], compute: Compute) -> Tensor<3> {
        let seen = (self.attention).forward(self.norm1.forward(x.clone()), grid, compute);
        let x = x + self.drop(seen);
        let fed = (self.feed).forward(self.norm2.forward(x.clone()), grid, compute);
        x + self.drop(fed)
    }

    /// In training, zero for a share of the images, the others enlarged to the same
    /// mean (Huang et al. 2016, doi:10.48550/arXiv.1603.09382).
    fn drop(&self, x: Tensor<3>) -> Tensor<3> {
        let device = x.device();
        if self.drop_path == 0.0 || !device.is_autodiff() {
            return x;
        }
        let keep = 1.0 - self.drop_path;
        let images = x.dims()[0];
        let kept = Tensor::<3>::random([images, 1, 1], Distribution::Bernoulli(keep), &device);
        x * kept.div_scalar(keep as f32)
    }
}

/// Two linear layers with a depthwise convolution between them, by which tokens learn
/// where they are.
#[derive(Module, Debug)]
struct MixFeedForward {
    widen: Linear,
    mix: Conv2d,
    narrow: Linear,
}

impl MixFeedForward {
    fn new(width: usize, device: &Device) -> Self {
        let hidden = EXPANSION * width;
        Self {
            widen: linear(width, hidden, device),
            mix: Shape::depthwise(hidden, [1, 1]).init(true, normal(), device),
            narrow: linear(hidden, width, device),
        }
    }

    fn forward(&self, x: Tensor<3>, grid: [usize; 2], compute: Compute) -> Tensor<3> {
        let hidden = to_grid(compute.linear(&self.widen, x), grid);
        let hidden = from_grid(convolve(&self.mix, compute.to_f32(hidden), compute));
        compute.to_f32(compute.linear(&self.narrow, gelu(hidden)))
    }
}
