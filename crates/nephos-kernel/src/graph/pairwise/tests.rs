use super::*;
use crate::dropout::Dropout;
use crate::graph::sorted::tests::{KINDS, error, numbers, scores, shape};
use crate::graph::{Bias, reference, sorted};

/// Tokens of length one.
fn tokens(seed: u64, count: usize, width: usize) -> Vec<f32> {
    let mut tokens = numbers(seed, count * width);
    for token in tokens.chunks_mut(width) {
        let length = token.iter().map(|x| x * x).sum::<f32>().sqrt();
        token.iter_mut().for_each(|x| *x /= length);
    }
    tokens
}

struct Computed {
    out: Vec<f32>,
    wh: Vec<f32>,
    s: Vec<f32>,
    t: Vec<f32>,
    tokens: Vec<f32>,
    scale: f32,
}

fn both(shape: &Shape, [wh, s, t, grad]: [&[f32]; 4], slope: f64, pairs: &Pairs<'_>) -> Computed {
    let nan = |length| vec![f32::NAN; length];
    let mut out = nan(shape.features());
    forward(shape, wh, s, t, slope, pairs, false, &mut out);
    let (mut by_wh, mut by_s, mut by_t) = (
        nan(shape.features()),
        nan(shape.scores()),
        nan(shape.scores()),
    );
    let mut by_tokens = nan(pairs.bias.map_or(0, |bias| bias.tokens.len()));
    let mut by = Gradients {
        wh: &mut by_wh,
        s: &mut by_s,
        t: &mut by_t,
        tokens: &mut by_tokens,
        scale: f32::NAN,
    };
    backward(shape, wh, s, t, slope, pairs, grad, &mut by);
    Computed {
        out,
        scale: by.scale,
        wh: by_wh,
        s: by_s,
        t: by_t,
        tokens: by_tokens,
    }
}

const SIZES: [(usize, usize, usize, usize); 6] = [
    (1, 1, 1, 1),
    (2, 7, 3, 5),
    (1, 64, 2, 8),
    (2, 65, 1, 17),
    (1, 130, 2, 9),
    (1, 260, 1, 4),
];

#[test]
fn blocks_of_rows_are_the_formula() {
    for (seed, size) in SIZES.into_iter().enumerate() {
        let shape = shape(size.0, size.1, size.2, size.3);
        let seed = seed as u64;
        let wh = numbers(seed, shape.features());
        let grad = numbers(seed + 50, shape.features());
        let z = tokens(seed + 60, shape.batch * shape.nodes, 6);
        for kind in 0..KINDS {
            let (s, t) = scores(kind, seed + 90, shape.scores());
            for (rate, scale) in [
                (0.0, None),
                (0.3, None),
                (0.0, Some(2.5)),
                (0.3, Some(-40.0)),
            ] {
                let pairs = Pairs {
                    bias: scale.map(|scale| Bias {
                        tokens: &z,
                        width: 6,
                        scale,
                    }),
                    dropout: Dropout::new(seed, rate),
                };
                let case = format!("{shape:?}, scores {kind}, dropout {rate}, scale {scale:?}");
                // Scores of some 100 have an ulp of 1e-5, and a bias is not factored.
                let loose = if scale.is_some() { 60.0 } else { 1.0 };
                let computed = both(&shape, [&wh, &s, &t, &grad], 0.2, &pairs);
                let exact = reference::forward(&shape, &wh, &s, &t, 0.2, &pairs);
                let off = error(&computed.out, &exact);
                assert!(off < 1e-6 * loose, "{case}: output off by {off:e}");

                let exact = reference::backward(&shape, &wh, &s, &t, 0.2, &pairs, &grad);
                let off = error(&computed.wh, &exact.wh);
                assert!(off < 1e-6 * loose, "{case}: gradient by wh off by {off:e}");
                // These may cancel; products of features are of order one.
                let scale_gradient = [exact.scale];
                let differences = [
                    (&computed.s[..], &exact.s[..], "s"),
                    (&computed.t, &exact.t, "t"),
                    (&computed.tokens, &exact.tokens, "tokens"),
                    (&[computed.scale], &scale_gradient, "scale"),
                ];
                for (computed, exact, name) in differences {
                    assert_eq!(computed.len(), exact.len());
                    for (&c, e) in computed.iter().zip(exact) {
                        let off = (f64::from(c) - e).abs();
                        let bound = 1e-5 * loose * (1.0 + e.abs());
                        assert!(off < bound, "{case}: gradient by {name}: {c} is not {e}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_reference_gradients_by_the_bias_are_finite_differences() {
    let shape = shape(2, 5, 2, 3);
    let (wh, grad) = (numbers(1, shape.features()), numbers(2, shape.features()));
    let (s, t) = scores(0, 3, shape.scores());
    let z = tokens(4, 10, 4);
    fn pairs(tokens: &[f32], scale: f32) -> Pairs<'_> {
        Pairs {
            bias: Some(Bias {
                tokens,
                width: 4,
                scale,
            }),
            dropout: Dropout::new(5, 0.4),
        }
    }
    let exact = reference::backward(&shape, &wh, &s, &t, 0.2, &pairs(&z, 1.5), &grad);
    let loss = |z: &[f32], scale: f32| -> f64 {
        let out = reference::forward(&shape, &wh, &s, &t, 0.2, &pairs(z, scale));
        out.iter().zip(&grad).map(|(o, &g)| o * f64::from(g)).sum()
    };
    let step = 1.0 / 1024.0;
    let moved = |i: usize, by: f32| {
        let mut z = z.clone();
        z[i] += by;
        z
    };
    for i in 0..z.len() {
        let rise = loss(&moved(i, step), 1.5) - loss(&moved(i, -step), 1.5);
        let slope = rise / f64::from(2.0 * step);
        assert!((slope - exact.tokens[i]).abs() < 1e-4, "token number {i}");
    }
    let rise = loss(&z, 1.5 + step) - loss(&z, 1.5 - step);
    let slope = rise / f64::from(2.0 * step);
    assert!((slope - exact.scale).abs() < 1e-4);
}

#[test]
fn without_dropout_it_is_the_sorted_form() {
    let shape = shape(1, 300, 2, 24);
    let wh = numbers(1, shape.features());
    let (s, t) = scores(0, 2, shape.scores());
    let [mut all, mut sorted] = [(); 2].map(|()| vec![0.0; shape.features()]);
    forward(&shape, &wh, &s, &t, 0.2, &Pairs::plain(), true, &mut all);
    sorted::forward(&shape, &wh, &s, &t, 0.2, true, &mut sorted);
    for (a, b) in all.iter().zip(&sorted) {
        assert!((a - b).abs() < 1e-6);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let shape = shape(2, 300, 2, 24);
    let (wh, grad) = (numbers(1, shape.features()), numbers(2, shape.features()));
    let (s, t) = scores(0, 3, shape.scores());
    let z = tokens(4, 600, 16);
    let pairs = Pairs {
        bias: Some(Bias {
            tokens: &z,
            width: 16,
            scale: 3.0,
        }),
        dropout: Dropout::new(5, 0.1),
    };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let all = both(&shape, [&wh, &s, &t, &grad], 0.2, &pairs);
            [all.out, all.wh, all.s, all.t, all.tokens, vec![all.scale]]
        })
    };
    let one = run(1);
    for threads in [2, 5] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}
