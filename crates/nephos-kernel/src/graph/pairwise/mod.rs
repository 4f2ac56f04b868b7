//! Graph attention over all pairs, a block of rows at a time.
//!
//! Dropout decides for each pair, and so does a bias: then no sum over sorted
//! scores serves, and the time is O(N² d). The memory is not: rows of attention
//! exist for one block at a time, O(N) of them altogether, and dropout has no
//! mask ([`Dropout`](crate::dropout::Dropout)). Without a bias the attention
//! needs no exponential of a pair either: it is a product of two factors of
//! `order`.

mod backward;
mod row;
#[cfg(test)]
mod tests;
mod weights;

use rayon::prelude::*;

use super::{Pairs, Shape};
use crate::gemm::{Act, Epilogue, Matrix, Packed, matmul};
use crate::sizes::count;
use weights::Weights;

pub use backward::{Gradients, backward};

/// Rows of attention that each thread holds at a time.
const ROWS: usize = 64;

/// `out_i = Σ_j dropout(softmax_j(LeakyReLU(s_i + t_j) + bias_ij)) wh_j`, then ReLU
/// where asked for.
///
/// `slope` is that of the LeakyReLU below 0, in [0, 1]. With a bias, scores are
/// finite.
///
/// # Shapes
/// - wh, out: `[batch, nodes, heads * head]`
/// - s, t: `[batch, heads, nodes]`
///
/// # Panics
/// A slice of another length, a slope outside [0, 1].
#[allow(clippy::too_many_arguments)]
pub fn forward(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    pairs: &Pairs<'_>,
    relu: bool,
    out: &mut [f32],
) {
    check(shape, wh, s, t, slope, pairs);
    assert_eq!(out.len(), shape.features(), "output of {shape:?}");
    let (n, width) = (shape.nodes, shape.width());
    if n == 0 {
        return;
    }
    let epilogue = Epilogue {
        activation: if relu { Act::Relu } else { Act::None },
        ..Epilogue::default()
    };
    for (batch, out) in out.chunks_mut(n * width).enumerate() {
        let graph = Graph::new(shape, batch, wh, s, t, slope, pairs);
        let wh: Vec<Packed> = (0..shape.heads)
            .map(|head| Packed::new(graph.features(wh, head)))
            .collect();
        out.par_chunks_mut(ROWS * width).enumerate().for_each_init(
            Vec::new,
            |scratch, (block, out)| {
                let rows = block * ROWS..(block * ROWS + out.len() / width);
                scratch.resize(count([2, rows.len(), n]), 0.0);
                let (attention, cosines) = scratch.split_at_mut(rows.len() * n);
                graph.cosines(rows.clone(), cosines);
                for (head, wh) in wh.iter().enumerate() {
                    for (row, i) in rows.clone().enumerate() {
                        let attention = &mut attention[row * n..][..n];
                        graph.heads[head].row(i, &cosines[row * n..][..n], attention);
                        pairs.dropout.apply(graph.pair(head, i), attention);
                    }
                    let attention = Matrix::new(attention, rows.len(), n);
                    matmul(
                        attention,
                        wh,
                        &mut out[head * shape.head..],
                        width,
                        &epilogue,
                    );
                }
            },
        );
    }
}

/// One graph of a batch.
struct Graph<'a> {
    shape: Shape,
    batch: usize,
    slope: f32,
    pairs: &'a Pairs<'a>,
    heads: Vec<Weights<'a>>,
    /// `z` of the bias, and `zᵀ` packed.
    tokens: Option<(Matrix<'a>, Packed)>,
}

impl<'a> Graph<'a> {
    fn new(
        shape: &Shape,
        batch: usize,
        wh: &[f32],
        s: &'a [f32],
        t: &'a [f32],
        slope: f64,
        pairs: &'a Pairs<'a>,
    ) -> Self {
        debug_assert_eq!(wh.len(), shape.features());
        let n = shape.nodes;
        let scores = |scores: &'a [f32], head| &scores[(batch * shape.heads + head) * n..][..n];
        Self {
            shape: *shape,
            batch,
            slope: slope as f32,
            pairs,
            heads: (0..shape.heads)
                .map(|head| {
                    let scale = pairs.bias.map(|bias| bias.scale);
                    Weights::new(scores(s, head), scores(t, head), slope, scale)
                })
                .collect(),
            tokens: pairs.bias.map(|bias| {
                let tokens = &bias.tokens[batch * n * bias.width..][..n * bias.width];
                let tokens = Matrix::new(tokens, n, bias.width);
                (tokens, Packed::new(tokens.transposed()))
            }),
        }
    }

    /// Features of one head, `[nodes, head]`, out of those of all graphs.
    fn features<'b>(&self, all: &'b [f32], head: usize) -> Matrix<'b> {
        let (shape, width) = (&self.shape, self.shape.width());
        let graph = &all[self.batch * shape.nodes * width..][..shape.nodes * width];
        let graph = &graph[head * shape.head..];
        Matrix::strided(graph, [shape.nodes, shape.head], [width, 1])
    }

    /// The number of the pair `(i, 0)`.
    fn pair(&self, head: usize, i: usize) -> u64 {
        let row = (self.batch * self.shape.heads + head) * self.shape.nodes + i;
        (row * self.shape.nodes) as u64
    }

    /// `z_i · z_j` of some rows, `[rows, nodes]`; without a bias nothing happens.
    fn cosines(&self, rows: std::ops::Range<usize>, out: &mut [f32]) {
        if let Some((tokens, transposed)) = &self.tokens {
            let rows = tokens.row_range(rows);
            matmul(
                rows,
                transposed,
                out,
                self.shape.nodes,
                &Epilogue::default(),
            );
        }
    }
}

pub(super) fn check(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    pairs: &Pairs<'_>,
) {
    super::sorted::check(shape, wh, s, t, slope);
    if let Some(bias) = pairs.bias {
        let tokens = count([shape.batch, shape.nodes, bias.width]);
        assert_eq!(bias.tokens.len(), tokens, "tokens of {shape:?}");
    }
}
