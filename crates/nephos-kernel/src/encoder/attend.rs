//! The attention part of a layer.

use super::{Dropouts, Weights};
use crate::activation::drop;
use crate::attention::{self, Shape};
use crate::gemm::Act;
use crate::sizes::count;

/// What the backward pass of attention needs beside its input.
#[derive(Debug, Clone)]
pub struct AttendSaved {
    /// `[rows, 3 * width]`.
    packed: Vec<f32>,
    /// `[rows, width]`: what the heads saw.
    context: Vec<f32>,
    /// `[batch, heads, tokens]`, as `attention::forward` saves it.
    sums: Vec<f32>,
}

/// `dropout(attention(x))`, `[rows, width]`.
pub(super) fn forward(
    x: &[f32],
    shape: Shape,
    weights: &Weights<'_>,
    dropouts: &Dropouts,
) -> (Vec<f32>, AttendSaved) {
    let mut packed = vec![0.0; 3 * x.len()];
    weights.in_proj.forward(x, Act::None, &mut packed);
    // Queries, keys and values are operands of products.
    weights.in_proj.format.round_in_place(&mut packed);
    let mut context = vec![0.0; x.len()];
    let mut sums = vec![0.0; count([shape.batch, shape.heads, shape.tokens])];
    let (dropout, mut scratch) = (&dropouts.weights, Vec::new());
    attention::forward(
        &packed,
        shape,
        dropout,
        &mut context,
        Some(&mut sums),
        &mut scratch,
    );
    let mut out = vec![0.0; x.len()];
    weights.out_proj.forward(&context, Act::None, &mut out);
    drop(&dropouts.attended, &mut out);
    (
        out,
        AttendSaved {
            packed,
            context,
            sums,
        },
    )
}

/// The gradients by the weight and bias of the input and of the output projection;
/// the gradient by `x` goes to `of_x`, added to what is there if `accumulate`.
#[allow(clippy::too_many_arguments)]
pub(super) fn backward(
    x: &[f32],
    shape: Shape,
    weights: &Weights<'_>,
    dropouts: &Dropouts,
    saved: &AttendSaved,
    mut gradient: Vec<f32>,
    accumulate: bool,
    of_x: &mut [f32],
) -> [[Vec<f32>; 2]; 2] {
    drop(&dropouts.attended, &mut gradient);
    let of_out = weights.out_proj.weights_backward(&saved.context, &gradient);
    let mut of_context = vec![0.0; x.len()];
    weights.out_proj.backward(&gradient, false, &mut of_context);
    let known = [&saved.context[..], &saved.sums, &of_context];
    let mut of_packed = vec![0.0; saved.packed.len()];
    attention::backward(
        &saved.packed,
        shape,
        &dropouts.weights,
        known,
        &mut of_packed,
    );
    let of_in = weights.in_proj.weights_backward(x, &of_packed);
    weights.in_proj.backward(&of_packed, accumulate, of_x);
    [of_in, of_out]
}
