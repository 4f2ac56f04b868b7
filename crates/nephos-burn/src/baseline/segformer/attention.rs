//! Self-attention whose keys and values are fewer than its queries.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::super::layers::{Shape, convolve};
use super::super::tokens::{from_grid, to_grid};
use super::{Size, linear, normal};
use crate::compute::Compute;
use crate::cost;

/// Multi-head self-attention; before keys and values the grid of tokens is reduced by
/// a strided convolution (Wang et al. 2021, doi:10.48550/arXiv.2102.12122).
#[derive(Module, Debug)]
pub struct ReducedAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    reduction: Option<Reduction>,
    heads: usize,
}

#[derive(Module, Debug)]
struct Reduction {
    conv: Conv2d,
    norm: LayerNorm,
}

impl ReducedAttention {
    pub(super) fn new(size: Size, device: &Device) -> Self {
        let width = size.width;
        let layer = || linear(width, width, device);
        Self {
            query: layer(),
            key: layer(),
            value: layer(),
            output: layer(),
            reduction: (size.reduction > 1).then(|| Reduction {
                conv: Shape::reducing(width, size.reduction).init(true, normal(), device),
                norm: LayerNormConfig::new(width).init(device),
            }),
            heads: size.heads,
        }
    }

    /// # Shapes
    /// - x, output: `[B, rows · cols, width]`
    pub(super) fn forward(&self, x: Tensor<3>, grid: [usize; 2], compute: Compute) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let query = self.split(compute.linear(&self.query, x.clone())); // [B, heads, N, d]
        let seen = match &self.reduction {
            Some(reduction) => {
                let grid = convolve(&reduction.conv, to_grid(x, grid), compute);
                reduction.norm.forward(from_grid(grid)) // [B, M, width]
            }
            None => x,
        };
        let key = self.split(compute.linear(&self.key, seen.clone()));
        let value = self.split(compute.linear(&self.value, seen));
        cost::add(2 * batch * tokens * width * key.dims()[2]);
        let scale = ((width / self.heads) as f32).sqrt().recip();
        let scores = compute.to_f32(query.mul_scalar(scale).matmul(key.transpose()));
        let weights = compute.to_compute_dtype(softmax(scores, 3)); // [B, heads, N, M]
        let mixed = weights.matmul(value).swap_dims(1, 2); // [B, N, heads, d]
        compute.to_f32(compute.linear(&self.output, mixed.reshape([batch, tokens, width])))
    }

    /// `[B, N, width]` as `[B, heads, N, width / heads]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, tokens, width] = x.dims();
        let split = x.reshape([batch, tokens, self.heads, width / self.heads]);
        split.swap_dims(1, 2)
    }
}
