//! Multi-head self-attention (Vaswani et al. 2017) in memory linear in the tokens.
//!
//! Scores exist for one block of queries and one of keys at a time, with a running
//! maximum and sum a query (Milakov & Gimelshein 2018; Dao et al. 2022). The lanes
//! of a vector are queries: maxima, sums and rescaling need no sums across lanes,
//! and every product of both directions is one micro-kernel (`tile`).

mod backward;
mod forward;
mod pack;
#[cfg(test)]
mod reference;
pub(crate) mod tile;

pub use backward::backward;
pub use forward::{forward, forward_near};

use crate::sizes::count;

/// Vectors of queries in a block.
const VECTORS: usize = 3;

/// Keys in a block: a block of scores stays in the first-level cache.
const KEYS: usize = 64;

/// Sizes of a self-attention.
///
/// The packed query, key and value of a token are one row of `3 * width` numbers,
/// as PyTorch's packed `in_proj` gives them: query, then key, then value, each
/// head's features side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Independent sequences.
    pub batch: usize,
    /// Tokens of each.
    pub tokens: usize,
    /// Features of a token, all heads together.
    pub width: usize,
    /// Heads; divides `width`.
    pub heads: usize,
}

impl Shape {
    /// Features of a head.
    fn head(self) -> usize {
        self.width / self.heads
    }

    /// Sequences of all heads.
    fn sequences(self) -> usize {
        count([self.batch, self.heads])
    }

    /// Panics where the sizes do not fit each other or a slice.
    ///
    /// Of a slice: its name, its length, and two numbers whose product is that of its columns.
    fn check(self, slices: &[(&str, usize, [usize; 2])]) {
        assert!(
            self.heads > 0 && self.width.is_multiple_of(self.heads),
            "{} heads divide {}",
            self.heads,
            self.width
        );
        for (name, length, parts) in slices {
            let expected = count([self.batch, self.tokens, parts[0], parts[1]]);
            assert_eq!(*length, expected, "{name} of {self:?} holds {expected}");
        }
    }

    /// The index of the weight of a key and a query in a sequence, for dropout.
    /// Queries lie next to each other; indices past the last query mean nothing.
    pub(crate) fn weight_index(self, sequence: usize, key: usize, query: usize) -> u64 {
        let tokens = self.tokens as u64;
        (sequence as u64 * tokens + key as u64) * tokens + query as u64
    }

    /// The factor of `query · key`, for weights as powers of two.
    fn scale(self) -> f32 {
        (std::f64::consts::LOG2_E / (self.head() as f64).sqrt()) as f32
    }
}

#[cfg(test)]
mod tests;
