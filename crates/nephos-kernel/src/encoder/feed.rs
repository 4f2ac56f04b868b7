//! The feed-forward part of a layer.

use super::{Dropouts, Weights};
use crate::activation::{drop, gelu, gelu_backward, relu_backward};
use crate::gemm::Act;
use crate::sizes::count;

/// What the backward pass of the feed-forward part needs beside its input.
#[derive(Debug, Clone)]
pub struct FeedSaved {
    /// `[rows, hidden]`: after activation and dropout.
    hidden: Vec<f32>,
    /// `[rows, hidden]`: before the activation, where that is GELU.
    before: Option<Vec<f32>>,
}

/// `dropout(linear2(dropout(activation(linear1(x)))))`, `[rows, width]`.
pub(super) fn forward(
    x: &[f32],
    activation: Act,
    weights: &Weights<'_>,
    dropouts: &Dropouts,
) -> (Vec<f32>, FeedSaved) {
    let rows = x.len() / weights.linear1.inputs();
    let numbers = count([rows, weights.linear1.outputs()]);
    let mut hidden = vec![0.0; numbers];
    let before = if activation == Act::Gelu {
        let mut before = vec![0.0; numbers];
        weights.linear1.forward(x, Act::None, &mut before);
        gelu(&before, &dropouts.hidden, &mut hidden);
        Some(before)
    } else {
        weights.linear1.forward(x, activation, &mut hidden);
        drop(&dropouts.hidden, &mut hidden);
        None
    };
    let mut out = vec![0.0; x.len()];
    weights.linear2.forward(&hidden, Act::None, &mut out);
    drop(&dropouts.fed, &mut out);
    (out, FeedSaved { hidden, before })
}

/// The gradients by the weight and bias of both linear layers; the gradient by `x`
/// goes to `of_x`, added to what is there if `accumulate`.
#[allow(clippy::too_many_arguments)]
pub(super) fn backward(
    x: &[f32],
    activation: Act,
    weights: &Weights<'_>,
    dropouts: &Dropouts,
    saved: &FeedSaved,
    mut gradient: Vec<f32>,
    accumulate: bool,
    of_x: &mut [f32],
) -> [[Vec<f32>; 2]; 2] {
    drop(&dropouts.fed, &mut gradient);
    let of_second = weights.linear2.weights_backward(&saved.hidden, &gradient);
    let mut of_hidden = vec![0.0; saved.hidden.len()];
    weights.linear2.backward(&gradient, false, &mut of_hidden);
    match (activation, &saved.before) {
        (Act::Gelu, Some(before)) => gelu_backward(before, &dropouts.hidden, &mut of_hidden),
        (Act::Relu, _) => relu_backward(&saved.hidden, &dropouts.hidden, &mut of_hidden),
        _ => drop(&dropouts.hidden, &mut of_hidden),
    }
    let of_first = weights.linear1.weights_backward(x, &of_hidden);
    weights.linear1.backward(&of_hidden, accumulate, of_x);
    [of_first, of_second]
}
