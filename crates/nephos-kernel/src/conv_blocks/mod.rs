//! What a stem and the stages of a decoder are made of, forward and backward.
//!
//! Grids are channels-last, `[batch, height, width, channels]`. What a block or a stage puts out
//! is a pre-activation; the consumer applies ReLU ([`Conv::with_input_relu`]). A backward pass is given
//! what the forward pass was, and what that saved.

mod block;
mod conv;
mod merge;
#[cfg(test)]
mod tests;

pub use block::{Block, BlockGradients};
pub use conv::Conv;
pub use merge::{Merge, MergeGradients};
