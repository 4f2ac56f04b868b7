//! What a network attends to.

use ndarray::{Array2, Array3};

/// Affinity and attention of one image, from [`Network::explain`](super::Network::explain).
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// `[N, N]`: inner products of the encoder's tokens, `Z Zᵀ`.
    pub affinity: Array2<f32>,
    /// One `[heads, N, N]` per graph attention layer; row `i` holds the attention weights of
    /// patch `i`, which sum to one.
    pub attention: Vec<Array3<f32>>,
    /// Rows and columns of the grid of patches; patch `r * cols + c` of the `N`
    /// is at row `r` and column `c`.
    pub grid: (usize, usize),
}
