//! Gradients of attention, from scores computed anew.

use std::cell::RefCell;

use rayon::prelude::*;

use super::pack::{Head, PAD, Part, round_up};
use super::tile::{Scalars, Vectors, load, product, store, zeros};
use super::{KEYS, Shape, VECTORS};
use crate::dropout::Dropout;
use crate::gemm::aligned::Aligned;
use crate::lanes::{Lanes, Level, Work, dispatch, exp2};
use crate::shared::Shared;

thread_local! {
    /// What a sequence computes with: see [`Layout`].
    static BUFFER: RefCell<Aligned> = RefCell::default();
}

/// The gradient of [`forward`](super::forward()) with respect to `qkv`.
///
/// `[output, saved, gradient]` are the output of `forward`, what it saved, and the
/// gradient of the output; `dropout` is the same as there. Heads of a batch run in
/// parallel, each in order.
///
/// # Shapes
/// - qkv, backward: `[batch * tokens, 3 * width]`; all of `backward` is written
/// - output, gradient: `[batch * tokens, width]`
/// - saved: `[batch, heads, tokens]`
///
/// # Panics
/// Slices of other sizes, or heads that do not divide the width.
pub fn backward(
    qkv: &[f32],
    shape: Shape,
    dropout: &Dropout,
    [output, saved, gradient]: [&[f32]; 3],
    backward: &mut [f32],
) {
    let known = [output, saved, gradient];
    backward_at(Level::best(), qkv, shape, dropout, known, backward);
}

pub(super) fn backward_at(
    level: Level,
    qkv: &[f32],
    shape: Shape,
    dropout: &Dropout,
    [output, saved, gradient]: [&[f32]; 3],
    backward: &mut [f32],
) {
    shape.check(&[
        ("qkv", qkv.len(), [3, shape.width]),
        ("the gradient of qkv", backward.len(), [3, shape.width]),
        ("output", output.len(), [1, shape.width]),
        (
            "the gradient of the output",
            gradient.len(),
            [1, shape.width],
        ),
        ("saved", saved.len(), [1, shape.heads]),
    ]);
    if shape.tokens == 0 || shape.width == 0 {
        return;
    }
    let backward = Shared::new(backward);
    (0..shape.sequences()).into_par_iter().for_each(|sequence| {
        let part = |part| Head::of_packed(qkv, shape, sequence, part);
        let sequence = Sequence {
            shape,
            sequence,
            parts: [part(Part::Query), part(Part::Key), part(Part::Value)],
            output: Head::of_rows(output, shape, sequence),
            gradient: Head::of_rows(gradient, shape, sequence),
            saved: &saved[sequence * shape.tokens..][..shape.tokens],
            dropout,
            backward,
        };
        BUFFER.with_borrow_mut(|buffer| dispatch(level, (sequence, buffer)));
    });
}

/// One head of one batch item.
struct Sequence<'a> {
    shape: Shape,
    sequence: usize,
    /// Query, key, value.
    parts: [Head<'a>; 3],
    output: Head<'a>,
    gradient: Head<'a>,
    saved: &'a [f32],
    dropout: &'a Dropout,
    backward: Shared<'a>,
}

/// The buffer of a sequence, cut up.
struct Layout<'a> {
    /// `[rows, features]`: keys and values, features padded to [`PAD`].
    key: &'a [f32],
    value: &'a [f32],
    /// `[rows, wide]`: gradients of keys and values, features padded to whole vectors.
    key_sums: &'a mut [f32],
    value_sums: &'a mut [f32],
    /// Of a block of queries: `[features, lanes]`, lanes side by side.
    query: &'a mut [f32],
    gradient: &'a mut [f32],
    query_sums: &'a mut [f32],
    /// `[lanes, wide]`, rows.
    query_rows: &'a mut [f32],
    gradient_rows: &'a mut [f32],
    /// `[KEYS, lanes]`: weights, then weights with dropout; gradients of weights, then
    /// of scores.
    weights: &'a mut [f32],
    of_scores: &'a mut [f32],
}

impl Work for (Sequence<'_>, &mut Aligned) {
    #[inline(always)]
    unsafe fn run<L: Lanes, const ROWS: usize>(self) {
        let (sequence, buffer) = self;
        let (shape, head) = (sequence.shape, sequence.shape.head());
        let rows = round_up(shape.tokens, PAD);
        let (features, wide) = (round_up(head, PAD), round_up(head, L::COUNT));
        let lanes = VECTORS * L::COUNT;
        let sizes = [
            rows * features,
            rows * features,
            rows * wide,
            rows * wide,
            features * lanes,
            features * lanes,
            features * lanes,
            lanes * wide,
            lanes * wide,
            KEYS * lanes,
            KEYS * lanes,
        ];
        let length = buffer.len().max(sizes.iter().sum());
        buffer.resize(length);
        let mut rest = &mut buffer[..];
        let [
            key,
            value,
            key_sums,
            value_sums,
            query,
            gradient,
            query_sums,
            query_rows,
            gradient_rows,
            weights,
            of_scores,
        ] = sizes.map(|size| rest.split_off_mut(..size).expect("it is large enough"));
        sequence.parts[1].copy(0, shape.tokens, features, key);
        sequence.parts[2].copy(0, shape.tokens, features, value);
        key_sums.fill(0.0);
        value_sums.fill(0.0);
        let mut layout = Layout {
            key,
            value,
            key_sums,
            value_sums,
            query,
            gradient,
            query_sums,
            query_rows,
            gradient_rows,
            weights,
            of_scores,
        };
        for first in (0..shape.tokens).step_by(lanes) {
            // SAFETY: the caller's.
            unsafe { sequence.block::<L, ROWS>(first, &mut layout) };
        }
        let scale = 1.0 / (head as f32).sqrt();
        for token in 0..shape.tokens {
            sequence.write(token, Part::Key, scale, &layout.key_sums[token * wide..]);
            sequence.write(token, Part::Value, 1.0, &layout.value_sums[token * wide..]);
        }
    }
}

impl Sequence<'_> {
    /// Adds what the queries from `first` on give to all gradients.
    ///
    /// # Safety
    /// As for [`Work::run`], with a layout for `L`.
    #[inline(always)]
    unsafe fn block<L: Lanes, const R: usize>(&self, first: usize, layout: &mut Layout<'_>) {
        let (tokens, head) = (self.shape.tokens, self.shape.head());
        let (features, wide) = (round_up(head, PAD), round_up(head, L::COUNT));
        let lanes = VECTORS * L::COUNT;
        let count = lanes.min(tokens - first);
        let of = [first, count];
        let real = ..head * lanes;
        self.parts[0].transpose(of, self.shape.scale(), lanes, &mut layout.query[real]);
        (self.gradient).transpose(of, 1.0, lanes, &mut layout.gradient[real]);
        self.parts[0].copy(first, count, wide, layout.query_rows);
        self.gradient.copy(first, count, wide, layout.gradient_rows);
        layout.query_sums.fill(0.0);

        // Lanes without a query have gradients of 0, so that they add nothing.
        let (mut normalisers, mut means) = ([0.0f32; VECTORS * 16], [0.0f32; VECTORS * 16]);
        for q in 0..count {
            normalisers[q] = self.saved[first + q];
            let pairs = (self.output.token(first + q).iter()).zip(self.gradient.token(first + q));
            means[q] = pairs.map(|(output, gradient)| output * gradient).sum();
        }

        for first_key in (0..tokens).step_by(KEYS) {
            let keys = KEYS.min(tokens - first_key);
            let by_query = |data: &[f32]| Vectors {
                data: data.as_ptr(),
                stride: lanes,
            };
            // SAFETY: keys and values have a multiple of PAD rows and features, at least
            // `tokens` and `head`; R divides PAD and KEYS; the rest has the sizes that
            // `Layout` says.
            unsafe {
                let by_key = [layout.key, layout.value].map(|rows| rows.as_ptr());
                let by_key = by_key.map(|rows| rows.add(first_key * features));
                for group in (0..keys).step_by(R) {
                    for (rows, vectors, to) in [
                        (by_key[0], &layout.query, &mut layout.weights),
                        (by_key[1], &layout.gradient, &mut layout.of_scores),
                    ] {
                        let mut tile = zeros::<L, R, VECTORS>();
                        let rows = Scalars {
                            data: rows.add(group * features),
                            row_stride: features,
                            step_stride: 1,
                        };
                        product(head, rows, by_query(vectors), &mut tile);
                        store(tile, to.as_mut_ptr().add(group * lanes), lanes);
                    }
                }
                self.weigh::<L>([first_key, first], keys, &normalisers, &means, layout);
                for feature in (0..features).step_by(R) {
                    let place = layout.query_sums.as_mut_ptr().add(feature * lanes);
                    let mut tile: [[L; VECTORS]; R] = load(place, lanes);
                    let key = Scalars {
                        data: by_key[0].add(feature),
                        row_stride: 1,
                        step_stride: features,
                    };
                    product(keys, key, by_query(layout.of_scores), &mut tile);
                    store(tile, place, lanes);
                }
                for (scalars, rows, sums) in [
                    (
                        &*layout.weights,
                        &*layout.gradient_rows,
                        &mut *layout.value_sums,
                    ),
                    (
                        &*layout.of_scores,
                        &*layout.query_rows,
                        &mut *layout.key_sums,
                    ),
                ] {
                    let sums = sums.as_mut_ptr().add(first_key * wide);
                    add_rows::<L, R>(keys, [lanes, count], scalars, wide, rows, sums);
                }
            }
        }

        let scale = 1.0 / (head as f32).sqrt();
        for q in 0..count {
            let sums = layout.query_sums[q..].iter().step_by(lanes);
            // SAFETY: this task alone writes this head of this token.
            let row = unsafe { self.gradient_of(first + q, Part::Query) };
            for (to, sum) in row.iter_mut().zip(sums) {
                *to = sum * scale;
            }
        }
    }

    /// From scores and gradients of weights to weights with dropout and gradients of
    /// scores: `p = 2^(s - normaliser)`, `p (r g - mean)`.
    ///
    /// # Safety
    /// As for [`Sequence::block`].
    #[inline(always)]
    unsafe fn weigh<L: Lanes>(
        &self,
        [first_key, first_query]: [usize; 2],
        keys: usize,
        normalisers: &[f32; VECTORS * 16],
        means: &[f32; VECTORS * 16],
        layout: &mut Layout<'_>,
    ) {
        let lanes = VECTORS * L::COUNT;
        let mut factors = [1.0f32; VECTORS * 16];
        let rows = (layout.weights.chunks_exact_mut(lanes))
            .zip(layout.of_scores.chunks_exact_mut(lanes))
            .enumerate();
        for (key, (weights, of_scores)) in rows {
            if key >= keys {
                // Keys that do not exist get nothing from the products over whole groups.
                weights.fill(0.0);
                of_scores.fill(0.0);
                continue;
            }
            if !self.dropout.is_off() {
                let key = first_key + key;
                let index = self.shape.weight_index(self.sequence, key, first_query);
                self.dropout.fill(index, &mut factors[..lanes]);
            }
            for v in (0..lanes).step_by(L::COUNT) {
                // SAFETY: all of them have `lanes` numbers.
                unsafe {
                    let (weight, of_score) =
                        (weights.as_mut_ptr().add(v), of_scores.as_mut_ptr().add(v));
                    let factor = L::load(factors.as_ptr().add(v));
                    let normaliser = L::load(normalisers.as_ptr().add(v));
                    let mean = L::load(means.as_ptr().add(v));
                    let p = exp2(L::load(weight).sub(normaliser));
                    let gradient = L::load(of_score).mul(factor).sub(mean);
                    p.mul(gradient).store(of_score);
                    p.mul(factor).store(weight);
                }
            }
        }
    }

    /// Writes `scale * sums` as the gradient of a part of a token.
    fn write(&self, token: usize, part: Part, scale: f32, sums: &[f32]) {
        // SAFETY: this task alone writes this head of this token.
        let row = unsafe { self.gradient_of(token, part) };
        for (to, sum) in row.iter_mut().zip(sums) {
            *to = sum * scale;
        }
    }

    /// Where the gradient of a part of a token goes.
    ///
    /// # Safety
    /// As for [`Shared::range`].
    #[allow(clippy::mut_from_ref)]
    unsafe fn gradient_of(&self, token: usize, part: Part) -> &mut [f32] {
        let Shape {
            tokens,
            width,
            heads,
            ..
        } = self.shape;
        let (item, head) = (self.sequence / heads, self.sequence % heads);
        let row = (item * tokens + token) * 3 * width;
        let first = row + part as usize * width + head * self.shape.head();
        // SAFETY: the caller's.
        unsafe { self.backward.range(first, self.shape.head()) }
    }
}

/// `sums[key] += Σ scalars[key, q] * rows[q]` for groups of `R` keys.
///
/// # Safety
/// `scalars` is `[KEYS, lanes]`, `rows` `[count or more, wide]`, `sums` has `wide`
/// numbers for each of `keys` rounded up to `R`; and as for [`Lanes`].
#[inline(always)]
unsafe fn add_rows<L: Lanes, const R: usize>(
    keys: usize,
    [lanes, count]: [usize; 2],
    scalars: &[f32],
    wide: usize,
    rows: &[f32],
    sums: *mut f32,
) {
    for group in (0..keys).step_by(R) {
        let scalars = Scalars {
            data: scalars[group * lanes..].as_ptr(),
            row_stride: lanes,
            step_stride: 1,
        };
        let mut first = 0;
        while first < wide {
            // SAFETY: the caller's.
            unsafe {
                let place = sums.add(group * wide + first);
                let rows = Vectors {
                    data: rows.as_ptr().add(first),
                    stride: wide,
                };
                if wide - first >= 2 * L::COUNT {
                    let mut tile: [[L; 2]; R] = load(place, wide);
                    product(count, scalars, rows, &mut tile);
                    store(tile, place, wide);
                    first += 2 * L::COUNT;
                } else {
                    let mut tile: [[L; 1]; R] = load(place, wide);
                    product(count, scalars, rows, &mut tile);
                    store(tile, place, wide);
                    first += L::COUNT;
                }
            }
        }
    }
}
