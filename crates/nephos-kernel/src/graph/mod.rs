//! Graph attention over the fully connected graph, without its `N × N` matrix.
//!
//! A layer of graph attention (Veličković et al. 2018,
//! doi:10.48550/arXiv.1710.10903) whose every node sees every node is
//!
//! `h'_i = Σ_j softmax_j(LeakyReLU(s_i + t_j)) Wh_j`.
//!
//! - [`sorted`]: exactly that in O(N log N + N d) time, by sorting the scores;
//! - [`pairwise`]: all pairs, a block of rows at a time, for what no sum over
//!   sorted scores can give: dropout on the attention, and a bias for each pair;
//! - [`near`]: the pairs within reach of each other on a grid alone;
//! - [`scores`]: `s` and `t` out of the features;
//! - [`layer`]: all of a layer, the projection to its features included;
//! - [`reference`](mod@reference): the formula itself, in f64.

pub mod layer;
pub mod near;
mod order;
pub mod pairwise;
pub mod reference;
mod scan;
pub mod scores;
mod sink;
pub mod sorted;
mod strip;

use crate::dropout::Dropout;
use crate::sizes::count;

/// The sizes of a layer of graph attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Independent graphs.
    pub batch: usize,
    /// Nodes of a graph, `N`.
    pub nodes: usize,
    /// Attention heads, each with scores of its own.
    pub heads: usize,
    /// Features of one head.
    pub head: usize,
}

impl Shape {
    /// Elements of the features, `[batch, nodes, heads * head]`.
    ///
    /// # Panics
    /// They do not fit a `usize`.
    pub fn features(&self) -> usize {
        count([self.batch, self.nodes, self.heads, self.head])
    }

    /// Elements of one kind of score, `[batch, heads, nodes]`.
    ///
    /// # Panics
    /// They do not fit a `usize`.
    pub fn scores(&self) -> usize {
        count([self.batch, self.heads, self.nodes])
    }

    /// Features of a node, all heads together.
    ///
    /// # Panics
    /// They do not fit a `usize`.
    pub fn width(&self) -> usize {
        count([self.heads, self.head])
    }
}

/// What makes a pair of nodes more than the sum of its scores.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// Added to the scores.
    pub bias: Option<Bias<'a>>,
    /// On the attention; pair `(i, j)` of a head is element
    /// `((batch * heads + head) * nodes + i) * nodes + j`.
    pub dropout: Dropout,
}

/// An affinity of pairs: `scale * z_i · z_j`, the same for all heads.
#[derive(Debug, Clone, Copy)]
pub struct Bias<'a> {
    /// `z`, `[batch, nodes, width]`; of length one for cosines.
    pub tokens: &'a [f32],
    /// Numbers of a token.
    pub width: usize,
    /// What products are multiplied by.
    pub scale: f32,
}

impl Pairs<'_> {
    /// Neither bias nor dropout.
    pub fn plain() -> Self {
        Self {
            bias: None,
            dropout: Dropout::off(),
        }
    }

    /// Whether there is neither.
    pub fn is_plain(&self) -> bool {
        self.bias.is_none() && self.dropout.is_off()
    }
}
