//! The transformer encoder.

use nephos_kernel::attention::{self, Shape as Attention};
use nephos_kernel::dropout::Dropout;
use nephos_kernel::gemm::Act;
use rayon::prelude::*;

use super::linear::{Linear, Norm};
use super::packed::{Shape, Stage, room};
use super::weights::Weights;
use crate::config::{Activation, ModelConfig, NormOrder};

/// The layers, and the norm after the last.
#[derive(Debug)]
pub(super) struct Encoder {
    layers: Vec<Layer>,
    norm: Option<Norm>,
    taps: Vec<Tap>,
    width: usize,
    heads: usize,
    feed_forward: usize,
    order: NormOrder,
    activation: Act,
}

/// Tokens after some layers, normalised and projected, that are added to the output.
#[derive(Debug)]
struct Tap {
    norm: Norm,
    project: Linear,
    /// Layers before it.
    depth: usize,
}

#[derive(Debug)]
struct Layer {
    in_proj: Linear,
    out_proj: Linear,
    linear1: Linear,
    linear2: Linear,
    norm1: Norm,
    norm2: Norm,
}

/// What the layers compute with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[rows, width]`: a sum, a norm, the context of attention.
    sum: Vec<f32>,
    normal: Vec<f32>,
    /// `[rows, 3 * width]`, and for attention.
    packed: Vec<f32>,
    attention: Vec<f32>,
    /// `[rows, width]`: what the taps took.
    taken: Vec<f32>,
}

impl Encoder {
    pub fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Self> {
        let (encoder, width) = (&config.encoder, config.patch.width);
        let name = "block12.transformer.encoder";
        let (hidden, epsilon) = (encoder.feed_forward, encoder.norm_eps);
        let layer = |index: usize| {
            let part = |part: &str| format!("{name}.layers.{index}.{part}");
            let mut linear =
                |name: &str, inputs, outputs| Linear::take(weights, &part(name), [inputs, outputs]);
            let (in_proj, out_proj) = (
                linear("self_attn.in_proj_", width, 3 * width)?,
                linear("self_attn.out_proj.", width, width)?,
            );
            let (linear1, linear2) = (
                linear("linear1.", width, hidden)?,
                linear("linear2.", hidden, width)?,
            );
            Some(Layer {
                in_proj,
                out_proj,
                linear1,
                linear2,
                norm1: Norm::take(weights, &part("norm1."), width, epsilon)?,
                norm2: Norm::take(weights, &part("norm2."), width, epsilon)?,
            })
        };
        let layers = (0..encoder.depth).map(layer).collect::<Option<_>>()?;
        let norm = match encoder.final_norm {
            true => Some(Norm::take(
                weights,
                &format!("{name}.norm."),
                width,
                epsilon,
            )?),
            false => None,
        };
        let tap = |(index, &depth): (usize, &usize)| {
            let part = |part: &str| format!("{name}.taps.{index}.{part}");
            Some(Tap {
                norm: Norm::take(weights, &part("norm."), width, epsilon)?,
                project: Linear::take(weights, &part("W."), [width, width])?,
                depth,
            })
        };
        let taps = (encoder.taps.iter().enumerate()).map(tap);
        let taps = taps.collect::<Option<_>>()?;
        Some(Self {
            layers,
            norm,
            taps,
            width,
            heads: encoder.heads,
            feed_forward: hidden,
            order: encoder.norm,
            activation: match encoder.activation {
                Activation::Relu => Act::Relu,
                Activation::Gelu => Act::Gelu,
            },
        })
    }

    /// Applies all layers in order to `x`, `[rows, width]`, in place.
    pub fn forward(
        &self,
        x: &mut Vec<f32>,
        shape: Shape,
        scratch: &mut Scratch,
        hidden: &mut Vec<f32>,
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        let rows = shape.rows();
        scratch.sum.resize(rows * self.width, 0.0);
        scratch.normal.resize(rows * self.width, 0.0);
        scratch.packed.resize(rows * 3 * self.width, 0.0);
        scratch.taken.resize(rows * self.width, 0.0);
        let hidden = room(hidden, rows * self.feed_forward);
        let mut taken = 0;
        for (depth, layer) in self.layers.iter().enumerate() {
            taken += self.tap(depth, x, scratch, taken > 0, watch);
            match self.order {
                NormOrder::Post => {
                    self.attend(layer, x, None, shape, scratch, watch);
                    std::mem::swap(x, &mut scratch.sum);
                    layer.norm1.in_place(x);
                    watch(Stage::Norm);
                    self.feed(layer, x, None, scratch, hidden, watch);
                    std::mem::swap(x, &mut scratch.sum);
                    layer.norm2.in_place(x);
                    watch(Stage::Norm);
                }
                NormOrder::Pre => {
                    self.attend(layer, x, Some(&layer.norm1), shape, scratch, watch);
                    std::mem::swap(x, &mut scratch.sum);
                    self.feed(layer, x, Some(&layer.norm2), scratch, hidden, watch);
                    std::mem::swap(x, &mut scratch.sum);
                }
            }
        }
        taken += self.tap(self.layers.len(), x, scratch, taken > 0, watch);
        if let Some(norm) = &self.norm {
            norm.in_place(x);
            watch(Stage::Norm);
        }
        if taken > 0 {
            (x.par_chunks_mut(self.width))
                .zip(scratch.taken.par_chunks(self.width))
                .with_min_len(64)
                .for_each(|(x, taken)| x.iter_mut().zip(taken).for_each(|(x, taken)| *x += taken));
        }
    }

    /// Adds what the taps after `depth` layers take to what is taken, if `any` is;
    /// returns how many there are.
    fn tap(
        &self,
        depth: usize,
        x: &[f32],
        scratch: &mut Scratch,
        mut any: bool,
        watch: &mut (dyn FnMut(Stage) + Send),
    ) -> usize {
        let Scratch {
            normal, sum, taken, ..
        } = scratch;
        let mut count = 0;
        for tap in self.taps.iter().filter(|tap| tap.depth == depth) {
            tap.norm.forward(x, normal);
            let before = any.then_some(&**taken);
            tap.project.forward(normal, before, Act::None, sum);
            std::mem::swap(taken, sum);
            any = true;
            count += 1;
            watch(Stage::Project);
        }
        count
    }

    /// `sum = x + attention(norm(x))`.
    fn attend(
        &self,
        layer: &Layer,
        x: &[f32],
        norm: Option<&Norm>,
        shape: Shape,
        scratch: &mut Scratch,
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        let input = match norm {
            Some(norm) => {
                norm.forward(x, &mut scratch.normal);
                watch(Stage::Norm);
                &scratch.normal
            }
            None => x,
        };
        (layer.in_proj).forward(input, None, Act::None, &mut scratch.packed);
        watch(Stage::QueryKeyValue);
        let attention = Attention {
            batch: shape.batch,
            tokens: shape.tokens(),
            width: self.width,
            heads: self.heads,
        };
        let Scratch {
            packed,
            normal,
            attention: buffer,
            ..
        } = scratch;
        match shape.near() {
            None => attention::forward(packed, attention, &Dropout::off(), normal, None, buffer),
            Some(reach) => attention::forward_near(packed, attention, reach, normal, buffer),
        }
        watch(Stage::Attention);
        (layer.out_proj).forward(&scratch.normal, Some(x), Act::None, &mut scratch.sum);
        watch(Stage::Project);
    }

    /// `sum = x + feed_forward(norm(x))`.
    fn feed(
        &self,
        layer: &Layer,
        x: &[f32],
        norm: Option<&Norm>,
        scratch: &mut Scratch,
        hidden: &mut [f32],
        watch: &mut (dyn FnMut(Stage) + Send),
    ) {
        let input = match norm {
            Some(norm) => {
                norm.forward(x, &mut scratch.normal);
                watch(Stage::Norm);
                &scratch.normal
            }
            None => x,
        };
        (layer.linear1).forward(input, None, self.activation, hidden);
        (layer.linear2).forward(hidden, Some(x), Act::None, &mut scratch.sum);
        watch(Stage::FeedForward);
    }
}
