//! Convolutional layers of a pyramid of grids, forward and backward: what a stem and
//! the stages of a decoder are made of.
//!
//! Grids are channels-last, `[batch, height, width, channels]`. A layer's backward
//! pass is given what its forward pass was, and what that saved.

mod convolve;
mod merge;
mod residual;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::activation::{self, positive};
use crate::dropout::Dropout;

pub use convolve::Convolve;
pub use merge::{Merge, MergeWeights};
pub use residual::{Residual, ResidualSaved, ResidualWeights};

/// Numbers that one task takes.
const BLOCK: usize = 1 << 14;

/// What is positive of `x`.
fn relu(x: &[f32]) -> Vec<f32> {
    let mut rectified = vec![0.0; x.len()];
    (rectified.par_chunks_mut(BLOCK))
        .zip(x.par_chunks(BLOCK))
        .for_each(|(to, x)| positive(x, to));
    rectified
}

/// The gradient by the input of a ReLU, in place of that by its `output`.
///
/// # Panics
/// The slices differ in length.
pub fn relu_backward(output: &[f32], gradient: &mut [f32]) {
    activation::relu_backward(output, &Dropout::off(), gradient);
}
