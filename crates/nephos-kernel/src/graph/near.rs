//! Graph attention to the nodes nearby.
//!
//! The graph is not fully connected then: a node attends to those in its
//! [`Reach`]. The queries of a block are the lanes of a vector, as in
//! [`attention`](crate::attention).

use std::cell::RefCell;

use super::{Pairs, Shape};
use crate::attention::tile::{Scalars, Vectors, product, zeros};
use crate::gemm::aligned::Aligned;
use crate::lanes::{Lanes, Level, Work, dispatch, exp2};
use crate::pool::parallel_for;
use crate::reach::{BLOCK, Near, Reach};
use crate::shared::Shared;
use crate::sizes::count;

/// Most queries of a block.
const QUERIES: usize = BLOCK * BLOCK;

thread_local! {
    /// What a block computes with.
    static BUFFER: RefCell<Aligned> = RefCell::default();
}

/// [`pairwise::forward`](super::pairwise::forward) without dropout, of the pairs within reach.
///
/// # Shapes
/// - wh, out: `[batch, nodes, heads * head]`
/// - s, t: `[batch, heads, nodes]`
///
/// # Panics
/// A slice of another length, a grid of another number of nodes, a slope outside [0, 1],
/// dropout.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    shape: &Shape,
    reach: Reach,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    pairs: &Pairs<'_>,
    relu: bool,
    out: &mut [f32],
) {
    let level = Level::best();
    forward_at(level, shape, reach, wh, s, t, slope, pairs, relu, out);
}

#[allow(clippy::too_many_arguments)]
fn forward_at(
    level: Level,
    shape: &Shape,
    reach: Reach,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    pairs: &Pairs<'_>,
    relu: bool,
    out: &mut [f32],
) {
    super::pairwise::check(shape, wh, s, t, slope, pairs);
    assert!(pairs.dropout.is_off(), "dropout needs all pairs");
    assert_eq!(reach.tokens(), shape.nodes, "nodes of {reach:?}");
    assert_eq!(out.len(), shape.features(), "output of {shape:?}");
    let out = Shared::new(out);
    let blocks = reach.blocks();
    parallel_for(count([shape.batch, blocks]), |task| {
        let block = Block {
            shape,
            graph: task / blocks,
            near: reach.near(task % blocks),
            wh,
            s,
            t,
            slope: slope as f32,
            pairs,
            least: if relu { 0.0 } else { f32::NEG_INFINITY },
            out,
        };
        BUFFER.with_borrow_mut(|buffer| dispatch(level, (block, buffer)));
    });
}

/// The queries of one task.
struct Block<'a> {
    shape: &'a Shape,
    graph: usize,
    near: Near,
    wh: &'a [f32],
    s: &'a [f32],
    t: &'a [f32],
    slope: f32,
    pairs: &'a Pairs<'a>,
    /// The least number of the output.
    least: f32,
    out: Shared<'a>,
}

impl Work for (Block<'_>, &mut Aligned) {
    #[inline(always)]
    unsafe fn run<L: Lanes, const ROWS: usize>(self) {
        let (block, buffer) = self;
        let mut queries = [0; QUERIES];
        let mut all = 0;
        for (to, query) in queries.iter_mut().zip(block.near.queries()) {
            *to = query;
            all += 1;
        }
        for queries in queries[..all].chunks(L::COUNT) {
            // SAFETY: the caller's.
            unsafe { block.vector::<L, ROWS>(queries, buffer) };
        }
    }
}

impl Block<'_> {
    /// One vector of queries, at most as many as it has lanes.
    ///
    /// # Safety
    /// As for [`Work::run`].
    #[inline(always)]
    unsafe fn vector<L: Lanes, const R: usize>(&self, queries: &[usize], buffer: &mut Aligned) {
        let Shape {
            nodes, heads, head, ..
        } = *self.shape;
        let (lanes, keys) = (L::COUNT, self.near.keys());
        let z = self.pairs.bias.map_or(0, |bias| bias.width);
        // Query tokens [z, lanes], cosines and scores [keys, lanes].
        buffer.resize(buffer.len().max((z + 2 * keys) * lanes));
        let (query, rest) = buffer.split_at_mut(z * lanes);
        let (cosines, rest) = rest.split_at_mut(keys * lanes);
        let scores = &mut rest[..keys * lanes];
        // SAFETY: keys and queries are nodes of the graph, whose slices were checked.
        unsafe {
            let scale = match &self.pairs.bias {
                Some(bias) => {
                    let tokens = &bias.tokens[self.graph * nodes * z..][..nodes * z];
                    query.fill(0.0);
                    for (lane, node) in queries.iter().enumerate() {
                        let column = query[lane..].iter_mut().step_by(lanes);
                        column
                            .zip(&tokens[node * z..][..z])
                            .for_each(|(to, from)| *to = *from);
                    }
                    self.cosines::<L, R>(tokens, z, query, cosines);
                    bias.scale
                }
                None => {
                    cosines.fill(0.0);
                    0.0
                }
            };
            let (slope, scale) = (L::splat(self.slope), L::splat(scale));
            let log2e = L::splat(std::f32::consts::LOG2_E);
            for of in 0..heads {
                let place = (self.graph * heads + of) * nodes;
                let (s, t) = (&self.s[place..][..nodes], &self.t[place..][..nodes]);
                let mut own = [0.0; QUERIES];
                own.iter_mut()
                    .zip(queries)
                    .for_each(|(own, node)| *own = s[*node]);
                let own = L::load(own.as_ptr());
                let mut highest = L::splat(f32::NEG_INFINITY);
                let mut at = 0;
                for [first, count] in self.near.runs() {
                    for t in &t[first..first + count] {
                        let sum = L::splat(*t).add(own);
                        // A slope of at most 1 makes the LeakyReLU a maximum.
                        let leaky = sum.mul(slope).max(sum);
                        let cosine = L::load(cosines.as_ptr().add(at));
                        let score = cosine.mul_add(scale, leaky);
                        score.store(scores.as_mut_ptr().add(at));
                        highest = score.max(highest);
                        at += lanes;
                    }
                }
                let mut total = L::splat(0.0);
                for row in scores.chunks_exact_mut(lanes) {
                    let score = L::load(row.as_ptr()).sub(highest);
                    let weight = exp2(score.mul(log2e));
                    weight.store(row.as_mut_ptr());
                    total = total.add(weight);
                }
                let mut totals = [0.0; QUERIES];
                total.store(totals.as_mut_ptr());
                let mut feature = 0;
                while feature + R <= head {
                    self.features::<L, R>([of, feature], scores, queries, &totals);
                    feature += R;
                }
                while feature < head {
                    self.features::<L, 1>([of, feature], scores, queries, &totals);
                    feature += 1;
                }
            }
        }
    }

    /// Products of all keys' tokens with those of the queries, `[keys, lanes]`.
    ///
    /// # Safety
    /// As for [`Work::run`]; `query` is `[z, lanes]`, `cosines` have a row for each key, and
    /// `tokens` one of `z` numbers for each node.
    #[inline(always)]
    unsafe fn cosines<L: Lanes, const R: usize>(
        &self,
        tokens: &[f32],
        z: usize,
        query: &[f32],
        cosines: &mut [f32],
    ) {
        let lanes = L::COUNT;
        let by_query = Vectors {
            data: query.as_ptr(),
            stride: lanes,
        };
        let mut row = 0;
        for [first, count] in self.near.runs() {
            let mut key = 0;
            while key < count {
                let rows = &tokens[(first + key) * z..];
                let scalars = Scalars {
                    data: rows.as_ptr(),
                    row_stride: z,
                    step_stride: 1,
                };
                // SAFETY: so many rows of keys are left, in tokens and cosines.
                unsafe {
                    let to = cosines.as_mut_ptr().add(row * lanes);
                    if key + R <= count {
                        let mut tile = zeros::<L, R, 1>();
                        product(z, scalars, by_query, &mut tile);
                        crate::attention::tile::store(tile, to, lanes);
                        key += R;
                        row += R;
                    } else {
                        let mut tile = zeros::<L, 1, 1>();
                        product(z, scalars, by_query, &mut tile);
                        crate::attention::tile::store(tile, to, lanes);
                        key += 1;
                        row += 1;
                    }
                }
            }
        }
    }

    /// `R` features of a head, from its `weights`, `[keys, lanes]`, and their sums.
    ///
    /// # Safety
    /// As for [`Work::run`]; the head has `R` features from `feature` on.
    #[inline(always)]
    unsafe fn features<L: Lanes, const R: usize>(
        &self,
        [of, feature]: [usize; 2],
        weights: &[f32],
        queries: &[usize],
        totals: &[f32; QUERIES],
    ) {
        let (nodes, width, lanes) = (self.shape.nodes, self.shape.width(), L::COUNT);
        let column = of * self.shape.head + feature;
        let mut sums = [[0.0; QUERIES]; R];
        // SAFETY: keys are nodes, and weights have a row for each of them.
        unsafe {
            let mut tile = zeros::<L, R, 1>();
            let mut at = 0;
            for [first, count] in self.near.runs() {
                let values = &self.wh[(self.graph * nodes + first) * width + column..];
                let value = Scalars {
                    data: values.as_ptr(),
                    row_stride: 1,
                    step_stride: width,
                };
                let by_key = Vectors {
                    data: weights.as_ptr().add(at),
                    stride: lanes,
                };
                product(count, value, by_key, &mut tile);
                at += count * lanes;
            }
            for (sums, tile) in sums.iter_mut().zip(tile) {
                tile[0].store(sums.as_mut_ptr());
            }
        }
        for (lane, node) in queries.iter().enumerate() {
            let place = (self.graph * nodes + node) * width + column;
            // SAFETY: this task alone writes the nodes of its block.
            let row = unsafe { self.out.range(place, R) };
            for (to, sums) in row.iter_mut().zip(&sums) {
                *to = (sums[lane] / totals[lane]).max(self.least);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dropout::Dropout;
    use crate::graph::Bias;
    use crate::graph::reference::attention;
    use crate::graph::sorted::tests::{error, numbers, shape};

    #[test]
    fn near_nodes_alone_are_attended_to() {
        for (grid, reach, heads, head, biased) in [
            ([9, 14], 3, 2, 48, true),
            ([5, 6], 0, 3, 5, true),
            ([11, 4], 2, 1, 17, false),
            ([4, 5], 9, 2, 8, true),
        ] {
            let (batch, nodes, z) = (2, grid[0] * grid[1], 13);
            let reach = Reach { grid, reach };
            let shape = shape(batch, nodes, heads, head);
            let wh = numbers(1, shape.features());
            let (s, t) = (numbers(2, shape.scores()), numbers(3, shape.scores()));
            let tokens = numbers(4, batch * nodes * z);
            let bias = biased.then_some(Bias {
                tokens: &tokens,
                width: z,
                scale: 1.5,
            });
            let pairs = Pairs {
                bias,
                dropout: Dropout::off(),
            };
            // Whether a node is in reach of another.
            let mut within = vec![false; nodes * nodes];
            for block in 0..reach.blocks() {
                let near = reach.near(block);
                for i in near.queries() {
                    for [first, count] in near.runs() {
                        within[i * nodes + first..][..count].fill(true);
                    }
                }
            }
            let mut exact = vec![0.0; shape.features()];
            for graph in 0..batch {
                for h in 0..heads {
                    let scores = (graph * heads + h) * nodes;
                    let own = |i: usize| &tokens[(graph * nodes + i) * z..][..z];
                    let attention =
                        attention(&s[scores..][..nodes], &t[scores..][..nodes], 0.2, |i, j| {
                            let dot = own(i).iter().zip(own(j));
                            let dot: f64 = dot.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                            match within[i * nodes + j] {
                                true => f64::from(u8::from(biased)) * 1.5 * dot,
                                false => f64::NEG_INFINITY,
                            }
                        });
                    for i in 0..nodes {
                        for f in 0..head {
                            let place =
                                |node: usize| (graph * nodes + node) * heads * head + h * head + f;
                            let sum: f64 = (0..nodes)
                                .map(|j| attention[i * nodes + j] * f64::from(wh[place(j)]))
                                .sum();
                            exact[place(i)] = sum.max(0.0);
                        }
                    }
                }
            }
            for level in Level::all() {
                let mut out = vec![f32::NAN; shape.features()];
                forward_at(
                    level, &shape, reach, &wh, &s, &t, 0.2, &pairs, true, &mut out,
                );
                let off = error(&out, &exact);
                assert!(off < 1e-5, "{level:?} {grid:?}: off by {off:e}");
            }
        }
    }
}
