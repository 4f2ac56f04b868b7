//! The transformer encoder.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{gelu, relu};
use burn::tensor::{Device, Tensor};

use super::attention::SelfAttention;
use super::compute::Compute;
use crate::config::{Activation, EncoderConfig, NormOrder};

/// A stack of transformer encoder layers (Vaswani et al. 2017), equal to
/// PyTorch's `TransformerEncoder`.
#[derive(Module, Debug)]
pub struct Encoder {
    layers: Vec<EncoderLayer>,
    norm: Option<LayerNorm>,
    taps: Vec<Tap>,
}

/// Takes the tokens after a layer and projects them, to be added to the output
/// (as in Ranftl et al. 2021, doi:10.48550/arXiv.2103.13413, on one grid).
#[derive(Module, Debug)]
pub struct Tap {
    norm: LayerNorm,
    project: Linear,
    /// Layers before it.
    depth: usize,
}

/// Self-attention and a feed-forward part, each with a residual sum and a norm;
/// equal to PyTorch's `TransformerEncoderLayer`.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    self_attn: SelfAttention,
    linear1: Linear,
    linear2: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
    dropout: Dropout,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    order: NormOrder,
}

impl Encoder {
    /// Layers for tokens of `width` features.
    pub fn new(config: &EncoderConfig, width: usize, device: &Device) -> Self {
        Self {
            layers: (0..config.depth)
                .map(|_| EncoderLayer::new(config, width, device))
                .collect(),
            norm: config.final_norm.then(|| norm(width, device)),
            taps: (config.taps.iter())
                .map(|&depth| Tap {
                    norm: norm(width, device),
                    project: LinearConfig::new(width, width).init(device),
                    depth,
                })
                .collect(),
        }
    }

    /// Applies all layers in order, and adds what the taps take between them.
    ///
    /// # Shapes
    /// - tokens, output: `[B, N, width]`, f32
    pub fn forward(&self, tokens: Tensor<3>, compute: Compute) -> Tensor<3> {
        let mut tokens = tokens;
        let mut taken = Vec::with_capacity(self.taps.len());
        for depth in 0..=self.layers.len() {
            for tap in self.taps.iter().filter(|tap| tap.depth == depth) {
                let features = tap.norm.forward(tokens.clone());
                taken.push(compute.wide(compute.linear(&tap.project, features)));
            }
            if let Some(layer) = self.layers.get(depth) {
                tokens = layer.forward(tokens, compute);
            }
        }
        let tokens = match &self.norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        };
        taken
            .into_iter()
            .fold(tokens, |sum, features| sum + features)
    }
}

impl EncoderLayer {
    fn new(config: &EncoderConfig, width: usize, device: &Device) -> Self {
        Self {
            self_attn: SelfAttention::new(width, config.heads, config.dropout, device),
            linear1: LinearConfig::new(width, config.feed_forward).init(device),
            linear2: LinearConfig::new(config.feed_forward, width).init(device),
            norm1: norm(width, device),
            norm2: norm(width, device),
            dropout: DropoutConfig::new(config.dropout).init(),
            activation: config.activation,
            order: config.norm,
        }
    }

    /// # Shapes
    /// - x, output: `[B, N, width]`, f32
    fn forward(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        match self.order {
            NormOrder::Post => {
                let x = self.norm1.forward(x.clone() + self.attend(x, compute));
                self.norm2
                    .forward(x.clone() + self.feed_forward(x, compute))
            }
            NormOrder::Pre => {
                let x = x.clone() + self.attend(self.norm1.forward(x), compute);
                x.clone() + self.feed_forward(self.norm2.forward(x), compute)
            }
        }
    }

    fn attend(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        let x = self.self_attn.forward(x, compute);
        self.dropout.forward(compute.wide(x))
    }

    fn feed_forward(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        let x = compute.linear(&self.linear1, x); // [B, N, feed_forward]
        let x = match self.activation {
            Activation::Relu => relu(x),
            Activation::Gelu => gelu(x),
        };
        let x = compute.linear(&self.linear2, self.dropout.forward(x)); // [B, N, width]
        self.dropout.forward(compute.wide(x))
    }
}

/// LayerNorm with PyTorch's epsilon.
fn norm(width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(1e-5).init(device)
}
