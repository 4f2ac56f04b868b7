//! A layer: attention and feed-forward part, each with its norm and residual sum.

use super::{Dropouts, Order};
use crate::activation::{drop, drop_and_add, gelu};
use crate::attention::{self, Shape};
use crate::dropout::Dropout;
use crate::gemm::Act;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::reach::Reach;
use crate::scratch::{Buffer, Scratch};
use crate::sizes::count;
use crate::stage::{Stage, Watch};

/// A layer of `width` features.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// `width` → query, key and value, `3 * width`.
    pub in_proj: Linear<'a>,
    /// `width` → `width`.
    pub out_proj: Linear<'a>,
    /// `width` → hidden.
    pub linear1: Linear<'a>,
    /// hidden → `width`.
    pub linear2: Linear<'a>,
    /// The norm of attention.
    pub norm1: LayerNorm<'a>,
    /// The norm of the feed-forward part.
    pub norm2: LayerNorm<'a>,
    /// Attention heads; they divide `width`.
    pub heads: usize,
    /// The activation of the feed-forward part.
    pub activation: Act,
    /// Where the norms are.
    pub order: Order,
}

/// The sequences of a pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sequences {
    /// Independent sequences.
    pub batch: usize,
    /// Tokens of each.
    pub tokens: usize,
    /// Where tokens attend to those nearby alone, without dropout of attention weights.
    pub reach: Option<Reach>,
    /// What is dropped.
    pub dropouts: Dropouts,
}

/// What the backward pass of a layer needs beside its input; `[rows, width]` where nothing
/// else is said.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// `[rows, 3 * width]`
    pub(super) packed: Buffer,
    pub(super) context: Buffer,
    /// `[batch, heads, tokens]`, as `attention::forward` saves it.
    pub(super) sums: Buffer,
    /// The input plus attention.
    pub(super) middle: Buffer,
    /// The output of the first norm, and its moments, `[rows, 2]`.
    pub(super) normal1: [Buffer; 2],
    /// `[rows, hidden]`: after activation and dropout.
    pub(super) hidden: Buffer,
    /// `[rows, hidden]`: before the activation, where that is GELU.
    pub(super) before: Buffer,
    /// Post-norm: the input of the second norm. Pre-norm: its output.
    pub(super) second: Buffer,
    /// `[rows, 2]`
    pub(super) moments2: Buffer,
}

impl Layer<'_> {
    pub(super) fn shape(&self, sequences: &Sequences) -> Shape {
        Shape {
            batch: sequences.batch,
            tokens: sequences.tokens,
            width: self.norm1.width(),
            heads: self.heads,
        }
    }

    /// The layer's output; `saved` takes what [`Layer::backward`] needs.
    ///
    /// # Shapes
    /// - x, output: `[batch * tokens, width]`
    ///
    /// # Panics
    /// The sizes of input and weights do not fit each other.
    pub fn forward(
        &self,
        x: &[f32],
        sequences: &Sequences,
        mut saved: Option<&mut Saved>,
        scratch: &mut Scratch,
        watch: &mut Watch<'_>,
    ) -> Buffer {
        let (shape, saves) = (self.shape(sequences), saved.is_some());
        let (dropouts, pre) = (&sequences.dropouts, self.order == Order::Pre);
        let numbers = count([shape.batch, shape.tokens, shape.width]);
        assert_eq!(x.len(), numbers, "{shape:?}");
        let [mut normal1, mut normal2]: [[Buffer; 2]; 2] = Default::default();
        if pre {
            normal1 = self.norm1.forward(x, saves, scratch);
            watch(Stage::Norm);
        }
        let mut packed = scratch.take(3 * numbers);
        let input = if pre { &normal1[0] } else { x };
        self.in_proj.forward(input, None, Act::None, &mut packed);
        // Queries, keys and values are operands of products.
        self.in_proj.format().round_in_place(&mut packed);
        watch(Stage::QueryKeyValue);
        if pre && !saves {
            scratch.give(std::mem::take(&mut normal1[0]));
        }
        let mut context = scratch.take(numbers);
        let all = count([shape.batch, shape.heads, shape.tokens]);
        let mut sums = scratch.take(if saves { all } else { 0 });
        let buffer = &mut scratch.attention;
        match sequences.reach {
            Some(reach) => attention::forward_near(&packed, shape, reach, &mut context, buffer),
            None => {
                let sums = saves.then_some(&mut sums[..]);
                let weights = &dropouts.weights;
                attention::forward(&packed, shape, weights, &mut context, sums, buffer);
            }
        }
        watch(Stage::Attention);
        scratch.save_or_give(saved.as_deref_mut().map(|saved| &mut saved.packed), packed);
        let mut middle = scratch.take(numbers);
        residual_sum(&self.out_proj, &context, x, &dropouts.attended, &mut middle);
        watch(Stage::Project);
        scratch.save_or_give(
            saved.as_deref_mut().map(|saved| &mut saved.context),
            context,
        );

        match self.order {
            Order::Pre => normal2 = self.norm2.forward(&middle, saves, scratch),
            Order::Post => {
                normal1 = self.norm1.forward(&middle, saves, scratch);
                if !saves {
                    scratch.give(std::mem::take(&mut middle));
                }
            }
        }
        watch(Stage::Norm);
        let (input, residual) = match self.order {
            Order::Pre => (&normal2[0], &middle),
            Order::Post => (&normal1[0], &normal1[0]),
        };
        let [hidden, before] = self.hidden(input, &dropouts.hidden, saves, scratch);
        let mut out = scratch.take(numbers);
        residual_sum(&self.linear2, &hidden, residual, &dropouts.fed, &mut out);
        watch(Stage::FeedForward);
        scratch.save_or_give(saved.as_deref_mut().map(|saved| &mut saved.hidden), hidden);
        let mut second = std::mem::take(&mut normal2[0]);
        if !pre {
            normal2 = self.norm2.forward(&out, saves, scratch);
            second = std::mem::replace(&mut out, std::mem::take(&mut normal2[0]));
            watch(Stage::Norm);
        }
        let [_, moments2] = normal2;
        match saved {
            Some(saved) => {
                (saved.sums, saved.middle, saved.normal1) = (sums, middle, normal1);
                (saved.before, saved.second, saved.moments2) = (before, second, moments2);
            }
            None => {
                let [normal1, _] = normal1;
                for buffer in [middle, normal1, second] {
                    scratch.give(buffer);
                }
            }
        }
        out
    }

    /// `[rows, hidden]` after activation and dropout, and before them where the backward pass
    /// needs that.
    fn hidden(
        &self,
        x: &[f32],
        dropout: &Dropout,
        saves: bool,
        scratch: &mut Scratch,
    ) -> [Buffer; 2] {
        let numbers = count([x.len() / self.linear1.inputs(), self.linear1.outputs()]);
        let mut hidden = scratch.take(numbers);
        if self.activation == Act::Gelu && saves {
            let mut before = scratch.take(numbers);
            self.linear1.forward(x, None, Act::None, &mut before);
            gelu(&before, dropout, &mut hidden);
            return [hidden, before];
        }
        self.linear1.forward(x, None, self.activation, &mut hidden);
        drop(dropout, &mut hidden);
        [hidden, Buffer::default()]
    }
}

/// `to = dropout(linear(x)) + residual`.
fn residual_sum(
    linear: &Linear<'_>,
    x: &[f32],
    residual: &[f32],
    dropout: &Dropout,
    to: &mut [f32],
) {
    if dropout.is_off() {
        return linear.forward(x, Some(residual), Act::None, to);
    }
    linear.forward(x, None, Act::None, to);
    drop_and_add(dropout, residual, to);
}
