//! Outputs of attention.

use std::cell::RefCell;

use rayon::prelude::*;

use super::pack::{Head, PAD, Part, round_up};
use super::tile::{Scalars, Vectors, load, product, store, zeros};
use super::{KEYS, Shape, VECTORS};
use crate::dropout::Dropout;
use crate::gemm::aligned::Aligned;
use crate::lanes::{Lanes, Level, Work, dispatch, exp2};
use crate::pool::parallel_for;
use crate::reach::{BLOCK, Near, Reach};
use crate::shared::Shared;
use crate::sizes::count;

thread_local! {
    /// What a block computes with: see [`Block::run_vectors`].
    static BUFFER: RefCell<Aligned> = RefCell::default();
}

/// `softmax(query keyᵀ / √head) value` of each head, with `dropout` on the weights.
///
/// `saved`, if given, takes what [`backward`](super::backward()) needs:
/// `[batch, heads, tokens]`. `scratch` grows to about `2 * batch * tokens * width`
/// numbers and is reused.
///
/// # Shapes
/// - qkv: `[batch * tokens, 3 * width]`
/// - output: `[batch * tokens, width]`, heads side by side
///
/// # Panics
/// Slices of other sizes, or heads that do not divide the width.
pub fn forward(
    qkv: &[f32],
    shape: Shape,
    dropout: &Dropout,
    output: &mut [f32],
    saved: Option<&mut [f32]>,
    scratch: &mut Vec<f32>,
) {
    forward_at(Level::best(), qkv, shape, dropout, output, saved, scratch);
}

pub(super) fn forward_at(
    level: Level,
    qkv: &[f32],
    shape: Shape,
    dropout: &Dropout,
    output: &mut [f32],
    saved: Option<&mut [f32]>,
    scratch: &mut Vec<f32>,
) {
    shape.check(&[
        ("qkv", qkv.len(), [3, shape.width]),
        ("output", output.len(), [1, shape.width]),
    ]);
    if let Some(saved) = &saved {
        shape.check(&[("saved", saved.len(), [1, shape.heads])]);
    }
    if shape.tokens == 0 || shape.width == 0 {
        return;
    }
    let (rows, per_sequence) = pack(qkv, shape, scratch);
    let head = shape.head();
    let (output, saved) = (Shared::new(output), saved.map(Shared::new));
    // Each level has its own number of lanes; a block is a multiple of all of them.
    let queries = VECTORS * 16;
    let blocks = shape.tokens.div_ceil(queries);
    parallel_for(shape.sequences() * blocks, |task| {
        let (sequence, block) = (task / blocks, task % blocks);
        let packed = &scratch[sequence * per_sequence..][..per_sequence];
        let (keys, values) = packed.split_at(rows * head);
        let end = shape.tokens.min((block + 1) * queries);
        let block = Block {
            shape,
            sequence,
            queries: [block * queries, end],
            near: None,
            query: Head::of_packed(qkv, shape, sequence, Part::Query),
            keys,
            values,
            dropout,
            output,
            saved,
        };
        // Borrowed out here: a closure inside is not compiled for the level.
        BUFFER.with_borrow_mut(|buffer| dispatch(level, (block, buffer)));
    });
}

/// As [`forward`] without dropout, each token with those in its reach alone.
///
/// # Shapes
/// As [`forward`].
///
/// # Panics
/// As [`forward`], or the grid has another number of tokens.
pub fn forward_near(
    qkv: &[f32],
    shape: Shape,
    reach: Reach,
    output: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    near_at(Level::best(), qkv, shape, reach, output, scratch);
}

pub(super) fn near_at(
    level: Level,
    qkv: &[f32],
    shape: Shape,
    reach: Reach,
    output: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    shape.check(&[
        ("qkv", qkv.len(), [3, shape.width]),
        ("output", output.len(), [1, shape.width]),
    ]);
    assert_eq!(reach.tokens(), shape.tokens, "tokens of {reach:?}");
    if shape.tokens == 0 || shape.width == 0 {
        return;
    }
    let (rows, per_sequence) = pack(qkv, shape, scratch);
    let output = Shared::new(output);
    let blocks = reach.blocks();
    parallel_for(shape.sequences() * blocks, |task| {
        let (sequence, block) = (task / blocks, task % blocks);
        let packed = &scratch[sequence * per_sequence..][..per_sequence];
        let (keys, values) = packed.split_at(rows * shape.head());
        let near = reach.near(block);
        let block = Block {
            shape,
            sequence,
            queries: [0, near.queries().count()],
            near: Some(near),
            query: Head::of_packed(qkv, shape, sequence, Part::Query),
            keys,
            values,
            dropout: &Dropout::off(),
            output,
            saved: None,
        };
        BUFFER.with_borrow_mut(|buffer| dispatch(level, (block, buffer)));
    });
}

/// Keys and values of each sequence, one after the other in `scratch`: how many rows of each
/// there are, and numbers of a sequence. There are [`PAD`] rows more than tokens, so that a
/// whole tile of rows may be read from any token on.
fn pack(qkv: &[f32], shape: Shape, scratch: &mut Vec<f32>) -> (usize, usize) {
    let head = shape.head();
    let (rows, features) = (round_up(shape.tokens, PAD) + PAD, round_up(head, PAD));
    let per_sequence = count([rows, head + features]);
    scratch.resize(count([shape.sequences(), per_sequence]), 0.0);
    (scratch.par_chunks_exact_mut(per_sequence))
        .enumerate()
        .for_each(|(sequence, packed)| {
            let (keys, values) = packed.split_at_mut(rows * head);
            let part = |part| Head::of_packed(qkv, shape, sequence, part);
            part(Part::Key).copy(0, shape.tokens, head, keys);
            part(Part::Value).copy(0, shape.tokens, features, values);
        });
    (rows, per_sequence)
}

/// The queries of one task.
struct Block<'a> {
    shape: Shape,
    sequence: usize,
    /// First, and past the last; of the tokens of `near` where that is given.
    queries: [usize; 2],
    /// The tokens of the block and of its neighbourhood; `None`: all.
    near: Option<Near>,
    query: Head<'a>,
    /// `[rows, head]`
    keys: &'a [f32],
    /// `[rows, features]`, features padded with zeros to a multiple of [`PAD`].
    values: &'a [f32],
    dropout: &'a Dropout,
    output: Shared<'a>,
    saved: Option<Shared<'a>>,
}

impl Work for (Block<'_>, &mut Aligned) {
    #[inline(always)]
    unsafe fn run<L: Lanes, const ROWS: usize>(self) {
        let (block, buffer) = self;
        let [mut first, end] = block.queries;
        while first < end {
            let vectors = (end - first).div_ceil(L::COUNT).min(VECTORS);
            // SAFETY: the caller's.
            unsafe {
                match vectors {
                    1 => block.run_vectors::<L, ROWS, 1>(first, buffer),
                    2 => block.run_vectors::<L, ROWS, 2>(first, buffer),
                    _ => block.run_vectors::<L, ROWS, VECTORS>(first, buffer),
                }
            }
            first += vectors * L::COUNT;
        }
    }
}

impl Block<'_> {
    /// `V` vectors of queries from `first` on.
    ///
    /// # Safety
    /// As for [`Work::run`].
    #[inline(always)]
    unsafe fn run_vectors<L: Lanes, const R: usize, const V: usize>(
        &self,
        first: usize,
        buffer: &mut Aligned,
    ) {
        let (head, tokens) = (self.shape.head(), self.shape.tokens);
        let features = round_up(head, PAD);
        let lanes = V * L::COUNT;
        let count = lanes.min(self.queries[1] - first);

        // Query [head, lanes], scores [KEYS, lanes], sums [features, lanes].
        buffer.resize(buffer.len().max((head + KEYS + features) * lanes));
        let (query, rest) = buffer.split_at_mut(head * lanes);
        let (scores, rest) = rest.split_at_mut(KEYS * lanes);
        let sums = &mut rest[..features * lanes];
        match &self.near {
            None => (self.query).transpose([first, count], self.shape.scale(), lanes, query),
            Some(near) => {
                let tokens = near.queries().skip(first).take(count);
                (self.query).transpose_of(tokens, self.shape.scale(), lanes, query);
            }
        }
        sums.fill(0.0);
        let by_query = Vectors {
            data: query.as_ptr(),
            stride: lanes,
        };

        // SAFETY: keys and values have a multiple of PAD rows, at least `tokens`, and R
        // divides PAD; scores and sums have the sizes above.
        unsafe {
            let mut highest = [L::splat(f32::NEG_INFINITY); V];
            let mut total = [L::splat(0.0); V];
            // Keys that lie next to each other, and blocks of them.
            let mut runs = self.near.as_ref().map(Near::runs);
            let mut run = match &mut runs {
                None => Some([0, tokens]),
                Some(runs) => runs.next(),
            };
            while let Some([first_key, left]) = run {
                let keys = KEYS.min(left);
                run = match left - keys {
                    0 => runs.as_mut().and_then(Iterator::next),
                    left => Some([first_key + keys, left]),
                };
                for group in (0..keys).step_by(R) {
                    let mut tile = zeros::<L, R, V>();
                    let key = Scalars {
                        data: self.keys.as_ptr().add((first_key + group) * head),
                        row_stride: head,
                        step_stride: 1,
                    };
                    product(head, key, by_query, &mut tile);
                    store(tile, scores.as_mut_ptr().add(group * lanes), lanes);
                }

                let before = highest;
                for row in scores.chunks_exact(lanes).take(keys) {
                    for (v, highest) in highest.iter_mut().enumerate() {
                        *highest = L::load(row.as_ptr().add(v * L::COUNT)).max(*highest);
                    }
                }
                let mut shrink = before;
                for v in 0..V {
                    shrink[v] = exp2(before[v].sub(highest[v]));
                    total[v] = total[v].mul(shrink[v]);
                }
                for row in scores.chunks_exact_mut(lanes).take(keys) {
                    for v in 0..V {
                        let place = row.as_mut_ptr().add(v * L::COUNT);
                        let weight = exp2(L::load(place).sub(highest[v]));
                        total[v] = total[v].add(weight);
                        weight.store(place);
                    }
                }
                if !self.dropout.is_off() {
                    for (key, row) in scores.chunks_exact_mut(lanes).take(keys).enumerate() {
                        let key = first_key + key;
                        let index = self.shape.weight_index(self.sequence, key, first);
                        self.dropout.apply(index, row);
                    }
                }

                let by_key = Vectors {
                    data: scores.as_ptr(),
                    stride: lanes,
                };
                for feature in (0..features).step_by(R) {
                    let place = sums.as_mut_ptr().add(feature * lanes);
                    let mut tile: [[L; V]; R] = load(place, lanes);
                    for row in &mut tile {
                        for (sum, shrink) in row.iter_mut().zip(shrink) {
                            *sum = sum.mul(shrink);
                        }
                    }
                    let value = Scalars {
                        data: (self.values.as_ptr()).add(first_key * features + feature),
                        row_stride: 1,
                        step_stride: features,
                    };
                    product(keys, value, by_key, &mut tile);
                    store(tile, place, lanes);
                }
            }
            self.finish::<L, V>(first, count, sums, highest, total);
        }
    }

    /// Writes `sums / total` of `count` queries from `first` on.
    ///
    /// # Safety
    /// As for [`Work::run`].
    #[inline(always)]
    unsafe fn finish<L: Lanes, const V: usize>(
        &self,
        first: usize,
        count: usize,
        sums: &[f32],
        highest: [L; V],
        total: [L; V],
    ) {
        let Shape { tokens, width, .. } = self.shape;
        let (item, head) = (
            self.sequence / self.shape.heads,
            self.sequence % self.shape.heads,
        );
        let features = self.shape.head();
        let lanes = V * L::COUNT;
        let mut totals = [0.0f32; VECTORS * 16];
        let mut maxima = [0.0f32; VECTORS * 16];
        for v in 0..V {
            // SAFETY: `lanes` is at most their length.
            unsafe {
                total[v].store(totals.as_mut_ptr().add(v * L::COUNT));
                highest[v].store(maxima.as_mut_ptr().add(v * L::COUNT));
            }
        }
        let mut near = [0; BLOCK * BLOCK];
        if let Some(block) = &self.near {
            near.iter_mut()
                .zip(block.queries().skip(first))
                .for_each(|(to, token)| *to = token);
        }
        for q in 0..count {
            let token = match self.near {
                None => first + q,
                Some(_) => near[q],
            };
            let place = (item * tokens + token) * width + head * features;
            let inverse = 1.0 / totals[q];
            // SAFETY: this task alone writes this head of this query.
            let row = unsafe { self.output.range(place, features) };
            for (to, sum) in row.iter_mut().zip(sums[q..].iter().step_by(lanes)) {
                *to = sum * inverse;
            }
        }
        if let Some(saved) = self.saved {
            // SAFETY: this task alone writes these queries of this sequence.
            let saved = unsafe { saved.range(self.sequence * tokens + first, count) };
            for (q, saved) in saved.iter_mut().enumerate() {
                *saved = maxima[q] + totals[q].log2();
            }
        }
    }
}
