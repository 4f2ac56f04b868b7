//! Both parts of a layer, with their norms and residual sums.

use super::{AttendSaved, Dropouts, FeedSaved, Order, Weights, attend, feed};
use crate::attention::Shape;
use crate::gemm::Act;
use crate::norm;
use crate::sizes::count;

/// An encoder layer but for its weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layer {
    /// Sizes of the tokens and heads.
    pub shape: Shape,
    /// The activation of the feed-forward part.
    pub activation: Act,
    /// Where the norms stand.
    pub order: Order,
    /// What is dropped.
    pub dropouts: Dropouts,
}

/// What the backward pass of a layer needs beside its input and weights; all but
/// the parts' own are `[rows, width]` or, for moments, `[rows, 2]`.
#[derive(Debug, Clone)]
pub struct Saved {
    attend: AttendSaved,
    feed: FeedSaved,
    /// Post-norm: what attention gave. Pre-norm: the first norm's output.
    first: Vec<f32>,
    first_moments: Vec<f32>,
    /// Post-norm: the first norm's output. Pre-norm: the first residual sum.
    middle: Vec<f32>,
    /// Post-norm: what the feed-forward part gave. Pre-norm: the second norm's output.
    second: Vec<f32>,
    second_moments: Vec<f32>,
}

/// The gradients of a layer; each pair of a linear layer is that of the weight and
/// of the bias, each pair of a norm that of the scale and of the shift.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// By the input, `[rows, width]`.
    pub x: Vec<f32>,
    /// By the packed projection.
    pub in_proj: [Vec<f32>; 2],
    /// By the output projection.
    pub out_proj: [Vec<f32>; 2],
    /// By the first linear layer of the feed-forward part.
    pub linear1: [Vec<f32>; 2],
    /// By the second.
    pub linear2: [Vec<f32>; 2],
    /// By the norm of attention.
    pub norm1: [Vec<f32>; 2],
    /// By the norm of the feed-forward part.
    pub norm2: [Vec<f32>; 2],
}

impl Layer {
    /// The layer's output, and what [`Layer::backward`] needs.
    ///
    /// # Shapes
    /// - x, output: `[batch * tokens, width]`
    ///
    /// # Panics
    /// The sizes of input and weights do not fit each other.
    pub fn forward(&self, x: &[f32], weights: &Weights<'_>) -> (Vec<f32>, Saved) {
        let Self {
            shape,
            activation,
            dropouts,
            ..
        } = self;
        let numbers = count([shape.batch, shape.tokens, shape.width]);
        assert_eq!(x.len(), numbers, "{shape:?}");
        let attend = |x: &[f32]| attend::forward(x, *shape, weights, dropouts);
        let feed = |x: &[f32]| feed::forward(x, *activation, weights, dropouts);
        let norm = |x: &[f32], residual, norm| {
            let mut out = vec![0.0; x.len()];
            let mut moments = vec![0.0; count([2, shape.batch, shape.tokens])];
            norm::forward(x, residual, norm, &mut out, Some(&mut moments));
            (out, moments)
        };
        match self.order {
            Order::Post => {
                let (first, attend) = attend(x);
                let (middle, first_moments) = norm(&first, Some(x), &weights.norm1);
                let (second, feed) = feed(&middle);
                let (out, second_moments) = norm(&second, Some(&middle), &weights.norm2);
                (
                    out,
                    Saved {
                        attend,
                        feed,
                        first,
                        first_moments,
                        middle,
                        second,
                        second_moments,
                    },
                )
            }
            Order::Pre => {
                let (first, first_moments) = norm(x, None, &weights.norm1);
                let (mut middle, attend) = attend(&first);
                add(&mut middle, x);
                let (second, second_moments) = norm(&middle, None, &weights.norm2);
                let (mut out, feed) = feed(&second);
                add(&mut out, &middle);
                (
                    out,
                    Saved {
                        attend,
                        feed,
                        first,
                        first_moments,
                        middle,
                        second,
                        second_moments,
                    },
                )
            }
        }
    }

    /// All gradients, from the gradient by the output; `x` and `weights` are those
    /// of the forward pass that gave `saved`.
    ///
    /// # Shapes
    /// - x, gradient: `[batch * tokens, width]`
    ///
    /// # Panics
    /// The sizes do not fit each other.
    pub fn backward(
        &self,
        x: &[f32],
        weights: &Weights<'_>,
        saved: &Saved,
        gradient: &[f32],
    ) -> Gradients {
        let Self {
            shape,
            activation,
            dropouts,
            ..
        } = self;
        let attend = |x: &[f32], gradient: Vec<f32>, accumulate, of_x: &mut [f32]| {
            let saved = &saved.attend;
            attend::backward(
                x, *shape, weights, dropouts, saved, gradient, accumulate, of_x,
            )
        };
        let feed = |x: &[f32], gradient: Vec<f32>, accumulate, of_x: &mut [f32]| {
            let saved = &saved.feed;
            feed::backward(
                x,
                *activation,
                weights,
                dropouts,
                saved,
                gradient,
                accumulate,
                of_x,
            )
        };
        let norm = |known: [&[f32]; 3], residual: Option<&[f32]>, norm: &norm::LayerNorm<'_>| {
            let mut of_sum = vec![0.0; known[0].len()];
            let [mut scale, mut shift] = [0; 2].map(|_| vec![0.0; norm.scale.len()]);
            let weights = [&mut scale[..], &mut shift];
            norm::backward(known, residual, norm, &mut of_sum, weights, &mut Vec::new());
            (of_sum, [scale, shift])
        };
        let Saved {
            first,
            first_moments,
            middle,
            second,
            second_moments,
            ..
        } = saved;
        match self.order {
            Order::Post => {
                let known = [&second[..], second_moments, gradient];
                let (of_second, norm2) = norm(known, Some(middle), &weights.norm2);
                // By the first norm's output: the residual's and the part's.
                let mut of_middle = of_second.clone();
                let [linear1, linear2] = feed(middle, of_second, true, &mut of_middle);
                let known = [&first[..], first_moments, &of_middle];
                let (of_first, norm1) = norm(known, Some(x), &weights.norm1);
                let mut x_gradient = of_first.clone();
                let [in_proj, out_proj] = attend(x, of_first, true, &mut x_gradient);
                Gradients {
                    x: x_gradient,
                    in_proj,
                    out_proj,
                    linear1,
                    linear2,
                    norm1,
                    norm2,
                }
            }
            Order::Pre => {
                let mut of_normal = vec![0.0; x.len()];
                let [linear1, linear2] = feed(second, gradient.to_vec(), false, &mut of_normal);
                let known = [&middle[..], second_moments, &of_normal];
                let (mut of_middle, norm2) = norm(known, None, &weights.norm2);
                add(&mut of_middle, gradient);
                let [in_proj, out_proj] = attend(first, of_middle.clone(), false, &mut of_normal);
                let (mut of_x, norm1) = norm([x, first_moments, &of_normal], None, &weights.norm1);
                add(&mut of_x, &of_middle);
                Gradients {
                    x: of_x,
                    in_proj,
                    out_proj,
                    linear1,
                    linear2,
                    norm1,
                    norm2,
                }
            }
        }
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
