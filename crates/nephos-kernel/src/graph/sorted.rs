//! Exact graph attention in O(N log N + N d) time and O(N) memory besides its
//! inputs and output.
//!
//! The factors of `order` make the sum of a row over all nodes
//! `plus_i Σ_{s_i + t_j > 0} plus_j Wh_j + minus_i Σ_{s_i + t_j ≤ 0} minus_j Wh_j`:
//! a suffix and a prefix of the nodes by ascending `t`, cut where `-s_i` falls.
//! The gradient by `Wh_j` is the same sum with rows and nodes exchanged. Where a
//! score is exactly 0 the LeakyReLU has the slope of its negative side.
//!
//! Infinite scores give the limit, as in [`reference`](mod@super::reference); a
//! `t` of -∞ with a slope above 0 hides a node. `s_i = ∞` with `max t = -∞`, or
//! the other way round, has no limit and gives NaN.

use rayon::prelude::*;

use super::Shape;
use super::order::Order;
use super::scan::{Rows, scan};
use super::sink::{Combine, Dots};
use crate::lanes::Level;
use crate::shared::Shared;

/// `out_i = Σ_j softmax_j(LeakyReLU(s_i + t_j)) wh_j`, then ReLU where asked for.
///
/// `slope` is that of the LeakyReLU below 0, in [0, 1]. The error against f64 is
/// some 10⁻⁷ of the largest output, for any number of nodes.
///
/// # Shapes
/// - wh, out: `[batch, nodes, heads * head]`
/// - s, t: `[batch, heads, nodes]`
///
/// # Panics
/// A slice of another length, a slope outside [0, 1], 2³² nodes or more.
pub fn forward(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    relu: bool,
    out: &mut [f32],
) {
    check(shape, wh, s, t, slope);
    assert_eq!(out.len(), shape.features(), "output of {shape:?}");
    let (out, level) = (Shared::new(out), Level::best());
    places(shape).for_each(|place| {
        let order = Order::new(place.scores(s), place.scores(t), slope);
        let sink = Combine::new(&order.rows, out, place.stride(), place.offset(), relu);
        scan(&order.nodes, place.rows(wh), &order.rows, level, &sink);
    });
}

/// The gradients of [`forward`] without ReLU, into `by_wh`, `by_s` and `by_t`,
/// from `grad`, the gradient by its output.
///
/// With the ReLU, `grad` is zero wherever the output is.
///
/// # Shapes
/// - wh, grad, by_wh: `[batch, nodes, heads * head]`
/// - s, t, by_s, by_t: `[batch, heads, nodes]`
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
    grad: &[f32],
    by_wh: &mut [f32],
    by_s: &mut [f32],
    by_t: &mut [f32],
) {
    check(shape, wh, s, t, slope);
    assert_eq!(grad.len(), shape.features(), "gradient of {shape:?}");
    assert_eq!(by_wh.len(), shape.features(), "features of {shape:?}");
    assert_eq!(by_s.len(), shape.scores(), "scores of {shape:?}");
    assert_eq!(by_t.len(), shape.scores(), "scores of {shape:?}");
    let (by_wh, level) = (Shared::new(by_wh), Level::best());
    let scores =
        (by_s.par_chunks_mut(shape.nodes.max(1))).zip(by_t.par_chunks_mut(shape.nodes.max(1)));
    places(shape).zip(scores).for_each(|(place, (by_s, by_t))| {
        let order = Order::new(place.scores(s), place.scores(t), slope);
        let (wh, grad) = (place.rows(wh), place.rows(grad));
        let mut dots = vec![[0.0; 2]; shape.nodes];
        let sink = Dots::new(&order.rows, grad, &mut dots);
        scan(&order.nodes, wh, &order.rows, level, &sink);
        let along = by_rows(&order, slope, &dots, by_s);

        // The same with rows and nodes exchanged.
        dots.fill([0.0; 2]);
        let combine = Combine::new(&order.nodes, by_wh, place.stride(), place.offset(), false);
        let sink = (combine, Dots::new(&order.nodes, wh, &mut dots));
        scan(&order.rows, grad, &order.nodes, level, &sink);
        by_nodes(&order, slope, &dots, &along, by_t);
    });
}

/// The gradient by `s`, from `dots`, for each row `G_i · P_i` and `G_i · M_i`,
/// the products of its gradient with its unscaled sums. Returns `G_i · h'_i`,
/// what a change common to all scores of a row would do.
fn by_rows(order: &Order, slope: f64, dots: &[[f64; 2]], by_s: &mut [f32]) -> Vec<f64> {
    let rows = &order.rows;
    (rows.order.iter().enumerate())
        .map(|(rank, &i)| {
            let plus = f64::from(rows.plus[rank]) * dots[rank][0];
            let minus = f64::from(rows.minus[rank]) * dots[rank][1];
            let [above, below] = order.shares[rank].map(f64::from);
            by_s[i as usize] = ((1.0 - slope) * (below * plus - above * minus)) as f32;
            plus + minus
        })
        .collect()
}

/// The gradient by `t`, from `dots`, for each node the products of its features
/// with the sums of `plus_i G_i` and `minus_i G_i`, and from `along`, what
/// [`by_rows`] returned.
fn by_nodes(order: &Order, slope: f64, dots: &[[f64; 2]], along: &[f64], by_t: &mut [f32]) {
    let (rows, nodes) = (&order.rows, &order.nodes);
    let mut plus = vec![0.0; along.len()];
    let (mut at, mut sum) = (along.len(), 0.0);
    for (rank, plus) in plus.iter_mut().enumerate() {
        while at > nodes.split[rank] as usize {
            at -= 1;
            sum += f64::from(rows.plus[at]) * along[at];
        }
        *plus = f64::from(nodes.plus[rank]) * (dots[rank][0] - sum);
    }
    let (mut at, mut sum) = (0, 0.0);
    for (rank, plus) in plus.iter().enumerate().rev() {
        while at < nodes.split[rank] as usize {
            sum += f64::from(rows.minus[at]) * along[at];
            at += 1;
        }
        let minus = f64::from(nodes.minus[rank]) * (dots[rank][1] - sum);
        by_t[nodes.order[rank] as usize] = (plus + slope * minus) as f32;
    }
}

/// One head of one graph.
#[derive(Clone, Copy)]
struct Place {
    shape: Shape,
    batch: usize,
    head: usize,
}

/// All heads of all graphs, in the order of the scores.
fn places(shape: &Shape) -> impl IndexedParallelIterator<Item = Place> {
    let shape = *shape;
    (0..shape.batch * shape.heads)
        .into_par_iter()
        .map(move |index| Place {
            shape,
            batch: index / shape.heads,
            head: index % shape.heads,
        })
}

impl Place {
    fn scores<'a>(&self, scores: &'a [f32]) -> &'a [f32] {
        let at = self.batch * self.shape.heads + self.head;
        &scores[at * self.shape.nodes..][..self.shape.nodes]
    }

    fn rows<'a>(&self, features: &'a [f32]) -> Rows<'a> {
        let graph = self.shape.nodes * self.stride();
        let features = &features[self.batch * graph..][..graph];
        Rows::new(
            features,
            self.shape.nodes,
            self.stride(),
            self.head * self.shape.head,
            self.shape.head,
        )
    }

    /// Distance of the features of two nodes.
    fn stride(&self) -> usize {
        self.shape.width()
    }

    /// Place of the first node's features.
    fn offset(&self) -> usize {
        self.batch * self.shape.nodes * self.stride() + self.head * self.shape.head
    }
}

pub(super) fn check(shape: &Shape, wh: &[f32], s: &[f32], t: &[f32], slope: f64) {
    assert!(shape.heads > 0 && shape.head > 0, "features in {shape:?}");
    assert_eq!(wh.len(), shape.features(), "features of {shape:?}");
    assert_eq!(s.len(), shape.scores(), "scores of {shape:?}");
    assert_eq!(t.len(), shape.scores(), "scores of {shape:?}");
    assert!((0.0..=1.0).contains(&slope), "a slope in [0, 1]");
}

#[cfg(test)]
pub(super) mod tests;
