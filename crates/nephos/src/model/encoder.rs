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
    #[module(skip)]
    epsilon: f32,
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
            norm1: norm(config, width, device),
            norm2: norm(config, width, device),
            dropout: DropoutConfig::new(config.dropout).init(),
            activation: config.activation,
            order: config.norm,
            epsilon: config.norm_eps as f32,
        }
    }

    /// # Shapes
    /// - x, output: `[B, N, width]`, f32
    fn forward(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        if compute.is_recorded(&x.device()) {
            return self.recorded(x);
        }
        self.composed(x, compute)
    }

    /// [`EncoderLayer::composed`] as one step of autodiff.
    fn recorded(&self, x: Tensor<3>) -> Tensor<3> {
        use crate::kernel::{dropout, encoder};
        use nephos_kernel::{attention::Shape, encoder as kernel, gemm::Act};

        let [batch, tokens, width] = x.dims();
        let heads = self.self_attn.heads();
        let dropouts = match dropout::rate(&self.dropout, &x.device()) {
            0.0 => kernel::Dropouts::off(),
            rate => kernel::Dropouts::new(dropout::keys(&x.device()), rate),
        };
        let layer = kernel::Layer {
            shape: Shape {
                batch,
                tokens,
                width,
                heads,
            },
            activation: match self.activation {
                Activation::Relu => Act::Relu,
                Activation::Gelu => Act::Gelu,
            },
            order: match self.order {
                NormOrder::Post => kernel::Order::Post,
                NormOrder::Pre => kernel::Order::Pre,
            },
            dropouts,
        };
        let [in_proj, out_proj] = self.self_attn.tensors();
        let [linear1, linear2] = [&self.linear1, &self.linear2].map(super::compute::tensors);
        let norm = |layer: &LayerNorm| {
            let shift = layer.beta.as_ref().expect("a norm with a shift");
            (layer.gamma.val(), shift.val())
        };
        let tensors = encoder::LayerTensors {
            linear: [in_proj, out_proj, linear1, linear2],
            norms: [norm(&self.norm1), norm(&self.norm2)],
            epsilon: self.epsilon,
        };
        encoder::layer(layer, x, tensors)
    }

    /// The layer of plain tensors.
    fn composed(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
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
        self.dropout.forward(compute.wide(x))
    }

    fn feed_forward(&self, x: Tensor<3>, compute: Compute) -> Tensor<3> {
        let x = compute.linear(&self.linear1, x); // [B, N, feed_forward]
        let x = match self.activation {
            Activation::Relu => relu(x),
            Activation::Gelu => gelu(x),
        };
        let x = self.dropout.forward(x);
        let x = compute.linear(&self.linear2, x); // [B, N, width]
        self.dropout.forward(compute.wide(x))
    }
}

fn norm(config: &EncoderConfig, width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width)
        .with_epsilon(config.norm_eps)
        .init(device)
}

#[cfg(test)]
mod tests {
    use burn::module::ModuleVisitor;
    use burn::module::Param;
    use burn::tensor::{Distribution, Gradients};

    use super::*;
    use crate::config::Precision;

    /// The gradients of a module's parameters, in the order of its fields.
    struct Collected<'a> {
        gradients: &'a Gradients,
        values: Vec<Vec<f32>>,
    }

    impl ModuleVisitor for Collected<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad(self.gradients).expect("a gradient");
            self.values
                .push(gradient.into_data().try_into_vec().unwrap());
        }
    }

    #[test]
    fn a_recorded_layer_is_the_composed_one_with_all_gradients() {
        let device = Device::flex().autodiff();
        for norm in [NormOrder::Post, NormOrder::Pre] {
            for activation in [Activation::Relu, Activation::Gelu] {
                let config = EncoderConfig {
                    heads: 3,
                    feed_forward: 20,
                    dropout: 0.0,
                    norm,
                    activation,
                    norm_eps: 1e-3,
                    ..EncoderConfig::default()
                };
                let layer = EncoderLayer::new(&config, 12, &device);
                let random = || Tensor::random([2, 9, 12], Distribution::Default, &device);
                let (x, probe) = (random().require_grad(), random());
                let compute = Compute::from(Precision::F32);
                let [recorded, composed] = [true, false].map(|recorded| {
                    let out = match recorded {
                        true => layer.recorded(x.clone()),
                        false => layer.composed(x.clone(), compute),
                    };
                    let gradients = (out.clone() * probe.clone()).sum().backward();
                    let mut collected = Collected {
                        gradients: &gradients,
                        values: vec![out.into_data().try_into_vec::<f32>().unwrap()],
                    };
                    let by_x = x.grad(&gradients).unwrap();
                    collected
                        .values
                        .push(by_x.into_data().try_into_vec().unwrap());
                    layer.visit(&mut collected);
                    collected.values
                });
                assert_eq!(recorded.len(), 2 + 12);
                for (index, (ours, plain)) in recorded.iter().zip(&composed).enumerate() {
                    let scale = plain.iter().fold(1e-2f32, |max, x| max.max(x.abs()));
                    for (a, b) in ours.iter().zip(plain) {
                        assert!((a - b).abs() < 2e-5 * scale, "{config:?} {index}: {a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_computed_again_gives_the_same_gradients() {
        let config = EncoderConfig {
            heads: 2,
            feed_forward: 10,
            dropout: 0.3,
            ..EncoderConfig::default()
        };
        let kept = Device::flex().autodiff();
        let [kept, again] = [kept.clone(), kept.gradient_checkpointing()].map(|device| {
            device.seed(5);
            let layers = [0; 2].map(|_| EncoderLayer::new(&config, 8, &device));
            let x = Tensor::random([2, 6, 8], Distribution::Default, &device).require_grad();
            let compute = Compute::from(Precision::F32);
            let out = layers
                .iter()
                .fold(x.clone(), |x, layer| layer.forward(x, compute));
            let gradients = (out.clone() * x.clone()).sum().backward();
            let mut collected = Collected {
                gradients: &gradients,
                values: vec![out.into_data().try_into_vec::<f32>().unwrap()],
            };
            let by_x = x.grad(&gradients).unwrap();
            collected
                .values
                .push(by_x.into_data().try_into_vec().unwrap());
            layers.iter().for_each(|layer| layer.visit(&mut collected));
            collected.values
        });
        assert_eq!(kept, again);
    }

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
