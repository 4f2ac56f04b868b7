//! The scores `s_i = a₁ · Wh_i` and `t_j = a₂ · Wh_j` of each head.
//!
//! The published score of a pair, `a · [Wh_i ‖ Wh_j]`, is their sum.

use std::borrow::Cow;

use rayon::prelude::*;

use super::Shape;
use crate::gemm::Act;
use crate::lanes::{Lanes, Level, Work, dispatch};
use crate::linear::Linear;
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::sizes::count;

/// Nodes of a task, and those whose products are added in f32.
const NODES: usize = 128;

/// The vectors `a₁` and `a₂` of each head.
#[derive(Debug, Clone)]
pub struct Scores<'a> {
    /// `[heads, 2 * head]`, `a₁` of each head, then `a₂`
    vectors: Cow<'a, [f32]>,
    heads: usize,
    /// Features to `s` of each head, then to `t`.
    matrix: Linear<'static>,
}

impl<'a> Scores<'a> {
    /// # Shapes
    /// - vectors: `[heads, 2 * head]`, `a₁` of each head, then `a₂`
    ///
    /// # Panics
    /// They have another size.
    pub fn new(vectors: Cow<'a, [f32]>, [heads, head]: [usize; 2]) -> Self {
        assert!(heads > 0 && head > 0, "{heads} heads of {head} features");
        let width = count([heads, head]);
        assert_eq!(vectors.len(), count([2, width]), "vectors of {heads} heads");
        // Row `half * heads + h` holds that half of head h's vector at its features.
        let mut rows = vec![0.0; count([2, heads, width])];
        for (index, half) in vectors.chunks_exact(head).enumerate() {
            let (h, part) = (index / 2, index % 2);
            rows[(part * heads + h) * width + h * head..][..head].copy_from_slice(half);
        }
        Self {
            vectors,
            heads,
            matrix: Linear::packed(&rows, [width, 2 * heads], None),
        }
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// The scores of all nodes.
    ///
    /// # Shapes
    /// - wh: `[batch, nodes, heads * head]`
    /// - s, t: `[batch, heads, nodes]`
    ///
    /// # Panics
    /// A slice of another length.
    pub fn forward(
        &self,
        shape: &Shape,
        wh: &[f32],
        [s, t]: [&mut [f32]; 2],
        scratch: &mut Scratch,
    ) {
        self.check(shape, wh, s, t);
        let (heads, nodes) = (self.heads, shape.nodes);
        let mut scores = scratch.take(count([2, s.len()]));
        self.matrix.forward(wh, None, Act::None, &mut scores);
        for (row, scores) in scores.chunks_exact(2 * heads).enumerate() {
            let (item, node) = (row / nodes, row % nodes);
            for head in 0..heads {
                let place = (item * heads + head) * nodes + node;
                (s[place], t[place]) = (scores[head], scores[heads + head]);
            }
        }
        scratch.give(scores);
    }

    /// The gradients by `wh`, added to `by_wh`, and by the vectors, into `by_score`, from
    /// those by `s` and `t`.
    ///
    /// # Shapes
    /// - wh, by_wh: `[batch, nodes, heads * head]`
    /// - by_score: `[heads, 2 * head]`
    /// - by_s, by_t: `[batch, heads, nodes]`
    ///
    /// # Panics
    /// A slice of another length.
    pub fn backward(
        &self,
        shape: &Shape,
        wh: &[f32],
        [by_s, by_t]: [&[f32]; 2],
        by_wh: &mut [f32],
        by_score: &mut [f32],
    ) {
        self.check(shape, wh, by_s, by_t);
        let score = &self.vectors[..];
        assert_eq!(by_wh.len(), shape.features(), "features of {shape:?}");
        assert_eq!(by_score.len(), score.len(), "scores of {shape:?}");
        let (level, by_wh, pair) = (Level::best(), Shared::new(by_wh), 2 * shape.head);
        let blocks = shape.nodes.div_ceil(NODES);
        // A row of both halves' sums a block.
        let mut sums = vec![0.0; count([shape.batch, shape.heads, blocks, pair])];
        sums.par_chunks_mut(pair)
            .enumerate()
            .for_each(|(task, sums)| {
                let (index, first) = (task / blocks, task % blocks * NODES);
                let (start, halves) = place(shape, score, index);
                for node in first..(first + NODES).min(shape.nodes) {
                    let at = start + node * shape.width();
                    // SAFETY: a task has its own nodes of its own head.
                    let by_row = unsafe { by_wh.range(at, shape.head) };
                    let (row, node) = (&wh[at..][..shape.head], index * shape.nodes + node);
                    let scatter = Scatter {
                        row,
                        halves,
                        by: [by_s[node], by_t[node]],
                        by_row,
                        sums,
                    };
                    dispatch(level, scatter);
                }
            });
        (by_score.chunks_mut(pair).enumerate()).for_each(|(head, by_score)| {
            for (f, by) in by_score.iter_mut().enumerate() {
                let of_head = sums.chunks(pair).enumerate();
                let of_head = of_head.filter(|(task, _)| task / blocks % shape.heads == head);
                *by = of_head.map(|(_, sums)| f64::from(sums[f])).sum::<f64>() as f32;
            }
        });
    }

    fn check(&self, shape: &Shape, wh: &[f32], s: &[f32], t: &[f32]) {
        assert_eq!(shape.heads, self.heads, "heads of {shape:?}");
        assert_eq!(
            self.vectors.len(),
            count([2, shape.width()]),
            "vectors of {shape:?}"
        );
        assert_eq!(wh.len(), shape.features(), "features of {shape:?}");
        assert_eq!(s.len(), shape.scores(), "scores of {shape:?}");
        assert_eq!(t.len(), shape.scores(), "scores of {shape:?}");
    }
}

/// Where a head's features of node 0 start, and both halves of its vector.
fn place<'a>(shape: &Shape, score: &'a [f32], index: usize) -> (usize, [&'a [f32]; 2]) {
    let (batch, head) = (index / shape.heads, index % shape.heads);
    let start = batch * shape.nodes * shape.width() + head * shape.head;
    let (a1, a2) = score[head * 2 * shape.head..][..2 * shape.head].split_at(shape.head);
    (start, [a1, a2])
}

/// One row's share of the gradients.
struct Scatter<'a> {
    row: &'a [f32],
    halves: [&'a [f32]; 2],
    by: [f32; 2],
    by_row: &'a mut [f32],
    /// Of both halves.
    sums: &'a mut [f32],
}

impl Work for Scatter<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const ROWS: usize>(self) {
        let [a1, a2] = self.halves;
        let [by_s, by_t] = self.by;
        let (of_1, of_2) = self.sums.split_at_mut(self.row.len());
        let sums = of_1.iter_mut().zip(of_2);
        let rows = self.row.iter().zip(self.by_row).zip(a1.iter().zip(a2));
        for (((x, by_x), (a1, a2)), (of_1, of_2)) in rows.zip(sums) {
            *by_x += by_s * a1 + by_t * a2;
            *of_1 += by_s * x;
            *of_2 += by_t * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::sorted::tests::{error, numbers, shape};

    #[test]
    fn scores_and_their_gradients_are_sums_of_products() {
        for (batch, nodes, heads, head) in [(1, 1, 1, 1), (2, 5, 3, 7), (1, 129, 2, 33)] {
            let shape = shape(batch, nodes, heads, head);
            let wh = numbers(1, shape.features());
            let score = numbers(2, 2 * shape.width());
            let (mut s, mut t) = (vec![0.0; shape.scores()], vec![0.0; shape.scores()]);
            let scores = Scores::new(score[..].into(), [heads, head]);
            scores.forward(&shape, &wh, [&mut s, &mut t], &mut Scratch::default());
            let (by_s, by_t) = (numbers(3, s.len()), numbers(4, t.len()));
            let before = numbers(5, wh.len());
            let (mut by_wh, mut by_score) = (before.clone(), vec![f32::NAN; score.len()]);
            scores.backward(&shape, &wh, [&by_s, &by_t], &mut by_wh, &mut by_score);

            let (mut exact_s, mut exact_t) = (vec![0.0; s.len()], vec![0.0; t.len()]);
            let mut exact_by_wh: Vec<f64> = before.iter().map(|&x| f64::from(x)).collect();
            let mut exact_by_score = vec![0.0; score.len()];
            for at in 0..wh.len() {
                let (node, f) = (at / shape.width(), at % shape.width());
                let (graph, head) = (node / nodes, f / shape.head);
                let place = (graph * heads + head) * nodes + node % nodes;
                let a1 = head * 2 * shape.head + f % shape.head;
                let a2 = a1 + shape.head;
                let [x, of_1, of_2] = [wh[at], score[a1], score[a2]].map(f64::from);
                let [by_s, by_t] = [by_s[place], by_t[place]].map(f64::from);
                exact_s[place] += x * of_1;
                exact_t[place] += x * of_2;
                exact_by_wh[at] += by_s * of_1 + by_t * of_2;
                exact_by_score[a1] += by_s * x;
                exact_by_score[a2] += by_t * x;
            }
            for (computed, exact) in [
                (s, exact_s),
                (t, exact_t),
                (by_wh, exact_by_wh),
                (by_score, exact_by_score),
            ] {
                let off = error(&computed, &exact);
                assert!(off < 1e-6, "{shape:?}: off by {off:e}");
            }
        }
    }
}
