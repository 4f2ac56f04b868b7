//! A transformer encoder layer (Vaswani et al. 2017) for training: forward with
//! what the backward pass needs, and backward.
//!
//! The layer is PyTorch's `TransformerEncoderLayer`: self-attention and a
//! feed-forward part, each with dropout, a residual sum and a LayerNorm. Attention
//! weights and dropout masks are never stored, the backward pass makes them again.

mod attend;
mod feed;
mod layer;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use attend::AttendSaved;
pub use feed::FeedSaved;
pub use layer::{Gradients, Layer, Saved};

use crate::dropout::Dropout;
use crate::linear::Linear;
use crate::norm::LayerNorm;

/// Where the norms stand.
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

/// The weights of a layer of `width` features.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
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
}
