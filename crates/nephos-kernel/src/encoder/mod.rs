//! A transformer encoder layer (Vaswani et al. 2017) for training: forward with
//! what the backward pass needs, and backward.
//!
//! The layer is PyTorch's `TransformerEncoderLayer`: self-attention and a
//! feed-forward part, each with dropout, a residual sum and a LayerNorm. Attention
//! weights and dropout masks are never stored, the backward pass makes them again.

mod backward;
mod layer;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use backward::Gradients;
pub use layer::{Layer, Saved, Sequences};

use crate::dropout::Dropout;

/// Where the norms are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// After each residual sum.
    Post,
    /// Before each part.
    Pre,
}

/// What each dropout of a layer drops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropouts {
    /// Of attention weights.
    pub weights: Dropout,
    /// After attention.
    pub attended: Dropout,
    /// Inside the feed-forward part.
    pub hidden: Dropout,
    /// After the feed-forward part.
    pub fed: Dropout,
}

impl Dropouts {
    /// Nothing is dropped.
    pub fn off() -> Self {
        Self::new([0; 4], 0.0)
    }

    /// One rate, a key for each place.
    ///
    /// # Panics
    /// `rate` is not in 0 ≤ rate < 1.
    pub fn new(keys: [u64; 4], rate: f32) -> Self {
        let [weights, attended, hidden, fed] = keys.map(|key| Dropout::new(key, rate));
        Self {
            weights,
            attended,
            hidden,
            fed,
        }
    }
}
