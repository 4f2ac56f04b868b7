use super::*;
use crate::graph::{Pairs, reference};

/// Numbers of a fixed sequence, about uniform in [-1, 1).
pub(in crate::graph) fn numbers(seed: u64, length: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length + 8).map(|_| next()).skip(8).collect()
}

/// Scores for `count` nodes: each kind of row and tie there is.
pub(in crate::graph) fn scores(kind: usize, seed: u64, count: usize) -> (Vec<f32>, Vec<f32>) {
    let (s, t) = (numbers(seed, count), numbers(seed + 1, count));
    let map = |v: &[f32], f: fn(f32) -> f32| v.iter().map(|&x| f(x)).collect();
    match kind {
        0 => (map(&s, |x| 3.0 * x), map(&t, |x| 3.0 * x)),
        1 => (map(&s, |x| x + 9.0), map(&t, |x| x)),
        2 => (map(&s, |x| x - 9.0), map(&t, |x| x)),
        3 => (
            map(&s, |x| (4.0 * x).round()),
            map(&t, |x| (4.0 * x).round()),
        ),
        4 => (map(&s, |_| 0.5), map(&t, |_| -0.5)),
        5 => (map(&s, |x| 80.0 * x), map(&t, |x| 80.0 * x)),
        _ => unreachable!(),
    }
}
pub(in crate::graph) const KINDS: usize = 6;

/// The largest error, relative to the largest exact value.
pub(in crate::graph) fn error(computed: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(computed.len(), exact.len());
    let largest = exact.iter().fold(0.0f64, |a, x| a.max(x.abs()));
    let off = (computed.iter().zip(exact))
        .map(|(&c, e)| (f64::from(c) - e).abs())
        .fold(
            0.0,
            |a: f64, x| if x.is_nan() { f64::NAN } else { a.max(x) },
        );
    if largest == 0.0 { off } else { off / largest }
}

pub(in crate::graph) fn shape(batch: usize, nodes: usize, heads: usize, head: usize) -> Shape {
    Shape {
        batch,
        nodes,
        heads,
        head,
    }
}

fn forward_of(shape: &Shape, wh: &[f32], s: &[f32], t: &[f32], slope: f64) -> Vec<f32> {
    let mut out = vec![f32::NAN; shape.features()];
    forward(shape, wh, s, t, slope, false, &mut out);
    out
}

fn backward_of(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    grad: &[f32],
) -> [Vec<f32>; 3] {
    let nan = |length| vec![f32::NAN; length];
    let (mut by_wh, mut by_s) = (nan(shape.features()), nan(shape.scores()));
    let mut by_t = nan(shape.scores());
    backward(
        shape, wh, s, t, slope, grad, &mut by_wh, &mut by_s, &mut by_t,
    );
    [by_wh, by_s, by_t]
}

/// Sizes around the blocks, and one of each that is odd.
const SIZES: [(usize, usize, usize, usize); 8] = [
    (1, 1, 1, 1),
    (1, 2, 1, 3),
    (2, 7, 3, 5),
    (1, 127, 1, 16),
    (1, 128, 2, 8),
    (2, 129, 1, 33),
    (1, 300, 1, 65),
    (1, 20, 1, 1030),
];

#[test]
fn the_sorted_form_is_the_dense_one() {
    for (seed, size) in SIZES.into_iter().enumerate() {
        let shape = shape(size.0, size.1, size.2, size.3);
        let wh = numbers(seed as u64, shape.features());
        let grad = numbers(seed as u64 + 50, shape.features());
        for kind in 0..KINDS {
            let (s, t) = scores(kind, seed as u64 + 90, shape.scores());
            for slope in [0.0, 0.2, 1.0] {
                let case = format!("{shape:?}, scores {kind}, slope {slope}");
                let out = forward_of(&shape, &wh, &s, &t, slope);
                let exact = reference::forward(&shape, &wh, &s, &t, slope, &Pairs::plain());
                let off = error(&out, &exact);
                assert!(off < 5e-7, "{case}: output off by {off:e}");

                let [by_wh, by_s, by_t] = backward_of(&shape, &wh, &s, &t, slope, &grad);
                let exact = reference::backward(&shape, &wh, &s, &t, slope, &Pairs::plain(), &grad);
                let off = error(&by_wh, &exact.wh);
                assert!(off < 1e-6, "{case}: gradient by wh off by {off:e}");
                // Gradients by scores are differences that may cancel; their
                // size is that of products of features.
                for (by, exact) in [(&by_s, &exact.s), (&by_t, &exact.t)] {
                    let off = (by.iter().zip(exact.iter()))
                        .map(|(&c, e)| (f64::from(c) - e).abs())
                        .fold(0.0, f64::max);
                    let bound = 3e-6 * (shape.head as f64).sqrt();
                    assert!(off < bound, "{case}: gradient by scores off by {off:e}");
                }
            }
        }
    }
}

#[test]
fn the_reference_gradients_are_finite_differences() {
    let shape = shape(1, 6, 2, 3);
    let wh = numbers(1, shape.features());
    let grad = numbers(2, shape.features());
    let (s, t) = scores(0, 3, shape.scores());
    let exact = reference::backward(&shape, &wh, &s, &t, 0.2, &Pairs::plain(), &grad);
    let loss = |wh: &[f32], s: &[f32], t: &[f32]| -> f64 {
        let out = reference::forward(&shape, wh, s, t, 0.2, &Pairs::plain());
        out.iter().zip(&grad).map(|(o, &g)| o * f64::from(g)).sum()
    };
    let step = 1.0 / 1024.0;
    let moved = |v: &[f32], i: usize, by: f32| {
        let mut v = v.to_vec();
        v[i] += by;
        v
    };
    for i in 0..wh.len() {
        let up = loss(&moved(&wh, i, step), &s, &t);
        let slope = (up - loss(&moved(&wh, i, -step), &s, &t)) / f64::from(2.0 * step);
        assert!((slope - exact.wh[i]).abs() < 1e-4);
    }
    for i in 0..s.len() {
        let up = loss(&wh, &moved(&s, i, step), &t);
        let slope = (up - loss(&wh, &moved(&s, i, -step), &t)) / f64::from(2.0 * step);
        assert!((slope - exact.s[i]).abs() < 1e-4, "s {i}");
        let up = loss(&wh, &s, &moved(&t, i, step));
        let slope = (up - loss(&wh, &s, &moved(&t, i, -step))) / f64::from(2.0 * step);
        assert!((slope - exact.t[i]).abs() < 1e-4, "t {i}");
    }
}

#[test]
fn infinite_scores_give_the_limit() {
    const INF: f32 = f32::INFINITY;
    let shape = shape(1, 5, 1, 4);
    let (wh, grad) = (numbers(1, 20), numbers(2, 20));
    let cases = [
        ([0.0, 1.0, -1.0, 2.0, 0.5], [-INF, 1.0, -INF, 0.5, -3.0]),
        ([0.0, 1.0, -1.0, 2.0, 0.5], [INF, 1.0, INF, 0.5, -INF]),
        ([0.0, 1.0, -1.0, 2.0, 0.5], [-INF; 5]),
        ([INF, 1.0, -INF, -INF, INF], [0.0, 1.0, -1.0, 0.5, 2.0]),
        ([INF, 1.0, -INF, -INF, INF], [0.0, 1.0, -INF, 0.5, 2.0]),
        (
            [f32::MAX, f32::MIN, 0.0, 1.0, 2.0],
            [f32::MAX, f32::MIN, 0.0, 1.0, 2.0],
        ),
    ];
    for (s, t) in cases {
        for slope in [0.0, 0.2, 1.0] {
            let out = forward_of(&shape, &wh, &s, &t, slope);
            let exact = reference::forward(&shape, &wh, &s, &t, slope, &Pairs::plain());
            let off = error(&out, &exact);
            assert!(
                off < 5e-7,
                "slope {slope}, s {s:?}, t {t:?}: off by {off:e}"
            );
            for gradient in backward_of(&shape, &wh, &s, &t, slope, &grad) {
                assert!(gradient.iter().all(|g| g.is_finite()), "s {s:?}, t {t:?}");
            }
        }
    }
}

#[test]
fn a_hidden_node_changes_nothing() {
    let wh = numbers(1, 12);
    let with = forward_of(
        &shape(1, 3, 1, 4),
        &wh,
        &[0.1, -0.2, 0.3],
        &[0.5, -0.7, f32::NEG_INFINITY],
        0.2,
    );
    let without = forward_of(
        &shape(1, 2, 1, 4),
        &wh[..8],
        &[0.1, -0.2],
        &[0.5, -0.7],
        0.2,
    );
    assert_eq!(with[..8], without);
}

#[test]
fn what_is_not_a_number_stays_so() {
    let shape = shape(1, 3, 1, 2);
    let mut wh = numbers(1, 6);
    let (s, t) = (vec![0.1, -0.2, 0.3], vec![0.5, -0.7, 0.2]);
    for t in [vec![0.5, f32::NAN, 0.2], vec![0.5, -f32::NAN, 0.2]] {
        let out = forward_of(&shape, &wh, &s, &t, 0.2);
        assert!(out.iter().all(|x| x.is_nan()));
    }
    let out = forward_of(&shape, &wh, &[0.1, f32::NAN, 0.3], &t, 0.2);
    assert!(
        out.iter()
            .enumerate()
            .all(|(i, x)| x.is_nan() == (i / 2 == 1))
    );
    wh[3] = f32::NAN;
    let mut out = vec![0.0; 6];
    forward(&shape, &wh, &s, &t, 0.2, true, &mut out);
    assert!(
        out.iter()
            .enumerate()
            .all(|(i, x)| x.is_nan() == (i % 2 == 1))
    );
}

#[test]
fn relu_takes_what_is_below_zero_to_zero() {
    let shape = shape(1, 140, 2, 9);
    let wh = numbers(1, shape.features());
    let (s, t) = scores(0, 2, shape.scores());
    let mut out = vec![0.0; shape.features()];
    forward(&shape, &wh, &s, &t, 0.2, true, &mut out);
    let plain = forward_of(&shape, &wh, &s, &t, 0.2);
    assert!(plain.iter().any(|&x| x < 0.0));
    assert!(out.iter().zip(plain).all(|(&r, x)| r == x.max(0.0)));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let shape = shape(2, 1000, 2, 24);
    let wh = numbers(1, shape.features());
    let grad = numbers(2, shape.features());
    let (s, t) = scores(0, 3, shape.scores());
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let out = forward_of(&shape, &wh, &s, &t, 0.2);
            (out, backward_of(&shape, &wh, &s, &t, 0.2, &grad))
        })
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

/// All pairs of 4096 nodes in f64.
#[test]
fn four_thousand_nodes_keep_six_digits() {
    let shape = shape(1, 4096, 1, 3);
    let wh = numbers(1, shape.features());
    let grad = numbers(2, shape.features());
    for kind in [0, 5] {
        let (s, t) = scores(kind, 3, shape.scores());
        let exact = reference::forward(&shape, &wh, &s, &t, 0.2, &Pairs::plain());
        let off = error(&forward_of(&shape, &wh, &s, &t, 0.2), &exact);
        assert!(off < 1e-6, "scores {kind}: output off by {off:e}");
        let exact = reference::backward(&shape, &wh, &s, &t, 0.2, &Pairs::plain(), &grad);
        let [by_wh, by_s, by_t] = backward_of(&shape, &wh, &s, &t, 0.2, &grad);
        for (by, exact) in [(by_wh, exact.wh), (by_s, exact.s), (by_t, exact.t)] {
            let off = error(&by, &exact);
            assert!(off < 1e-5, "scores {kind}: gradient off by {off:e}");
        }
    }
}

/// A quarter of a million nodes against rows summed pair by pair in f64.
#[test]
fn a_quarter_of_a_million_nodes_keep_six_digits() {
    let shape = shape(1, 262_144, 1, 8);
    let n = shape.nodes;
    let wh = numbers(1, shape.features());
    let (s, t) = scores(0, 3, n);
    let out = forward_of(&shape, &wh, &s, &t, 0.2);
    let max = t.iter().copied().fold(f32::MIN, f32::max);
    for i in (0..n).step_by(n / 61) {
        let largest = reference::leaky(f64::from(s[i]) + f64::from(max), 0.2);
        let (mut total, mut sums) = (0.0, [0.0; 8]);
        for j in 0..n {
            let score = reference::leaky(f64::from(s[i]) + f64::from(t[j]), 0.2);
            let weight = (score - largest).exp();
            total += weight;
            for f in 0..8 {
                sums[f] += weight * f64::from(wh[j * 8 + f]);
            }
        }
        // Sums of random signs: the mean is a thousandth of a feature.
        let off = error(&out[i * 8..][..8], &sums.map(|x| x / total));
        assert!(off < 5e-6, "row {i}: off by {off:e}");
    }
}
