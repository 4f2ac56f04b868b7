//! The transformer encoder.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{gelu, relu};
use burn::tensor::{Device, Tensor};

use crate::attention::SelfAttention;
use crate::compute::Compute;
use nephos::config::{Activation, EncoderConfig, NormOrder};

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
            norm: config.final_norm.then(|| norm(config, width, device)),
            taps: (config.taps.iter())
                .map(|&depth| Tap {
                    norm: norm(config, width, device),
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
                taken.push(compute.to_f32(compute.linear(&tap.project, features)));
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
            norm1: norm(config, width, device),
            norm2: norm(config, width, device),
            dropout: DropoutConfig::new(config.dropout).init(),
            activation: config.activation,
            order: config.norm,
        }
    }

    /// # Shapes
    /// - x, output: `[B, N, width]`, f32
    fn forward(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        let Self { norm1, norm2, .. } = self;
        match self.order {
            NormOrder::Post => {
                let x = norm1.forward(x.clone() + self.attend(x, compute));
                norm2.forward(x.clone() + self.feed_forward(x, compute))
            }
            NormOrder::Pre => {
                let x = x.clone() + self.attend(norm1.forward(x), compute);
                x.clone() + self.feed_forward(norm2.forward(x), compute)
            }
        }
    }

    fn attend(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        let x = self.self_attn.forward(x, compute);
        self.dropout.forward(compute.to_f32(x))
    }

    fn feed_forward(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        let x = compute.linear(&self.linear1, x); // [B, N, feed_forward]
        let x = match self.activation {
            Activation::Relu => relu(x),
            Activation::Gelu => gelu(x),
        };
        let x = self.dropout.forward(x);
        let x = compute.linear(&self.linear2, x); // [B, N, width]
        self.dropout.forward(compute.to_f32(x))
    }
}

fn norm(config: &EncoderConfig, width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width)
        .with_epsilon(config.norm_eps)
        .init(device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use nephos::config::Precision;

    #[test]
    fn dropout_is_drawn_anew_for_each_pass() {
        let device = Device::flex().autodiff();
        let x = Tensor::random([1, 5, 8], Distribution::Default, &device);
        let passes = |dropout| {
            let config = EncoderConfig {
                heads: 2,
                dropout,
                ..EncoderConfig::default()
            };
            let layer = EncoderLayer::new(&config, 8, &device);
            [(), ()].map(|()| {
                let out = layer.forward(x.clone(), Compute::from(Precision::F32));
                out.into_data().try_into_vec::<f32>().unwrap()
            })
        };
        let [first, second] = passes(0.2);
        assert_ne!(first, second);
        let [first, second] = passes(0.0);
        assert_eq!(first, second);
    }
}
