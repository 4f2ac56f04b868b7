//! The transformer encoder.

use nephos_kernel::attention::Shape as Attention;
use nephos_kernel::dropout::mix;
use nephos_kernel::encoder::{Dropouts, Gradients as LayerGradients, Layer, Order, Saved, Weights};
use nephos_kernel::gemm::Act;
use nephos_kernel::norm;

use super::backbone::add;
use super::scope::{Gradients, Scope};
use crate::config::{Activation, ModelConfig, NormOrder};
use crate::engine::packed::Shape;

/// A stack of transformer encoder layers (Vaswani et al. 2017), equal to PyTorch's
/// `TransformerEncoder`, and what its taps add to the output.
pub(super) struct Encoder<'a> {
    pub config: &'a ModelConfig,
    pub scope: Scope<'a>,
    /// Of the step: what is dropped is a function of it. `None`: nothing is dropped.
    pub seed: Option<u64>,
    /// Whether the backward pass computes layers again.
    pub checkpointing: bool,
}

/// What the backward pass of an encoder needs beside its weights.
pub(super) struct EncoderSaved {
    /// The input of each layer, then the output of the last.
    inputs: Vec<Vec<f32>>,
    layers: Vec<Option<Saved>>,
    /// Of the final norm.
    moments: Vec<f32>,
    /// Of each tap: its norm's output and moments.
    taps: Vec<[Vec<f32>; 2]>,
}

impl Encoder<'_> {
    fn layer(&self, index: usize, shape: Shape) -> Layer {
        let encoder = &self.config.encoder;
        let dropouts = match self.seed {
            Some(seed) if encoder.dropout > 0.0 => {
                let key = |part: u64| mix(seed ^ (4 * index as u64 + part));
                Dropouts::new([0, 1, 2, 3].map(key), encoder.dropout as f32)
            }
            _ => Dropouts::off(),
        };
        Layer {
            shape: Attention {
                batch: shape.batch,
                tokens: shape.tokens(),
                width: self.config.patch.width,
                heads: encoder.heads,
            },
            activation: match encoder.activation {
                Activation::Relu => Act::Relu,
                Activation::Gelu => Act::Gelu,
            },
            order: match encoder.norm {
                NormOrder::Post => Order::Post,
                NormOrder::Pre => Order::Pre,
            },
            dropouts,
        }
    }

    fn weights<'b>(&self, scope: &Scope<'b>) -> Weights<'b> {
        let epsilon = self.config.encoder.norm_eps;
        Weights {
            in_proj: scope.linear("self_attn.in_proj"),
            out_proj: scope.linear("self_attn.out_proj"),
            linear1: scope.linear("linear1"),
            linear2: scope.linear("linear2"),
            norm1: scope.norm("norm1", epsilon),
            norm2: scope.norm("norm2", epsilon),
        }
    }

    /// # Shapes
    /// - tokens, output: `[batch · rows · cols, width]`
    pub fn forward(&self, tokens: Vec<f32>, shape: Shape) -> (Vec<f32>, EncoderSaved) {
        let encoder = &self.config.encoder;
        let mut saved = EncoderSaved {
            inputs: vec![tokens],
            layers: Vec::with_capacity(encoder.depth),
            moments: Vec::new(),
            taps: Vec::with_capacity(encoder.taps.len()),
        };
        for index in 0..encoder.depth {
            let weights = self.weights(&self.scope.child("layers").child(index));
            let (out, layer) = self
                .layer(index, shape)
                .forward(&saved.inputs[index], &weights);
            saved.layers.push((!self.checkpointing).then_some(layer));
            saved.inputs.push(out);
        }
        let last = &saved.inputs[encoder.depth];
        let mut out = match encoder.final_norm {
            false => last.clone(),
            true => {
                let norm = self.scope.norm("norm", encoder.norm_eps);
                let [out, moments] = normalised(last, &norm);
                saved.moments = moments;
                out
            }
        };
        for (index, &depth) in encoder.taps.iter().enumerate() {
            let scope = self.scope.child("taps").child(index);
            let norm = scope.norm("norm", encoder.norm_eps);
            let [features, moments] = normalised(&saved.inputs[depth], &norm);
            let mut projected = vec![0.0; out.len()];
            scope
                .linear("project")
                .forward(&features, Act::None, &mut projected);
            add(&mut out, projected);
            saved.taps.push([features, moments]);
        }
        (out, saved)
    }

    /// The gradient by the tokens, from that by the output.
    pub fn backward(
        &self,
        saved: EncoderSaved,
        shape: Shape,
        gradient: Vec<f32>,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        let encoder = &self.config.encoder;
        // By the tokens after so many layers, of the taps.
        let mut of_taps: Vec<Vec<f32>> = vec![Vec::new(); encoder.depth + 1];
        for (index, (&depth, [features, moments])) in
            encoder.taps.iter().zip(&saved.taps).enumerate()
        {
            let scope = self.scope.child("taps").child(index);
            let project = scope.linear("project");
            scope.add_pair(
                gradients,
                "project",
                project.weights_backward(features, &gradient),
            );
            let mut of_features = vec![0.0; features.len()];
            project.backward(&gradient, false, &mut of_features);
            let norm = scope.norm("norm", encoder.norm_eps);
            let (of_tokens, pair) =
                norm_backward([&saved.inputs[depth], moments, &of_features], &norm);
            scope.add_norm(gradients, "norm", pair);
            add(&mut of_taps[depth], of_tokens);
        }
        let mut gradient = match encoder.final_norm {
            false => gradient,
            true => {
                let norm = self.scope.norm("norm", encoder.norm_eps);
                let known = [&saved.inputs[encoder.depth][..], &saved.moments, &gradient];
                let (of_tokens, pair) = norm_backward(known, &norm);
                self.scope.add_norm(gradients, "norm", pair);
                of_tokens
            }
        };
        add(&mut gradient, std::mem::take(&mut of_taps[encoder.depth]));
        for (index, layer) in saved.layers.into_iter().enumerate().rev() {
            let scope = self.scope.child("layers").child(index);
            let (weights, x) = (self.weights(&scope), &saved.inputs[index]);
            let computes = self.layer(index, shape);
            let layer = layer.unwrap_or_else(|| computes.forward(x, &weights).1);
            let LayerGradients {
                x,
                in_proj,
                out_proj,
                linear1,
                linear2,
                norm1,
                norm2,
            } = computes.backward(x, &weights, &layer, &gradient);
            for (name, pair) in [
                ("self_attn.in_proj", in_proj),
                ("self_attn.out_proj", out_proj),
                ("linear1", linear1),
                ("linear2", linear2),
            ] {
                scope.add_pair(gradients, name, pair);
            }
            scope.add_norm(gradients, "norm1", norm1);
            scope.add_norm(gradients, "norm2", norm2);
            gradient = x;
            add(&mut gradient, std::mem::take(&mut of_taps[index]));
        }
        gradient
    }
}

/// The norm of `x`, and its moments.
fn normalised(x: &[f32], norm: &norm::LayerNorm<'_>) -> [Vec<f32>; 2] {
    let mut out = vec![0.0; x.len()];
    let mut moments = vec![0.0; 2 * x.len() / norm.scale.len()];
    norm::forward(x, None, norm, &mut out, Some(&mut moments));
    [out, moments]
}

/// The gradient by the input of a norm, and those by its scale and shift; `known` are input,
/// moments and the gradient by the output.
fn norm_backward(known: [&[f32]; 3], norm: &norm::LayerNorm<'_>) -> (Vec<f32>, [Vec<f32>; 2]) {
    let mut of_x = vec![0.0; known[0].len()];
    let [mut scale, mut shift] = [0; 2].map(|_| vec![0.0; norm.scale.len()]);
    let weights = [&mut scale[..], &mut shift];
    norm::backward(known, None, norm, &mut of_x, weights, &mut Vec::new());
    (of_x, [scale, shift])
}
