//! The gradients of graph attention over all pairs.

use rayon::prelude::*;

use super::row::{Row, backward_row};
use super::{Graph, check};
use crate::gemm::{Epilogue, Matrix, Packed, matmul, matmul_unpacked};
use crate::graph::{Pairs, Shape};

/// Rows of attention that exist at a time; all threads work on them together, since
/// each adds to the gradients of all nodes.
const ROWS: usize = 128;

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

/// The gradients of [`forward`](super::forward) without ReLU, from `grad`, the gradient by its
/// output.
///
/// # Shapes
/// - wh, grad: `[batch, nodes, heads * head]`
/// - s, t: `[batch, heads, nodes]`
///
/// # Panics
/// As [`forward`](super::forward).
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

impl Graph<'_> {
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

        let held = ROWS.min(n) * n;
        let (mut attention, mut products) = (vec![0.0; held], vec![0.0; held]);
        let biased = if tokens.is_some() { held } else { 0 };
        let (mut cosines, mut by_cosines) = (vec![0.0; biased], vec![0.0; biased]);
        for start in (0..n).step_by(ROWS) {
            let rows = start..(start + ROWS).min(n);
            let held = rows.len() * n;
            let (attention, products) = (&mut attention[..held], &mut products[..held]);
            self.cosines(rows.clone(), &mut cosines);
            by_cosines.fill(0.0);
            for (head, wh) in packed.iter().enumerate() {
                let weights = &self.heads[head];
                let grad = self.features(grad, head).row_range(rows.clone());
                matmul(grad, wh, products, n, &Epilogue::default());
                let scores = (self.batch * shape.heads + head) * n;
                let by_s = &mut by.s[scores..][rows.clone()];
                // A row without a bias gets empty slices.
                let none = rayon::iter::repeat_n((), rows.len()).map(|()| (&[][..], &mut [][..]));
                let biases = (cosines.par_chunks(n).zip(by_cosines.par_chunks_mut(n)))
                    .chain(none)
                    .take(rows.len());
                by_scale += (attention.par_chunks_mut(n))
                    .zip(products.par_chunks_mut(n))
                    .zip(by_s.par_iter_mut())
                    .zip(biases)
                    .enumerate()
                    .map(
                        |(row, (((attention, products), by_s), (cosines, by_cosines)))| {
                            let i = rows.start + row;
                            weights.row(i, cosines, attention);
                            let gradient = backward_row(Row {
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
