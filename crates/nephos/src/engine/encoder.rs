//! The transformer encoder.

use nephos_kernel::dropout::mix;
use nephos_kernel::encoder::{self, Dropouts, Layer, Order, Sequences};
use nephos_kernel::gemm::Act;
use nephos_kernel::linear::Linear;
use nephos_kernel::norm::LayerNorm;
use nephos_kernel::scratch::{Buffer, Scratch};
use nephos_kernel::stage::Stage;
use rayon::prelude::*;

use super::gradients::{Gradients, add};
use super::layers::Pass;
use super::shape::Shape;
use super::weights::Source;
use crate::config::{Activation, ModelConfig, NormOrder};

/// A stack of transformer encoder layers (Vaswani et al. 2017), equal to PyTorch's
/// `TransformerEncoder`, and what its taps add to the output.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    layers: Vec<Layer<'a>>,
    norm: Option<LayerNorm<'a>>,
    taps: Vec<Tap<'a>>,
    width: usize,
    dropout: f32,
}

/// Tokens after some layers, normalised and projected, that are added to the output.
#[derive(Debug)]
struct Tap<'a> {
    norm: LayerNorm<'a>,
    project: Linear<'a>,
    /// Layers before it.
    depth: usize,
}

/// What the backward pass of an encoder needs beside its weights.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// The input of each layer, then the output of the last if anything normalises it.
    inputs: Vec<Buffer>,
    /// Of each layer, unless it is computed again.
    layers: Vec<Option<encoder::Saved>>,
    /// Of the final norm.
    moments: Buffer,
    /// Of each tap: its norm's output and moments.
    taps: Vec<[Buffer; 2]>,
}

fn name(part: &str, index: usize, layer: &str) -> String {
    format!("encoder.{part}.{index}.{layer}")
}

impl<'a> Encoder<'a> {
    pub fn new(config: &ModelConfig, source: &mut Source<'a>) -> Option<Self> {
        let (encoder, width) = (&config.encoder, config.patch.width);
        let (hidden, epsilon) = (encoder.feed_forward, encoder.norm_eps);
        let layer = |index: usize| {
            let mut linear =
                |layer, sizes| source.linear(&name("layers", index, layer), sizes, true);
            Some(Layer {
                in_proj: linear("self_attn.in_proj", [width, 3 * width])?,
                out_proj: linear("self_attn.out_proj", [width, width])?,
                linear1: linear("linear1", [width, hidden])?,
                linear2: linear("linear2", [hidden, width])?,
                norm1: source.norm(&name("layers", index, "norm1"), width, epsilon)?,
                norm2: source.norm(&name("layers", index, "norm2"), width, epsilon)?,
                heads: encoder.heads,
                activation: match encoder.activation {
                    Activation::Relu => Act::Relu,
                    Activation::Gelu => Act::Gelu,
                },
                order: match encoder.norm {
                    NormOrder::Post => Order::Post,
                    NormOrder::Pre => Order::Pre,
                },
            })
        };
        let layers = (0..encoder.depth).map(layer).collect::<Option<_>>()?;
        let norm = match encoder.final_norm {
            true => Some(source.norm("encoder.norm", width, epsilon)?),
            false => None,
        };
        let tap = |(index, &depth): (usize, &usize)| {
            Some(Tap {
                norm: source.norm(&name("taps", index, "norm"), width, epsilon)?,
                project: source.linear(&name("taps", index, "project"), [width; 2], true)?,
                depth,
            })
        };
        let taps = encoder.taps.iter().enumerate().map(tap);
        Some(Self {
            layers,
            norm,
            taps: taps.collect::<Option<_>>()?,
            width,
            dropout: encoder.dropout as f32,
        })
    }

    /// What layer `index` computes on; what is dropped is a function of the seed.
    fn sequences(&self, index: usize, shape: Shape, seed: Option<u64>) -> Sequences {
        let dropouts = match seed {
            Some(seed) if self.dropout > 0.0 => {
                let key = |part: u64| mix(seed ^ (4 * index as u64 + part));
                Dropouts::new([0, 1, 2, 3].map(key), self.dropout)
            }
            _ => Dropouts::off(),
        };
        Sequences {
            batch: shape.batch,
            tokens: shape.tokens(),
            reach: shape.near(),
            dropouts,
        }
    }

    /// # Shapes
    /// - tokens, output: `[batch * rows * cols, width]`
    pub fn forward(
        &self,
        tokens: Buffer,
        shape: Shape,
        pass: &mut Pass<'_>,
        mut saved: Option<&mut Saved>,
    ) -> Buffer {
        let mut x = tokens;
        let mut tapped = None;
        if let Some(saved) = saved.as_deref_mut() {
            saved.taps.resize_with(self.taps.len(), Default::default);
        }
        for depth in 0..=self.layers.len() {
            self.tap(depth, &x, &mut tapped, pass, saved.as_deref_mut());
            let Some(layer) = self.layers.get(depth) else {
                break;
            };
            let sequences = self.sequences(depth, shape, pass.seed);
            let mut inside = saved.is_some().then(Default::default);
            let out = layer.forward(&x, &sequences, inside.as_mut(), pass.scratch, pass.watch);
            let input = std::mem::replace(&mut x, out);
            match saved.as_deref_mut() {
                Some(saved) => {
                    saved.inputs.push(input);
                    saved.layers.push(inside.filter(|_| !pass.checkpointing));
                }
                None => pass.scratch.give(input),
            }
        }
        if let Some(norm) = &self.norm {
            let [out, moments] = norm.forward(&x, saved.is_some(), pass.scratch);
            let input = std::mem::replace(&mut x, out);
            match saved {
                Some(saved) => {
                    saved.inputs.push(input);
                    saved.moments = moments;
                }
                None => pass.scratch.give(input),
            }
            (pass.watch)(Stage::Norm);
        } else if let Some(saved) = saved
            && self.taps.iter().any(|tap| tap.depth == self.layers.len())
        {
            saved.inputs.push(x.clone());
        }
        if let Some(tapped) = tapped {
            (x.par_chunks_mut(self.width))
                .zip(tapped.par_chunks(self.width))
                .with_min_len(64)
                .for_each(|(x, taps)| x.iter_mut().zip(taps).for_each(|(x, tap)| *x += tap));
            pass.scratch.give(tapped);
        }
        x
    }

    /// Adds the taps after `depth` layers to the sum of those before.
    fn tap(
        &self,
        depth: usize,
        x: &[f32],
        tapped: &mut Option<Buffer>,
        pass: &mut Pass<'_>,
        mut saved: Option<&mut Saved>,
    ) {
        let taps = self.taps.iter().enumerate();
        for (index, tap) in taps.filter(|(_, tap)| tap.depth == depth) {
            let [features, moments] = tap.norm.forward(x, saved.is_some(), pass.scratch);
            let mut sum = pass.scratch.take(x.len());
            (tap.project).forward(&features, tapped.as_deref(), Act::None, &mut sum);
            if let Some(before) = tapped.replace(sum) {
                pass.scratch.give(before);
            }
            match saved.as_deref_mut() {
                Some(saved) => saved.taps[index] = [features, moments],
                None => pass.scratch.give(features),
            }
            (pass.watch)(Stage::Project);
        }
    }

    /// The gradient by the tokens, from that by the output.
    pub fn backward(
        &self,
        saved: Saved,
        shape: Shape,
        mut gradient: Vec<f32>,
        seed: Option<u64>,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        let depth = self.layers.len();
        // By the tokens after so many layers, of the taps.
        let mut of_taps: Vec<Vec<f32>> = vec![Vec::new(); depth + 1];
        for (index, (tap, [features, moments])) in self.taps.iter().zip(&saved.taps).enumerate() {
            let pair = tap.project.weights_backward(features, &gradient);
            gradients.add_pair(&name("taps", index, "project"), pair);
            let mut of_features = vec![0.0; features.len()];
            tap.project.backward(&gradient, false, &mut of_features);
            let known = [&saved.inputs[tap.depth][..], moments, &of_features];
            let (of_tokens, pair) = tap.norm.backward(known);
            gradients.add_norm(&name("taps", index, "norm"), pair);
            add(&mut of_taps[tap.depth], of_tokens);
        }
        if let Some(norm) = &self.norm {
            let (of_tokens, pair) =
                norm.backward([&saved.inputs[depth], &saved.moments, &gradient]);
            gradients.add_norm("encoder.norm", pair);
            gradient = of_tokens;
        }
        add(&mut gradient, std::mem::take(&mut of_taps[depth]));
        for (index, inside) in saved.layers.into_iter().enumerate().rev() {
            let (layer, x) = (&self.layers[index], &saved.inputs[index]);
            let sequences = self.sequences(index, shape, seed);
            let inside = inside.unwrap_or_else(|| {
                let (mut again, scratch) = (encoder::Saved::default(), &mut Scratch::allocating());
                layer.forward(x, &sequences, Some(&mut again), scratch, &mut |_| ());
                again
            });
            let by = layer.backward(x, &sequences, &inside, &gradient);
            for (layer, pair) in [
                ("self_attn.in_proj", by.in_proj),
                ("self_attn.out_proj", by.out_proj),
                ("linear1", by.linear1),
                ("linear2", by.linear2),
            ] {
                gradients.add_pair(&name("layers", index, layer), pair);
            }
            gradients.add_norm(&name("layers", index, "norm1"), by.norm1);
            gradients.add_norm(&name("layers", index, "norm2"), by.norm2);
            gradient = by.x;
            add(&mut gradient, std::mem::take(&mut of_taps[index]));
        }
        gradient
    }
}
