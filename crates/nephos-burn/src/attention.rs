//! Multi-head self-attention.

use burn::module::{Initializer, Module};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::compute::Compute;
use crate::cost;

/// Multi-head self-attention (Vaswani et al. 2017), with query, key and value
/// projected by one packed matrix as in PyTorch's `MultiheadAttention`.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `width` → query, key, value, each `width` wide.
    in_proj: Linear,
    out_proj: Linear,
    dropout: Dropout,
    heads: usize,
}

impl SelfAttention {
    /// A layer with PyTorch's initial weights: the packed projection Xavier
    /// uniform, the output projection uniform, both biases zero.
    ///
    /// # Panics
    /// `heads` does not divide `width`.
    pub fn new(width: usize, heads: usize, dropout: f64, device: &Device) -> Self {
        assert!(width.is_multiple_of(heads), "{heads} heads divide {width}");
        let zeros = || Some(Initializer::Zeros.init([width], device));
        let mut in_proj = LinearConfig::new(width, 3 * width)
            .with_initializer(Initializer::XavierUniform { gain: 1.0 })
            .init(device);
        in_proj.bias = Some(Initializer::Zeros.init([3 * width], device));
        let mut out_proj = LinearConfig::new(width, width).init(device);
        out_proj.bias = zeros();
        Self {
            in_proj,
            out_proj,
            dropout: DropoutConfig::new(dropout).init(),
            heads,
        }
    }

    /// Lets every token attend to every token.
    ///
    /// # Shapes
    /// - tokens: `[B, N, width]`
    /// - output: `[B, N, width]` in the compute format
    ///
    /// # Panics
    /// The tokens have another width.
    pub(crate) fn forward(&self, tokens: Tensor<3>, compute: Compute) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        assert_shape!(tokens, [_, _, self.out_proj.weight.dims()[0]]);
        let head = width / self.heads;

        let packed = compute.linear(&self.in_proj, tokens); // [B, N, 3 * width]
        let [query, key, value] = [0, 1, 2].map(|part| {
            packed
                .clone()
                .narrow(2, part * width, width) // [B, N, width]
                .reshape([batch, count, self.heads, head])
                .swap_dims(1, 2) // [B, heads, N, head]
        });
        drop(packed);

        cost::add(2 * batch * count * count * width);
        let context = if query.device().is_autodiff() {
            let query = query.mul_scalar(1.0 / (head as f64).sqrt());
            let scores = query.matmul(key.transpose()); // [B, heads, N, N]
            let weights = compute.weights(scores, &self.dropout);
            weights.matmul(value) // [B, heads, N, head]
        } else {
            // Nothing is kept for a backward pass, so the scores need never
            // exist as a whole.
            let options = AttentionModuleOptions::default();
            attention(query, key, value, None, None, options) // [B, heads, N, head]
        };
        let context = context.swap_dims(1, 2).reshape([batch, count, width]);
        compute.linear(&self.out_proj, context)
    }
}
