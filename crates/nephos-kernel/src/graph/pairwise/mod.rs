//! Graph attention over all pairs, a block of rows at a time.
//!
//! Dropout decides for each pair, and so does a bias: then no sum over sorted
//! scores serves, and the time is O(N² d). The memory is not: rows of attention
//! exist for one block at a time, O(N) of them altogether, and dropout has no
//! mask ([`Dropout`](crate::dropout::Dropout)). Without a bias the attention
//! needs no exponential of a pair either: it is a product of two factors of
//! [`order`](super::order).

mod row;
#[cfg(test)]
mod tests;
mod weights;

use rayon::prelude::*;

use super::{Pairs, Shape};
use crate::gemm::{Act, Epilogue, Matrix, Packed, matmul, matmul_unpacked};
use row::{Backward, backward_row};
use weights::Weights;

/// Rows of attention that are held at a time by each thread of the forward pass,
/// and by all of them together in the backward pass.
const ROWS: usize = 64;
const BACKWARD_ROWS: usize = 128;

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
                scratch.resize(2 * rows.len() * n, 0.0);
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

/// Where [`backward`] puts its gradients. All slices are overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// By the features, `[batch, nodes, heads * head]`.
    pub wh: &'a mut [f32],
    /// By `s`, `[batch, heads, nodes]`.
    pub s: &'a mut [f32],
    /// By `t`, `[batch, heads, nodes]`.
    pub t: &'a mut [f32],
    /// By the tokens of the bias, `[batch, nodes, width]`; empty without one.
    pub tokens: &'a mut [f32],
    /// By the scale of the bias.
    pub scale: f32,
}

/// The gradients of [`forward`] without ReLU, from `grad`, the gradient by its
/// output.
///
/// # Shapes
/// - wh, grad: `[batch, nodes, heads * head]`
/// - s, t: `[batch, heads, nodes]`
///
/// # Panics
/// As [`forward`].
#[allow(clippy::too_many_arguments)]
pub fn backward(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    pairs: &Pairs<'_>,
    grad: &[f32],
    by: &mut Gradients<'_>,
) {
    check(shape, wh, s, t, slope, pairs);
    assert_eq!(grad.len(), shape.features(), "gradient of {shape:?}");
    assert_eq!(by.wh.len(), shape.features(), "features of {shape:?}");
    assert_eq!(by.s.len(), shape.scores(), "scores of {shape:?}");
    assert_eq!(by.t.len(), shape.scores(), "scores of {shape:?}");
    let tokens = pairs.bias.map_or(0, |bias| bias.tokens.len());
    assert_eq!(by.tokens.len(), tokens, "tokens of the bias");
    for gradient in [&mut *by.wh, by.t, by.tokens] {
        gradient.fill(0.0);
    }
    let mut by_scale = 0.0;
    for batch in 0..shape.batch {
        let graph = Graph::new(shape, batch, wh, s, t, slope, pairs);
        by_scale += graph.backward(wh, grad, by);
    }
    by.scale = by_scale as f32;
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

    /// Adds this graph's gradients; returns that by the scale.
    fn backward(&self, wh: &[f32], grad: &[f32], by: &mut Gradients<'_>) -> f64 {
        let (shape, n, width) = (&self.shape, self.shape.nodes, self.shape.width());
        let accumulate = Epilogue {
            accumulate: true,
            ..Epilogue::default()
        };
        let packed: Vec<Packed> = (0..shape.heads)
            .map(|head| Packed::new(self.features(wh, head).transposed()))
            .collect();
        let tokens = self.tokens.as_ref().map(|(tokens, _)| Packed::new(*tokens));
        let graph = self.batch * n * width;
        let mut by_scale = 0.0;

        let held = BACKWARD_ROWS.min(n) * n;
        let (mut attention, mut products) = (vec![0.0; held], vec![0.0; held]);
        let biased = if tokens.is_some() { held } else { 0 };
        let (mut cosines, mut by_cosines) = (vec![0.0; biased], vec![0.0; biased]);
        for start in (0..n).step_by(BACKWARD_ROWS) {
            let rows = start..(start + BACKWARD_ROWS).min(n);
            let held = rows.len() * n;
            let (attention, products) = (&mut attention[..held], &mut products[..held]);
            self.cosines(rows.clone(), &mut cosines);
            by_cosines.fill(0.0);
            for head in 0..shape.heads {
                let weights = &self.heads[head];
                let grad = self.features(grad, head).row_range(rows.clone());
                matmul(grad, &packed[head], products, n, &Epilogue::default());
                let scores = (self.batch * shape.heads + head) * n;
                let by_s = &mut by.s[scores..][rows.clone()];
                let biases = (cosines.par_chunks(n).map(Some))
                    .zip(by_cosines.par_chunks_mut(n).map(Some))
                    .chain((0..rows.len()).into_par_iter().map(|_| (None, None)))
                    .take(rows.len());
                by_scale += (attention.par_chunks_mut(n))
                    .zip(products.par_chunks_mut(n))
                    .zip(by_s.par_iter_mut())
                    .zip(biases.collect::<Vec<_>>())
                    .enumerate()
                    .map(
                        |(row, (((attention, products), by_s), (cosines, by_cosines)))| {
                            let i = rows.start + row;
                            weights.row(i, cosines.unwrap_or(&[]), attention);
                            let gradient = backward_row(Backward {
                                dropout: &self.pairs.dropout,
                                pair: self.pair(head, i),
                                s: weights.s(i),
                                t: weights.t(),
                                slope: self.slope,
                                attention,
                                products,
                                cosines,
                                by_cosines,
                            });
                            *by_s = gradient.s;
                            gradient.scale
                        },
                    )
                    .collect::<Vec<f64>>()
                    .iter()
                    .sum::<f64>();
                add_columns(&mut by.t[scores..][..n], products);
                let kept = Matrix::new(attention, rows.len(), n).transposed();
                let by_wh = &mut by.wh[graph + head * shape.head..];
                matmul_unpacked(kept, grad, by_wh, width, &accumulate);
            }
            if let (Some((z, _)), Some(packed), Some(bias)) =
                (&self.tokens, &tokens, &self.pairs.bias)
            {
                by_cosines.par_iter_mut().for_each(|by| *by *= bias.scale);
                let by_cosines = Matrix::new(&by_cosines[..held], rows.len(), n);
                let by_tokens = &mut by.tokens[self.batch * n * bias.width..][..n * bias.width];
                let z = z.row_range(rows.clone());
                matmul_unpacked(
                    by_cosines.transposed(),
                    z,
                    by_tokens,
                    bias.width,
                    &accumulate,
                );
                let by_tokens = &mut by_tokens[rows.start * bias.width..];
                matmul(by_cosines, packed, by_tokens, bias.width, &accumulate);
            }
        }
        by_scale
    }
}

/// Adds all rows of `matrix` to `sums`, in their order.
fn add_columns(sums: &mut [f32], matrix: &[f32]) {
    const COLUMNS: usize = 1024;
    let n = sums.len();
    (sums.par_chunks_mut(COLUMNS).enumerate()).for_each(|(chunk, sums)| {
        for row in matrix.chunks(n) {
            for (sum, x) in sums.iter_mut().zip(&row[chunk * COLUMNS..]) {
                *sum += x;
            }
        }
    });
}

fn check(shape: &Shape, wh: &[f32], s: &[f32], t: &[f32], slope: f64, pairs: &Pairs<'_>) {
    super::sorted::check(shape, wh, s, t, slope);
    if let Some(bias) = pairs.bias {
        let tokens = shape.batch * shape.nodes * bias.width;
        assert_eq!(bias.tokens.len(), tokens, "tokens of {shape:?}");
    }
}
