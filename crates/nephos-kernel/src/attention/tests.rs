//! Attention against its reference, at every instruction set.

use super::backward::backward_at;
use super::forward::{forward_at, near_at};
use super::reference::attention;
use super::*;
use crate::dropout::Dropout;
use crate::lanes::Level;
use crate::reach::Reach;

/// Numbers in [-1, 1] that look random.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let coins = Dropout::new(seed, 0.5);
    (0..count as u64)
        .map(|i| {
            let bits = (0..12).map(|b| f32::from(u8::from(coins.scale(12 * i + b) > 0.0)));
            bits.fold(0.0, |sum, bit| 2.0 * sum + bit) / 2047.5 - 1.0
        })
        .collect()
}

/// The greatest difference, relative to the greatest number.
fn distance(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let greatest = b.iter().fold(1e-30, |m: f64, b| m.max(b.abs()));
    let pairs = a.iter().zip(b);
    pairs.fold(0.0, |m: f64, (a, b)| m.max((f64::from(*a) - b).abs())) / greatest
}

fn check(shape: Shape, spread: f32, dropout: Dropout) {
    let rows = shape.batch * shape.tokens;
    let mut qkv = noise(rows * 3 * shape.width, 1);
    qkv.iter_mut().for_each(|x| *x *= spread);
    let gradient = noise(rows * shape.width, 2);
    let dropout = &dropout;
    let (expected, expected_backward) = attention(&qkv, shape, dropout, Some(&gradient));
    for level in Level::all() {
        let mut output = vec![f32::NAN; rows * shape.width];
        let mut saved = vec![f32::NAN; rows * shape.heads];
        let mut scratch = vec![f32::NAN; 7];
        let save = Some(&mut saved[..]);
        forward_at(level, &qkv, shape, dropout, &mut output, save, &mut scratch);
        let error = distance(&output, &expected);
        assert!(error < 1e-5, "{level:?} {shape:?}: output off by {error:e}");
        let mut backward = vec![f32::NAN; qkv.len()];
        backward_at(
            level,
            &qkv,
            shape,
            dropout,
            [&output, &saved, &gradient],
            &mut backward,
        );
        let error = distance(&backward, &expected_backward);
        assert!(
            error < 2e-5,
            "{level:?} {shape:?}: gradient off by {error:e}"
        );
    }
}

fn shape(batch: usize, tokens: usize, heads: usize, head: usize) -> Shape {
    Shape {
        batch,
        tokens,
        width: heads * head,
        heads,
    }
}

#[test]
fn any_number_of_tokens() {
    for tokens in [1, 2, 3, 15, 16, 17, 31, 33, 47, 48, 49, 63, 64, 65, 97, 130] {
        check(shape(1, tokens, 2, 8), 1.0, Dropout::off());
    }
}

#[test]
fn any_width_of_a_head() {
    for head in [1, 2, 3, 5, 7, 9, 16, 31, 32, 33, 48, 64, 70] {
        check(shape(2, 37, 3, head), 1.0, Dropout::off());
    }
}

#[test]
fn a_batch_with_dropout() {
    for rate in [0.1, 0.7] {
        check(shape(2, 75, 2, 16), 1.0, Dropout::new(11, rate));
    }
}

#[test]
fn steep_and_flat_scores() {
    for spread in [0.0, 1e-3, 6.0] {
        check(shape(1, 150, 1, 16), spread, Dropout::off());
    }
}

#[test]
fn scores_far_below_zero_do_not_vanish() {
    // Every score is about -1000: a maximum that started at 0 would leave no weight.
    let shape = shape(1, 70, 1, 8);
    let mut qkv = noise(70 * 24, 3);
    for row in qkv.chunks_exact_mut(24) {
        row[..8].fill(-20.0);
        row[8..16].iter_mut().for_each(|x| *x = 18.0 + *x * 0.01);
    }
    let (expected, _) = attention(&qkv, shape, &Dropout::off(), None);
    let mut output = vec![0.0; 70 * 8];
    forward(
        &qkv,
        shape,
        &Dropout::off(),
        &mut output,
        None,
        &mut Vec::new(),
    );
    assert!(distance(&output, &expected) < 1e-4);
}

#[test]
fn what_is_no_number_stays_none() {
    let shape = shape(1, 70, 1, 8);
    let mut qkv = noise(70 * 24, 3);
    qkv[5 * 24] = f32::NAN;
    for level in Level::all() {
        let mut output = vec![0.0; 70 * 8];
        forward_at(
            level,
            &qkv,
            shape,
            &Dropout::off(),
            &mut output,
            None,
            &mut Vec::new(),
        );
        assert!(output[5 * 8..6 * 8].iter().all(|x| x.is_nan()), "{level:?}");
        assert!(output[..5 * 8].iter().all(|x| x.is_finite()), "{level:?}");
    }
}

#[test]
fn the_same_numbers_on_any_number_of_threads() {
    let shape = shape(2, 200, 3, 16);
    let qkv = noise(2 * 200 * 3 * 48, 5);
    let gradient = noise(2 * 200 * 48, 6);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let (mut output, mut saved) = (vec![0.0; 2 * 200 * 48], vec![0.0; 2 * 200 * 3]);
            forward(
                &qkv,
                shape,
                &Dropout::off(),
                &mut output,
                Some(&mut saved),
                &mut Vec::new(),
            );
            let mut gradients = vec![0.0; qkv.len()];
            backward(
                &qkv,
                shape,
                &Dropout::off(),
                [&output, &saved, &gradient],
                &mut gradients,
            );
            (output, gradients)
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn near_tokens_alone_are_attended_to() {
    for (grid, reach, head) in [
        ([9, 14], 3, 24),
        ([5, 6], 0, 5),
        ([11, 3], 2, 16),
        ([4, 5], 9, 8),
    ] {
        let (batch, heads, tokens) = (2, 2, grid[0] * grid[1]);
        let shape = shape(batch, tokens, heads, head);
        let reach = Reach { grid, reach };
        let qkv = noise(batch * tokens * 3 * shape.width, 5);
        let at = |item: usize, token: usize, part: usize, h: usize, f: usize| {
            let row = (item * tokens + token) * 3 * shape.width;
            f64::from(qkv[row + part * shape.width + h * head + f])
        };
        let mut expected = vec![0.0; batch * tokens * shape.width];
        for block in 0..reach.blocks() {
            let near = reach.near(block);
            let keys: Vec<usize> = near
                .runs()
                .flat_map(|[first, count]| first..first + count)
                .collect();
            for (i, item, h) in near
                .queries()
                .flat_map(|i| (0..batch).flat_map(move |b| (0..heads).map(move |h| (i, b, h))))
            {
                let score = |j: &usize| {
                    let dot: f64 = (0..head)
                        .map(|f| at(item, i, 0, h, f) * at(item, *j, 1, h, f))
                        .sum();
                    (dot / (head as f64).sqrt()).exp()
                };
                let total: f64 = keys.iter().map(score).sum();
                for f in 0..head {
                    expected[(item * tokens + i) * shape.width + h * head + f] = keys
                        .iter()
                        .map(|j| score(j) * at(item, *j, 2, h, f))
                        .sum::<f64>()
                        / total;
                }
            }
        }
        for level in Level::all() {
            let mut output = vec![f32::NAN; expected.len()];
            near_at(
                level,
                &qkv,
                shape,
                reach,
                &mut output,
                &mut vec![f32::NAN; 3],
            );
            let error = distance(&output, &expected);
            assert!(error < 1e-5, "{level:?} {grid:?}: off by {error:e}");
        }
    }
}
