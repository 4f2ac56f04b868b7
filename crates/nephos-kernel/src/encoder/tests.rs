use super::*;
use crate::format::Format;
use crate::gemm::Act;
use crate::linear::Linear;
use crate::norm::LayerNorm;
use crate::scratch::Scratch;

/// Numbers in [-1, 1] that look random, the same in every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// Sizes of the twelve weights, in the order of [`weights`].
fn sizes(width: usize, hidden: usize) -> [usize; 12] {
    [
        3 * width * width,
        3 * width,
        width * width,
        width,
        width * hidden,
        hidden,
        hidden * width,
        width,
        width,
        width,
        width,
        width,
    ]
}

fn layer<'a>(all: &'a [Vec<f32>], [heads, hidden]: [usize; 2], case: &Case) -> Layer<'a> {
    let width = all[3].len();
    let linear = |i: usize, sizes| Linear::plain(&all[i], sizes, Some(&all[i + 1]), Format::F32);
    let norm = |i: usize| LayerNorm {
        scale: all[i][..].into(),
        shift: all[i + 1][..].into(),
        epsilon: 1e-5,
    };
    Layer {
        in_proj: linear(0, [width, 3 * width]),
        out_proj: linear(2, [width, width]),
        linear1: linear(4, [width, hidden]),
        linear2: linear(6, [hidden, width]),
        norm1: norm(8),
        norm2: norm(10),
        heads,
        activation: case.activation,
        order: case.order,
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    sequences: Sequences,
    width: usize,
    /// Heads, and features of the feed-forward part.
    sizes: [usize; 2],
    order: Order,
    activation: Act,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, tokens, width, sizes) in [(2, 7, 8, [2, 12]), (1, 1, 4, [1, 3]), (1, 70, 6, [3, 5])]
    {
        for order in [Order::Post, Order::Pre] {
            for activation in [Act::Relu, Act::Gelu] {
                for rate in [0.0, 0.3] {
                    let sequences = Sequences {
                        batch,
                        tokens,
                        reach: None,
                        dropouts: Dropouts::new([1, 2, 3, 4], rate),
                    };
                    cases.push(Case {
                        sequences,
                        width,
                        sizes,
                        order,
                        activation,
                    });
                }
            }
        }
    }
    cases
}

/// A layer's output times `probe`, summed, by the definition.
fn probed(case: &Case, x: &[f64], all: &[Vec<f32>], probe: &[f32]) -> f64 {
    let layer = layer(all, case.sizes, case);
    let out = reference::forward(&layer, &case.sequences, x, all);
    out.iter().zip(probe).map(|(y, p)| y * f64::from(*p)).sum()
}

#[test]
fn outputs_and_all_gradients_are_those_of_the_definition() {
    // Of a step of weights that f32 holds exactly.
    const STEP: f32 = 1.0 / 4096.0;
    for case in cases() {
        let (sequences, width) = (&case.sequences, case.width);
        let numbers_of_x = sequences.batch * sequences.tokens * width;
        let (x, probe) = (numbers(numbers_of_x, 1), numbers(numbers_of_x, 2));
        let mut all: Vec<_> = (3..)
            .zip(sizes(width, case.sizes[1]))
            .map(|(seed, count)| numbers(count, seed))
            .collect();
        let exact_x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();

        let layer = layer(&all, case.sizes, &case);
        let mut scratch = Scratch::default();
        let mut saved = Saved::default();
        let mut forward = |saved| layer.forward(&x, sequences, saved, &mut scratch, &mut |_| ());
        let out = forward(Some(&mut saved));
        let expected = reference::forward(&layer, sequences, &exact_x, &all);
        for out in [&out, &forward(None)] {
            for (ours, exact) in out.iter().zip(&expected) {
                let off = (f64::from(*ours) - exact).abs();
                assert!(off < 2e-5, "{case:?}: {ours} {exact}");
            }
        }

        let gradients = layer.backward(&x, sequences, &saved, &probe);
        let check = |ours: f32, exact: f64, what: &str, at: usize| {
            let error = (f64::from(ours) - exact).abs();
            // Differences across a kink of ReLU are of the size of the step.
            assert!(
                error < 3e-3 * exact.abs().max(1.0),
                "{case:?}: {what}[{at}]: {ours} {exact}"
            );
        };
        for at in (0..x.len()).step_by(x.len() / 20 + 1) {
            let moved = |by: f64| {
                let mut x = exact_x.clone();
                x[at] += by;
                probed(&case, &x, &all, &probe)
            };
            check(
                gradients.x[at],
                (moved(1e-4) - moved(-1e-4)) / 2e-4,
                "x",
                at,
            );
        }
        let pairs = [
            ("in_proj", &gradients.in_proj),
            ("out_proj", &gradients.out_proj),
            ("linear1", &gradients.linear1),
            ("linear2", &gradients.linear2),
            ("norm1", &gradients.norm1),
            ("norm2", &gradients.norm2),
        ];
        let named = pairs
            .into_iter()
            .flat_map(|(name, pair)| pair.iter().map(move |g| (name, g)));
        for (index, (name, gradient)) in named.enumerate() {
            assert_eq!(gradient.len(), all[index].len(), "{name}");
            for at in (0..gradient.len()).step_by(gradient.len() / 8 + 1) {
                let value = all[index][at];
                let mut moved = |to: f32| {
                    all[index][at] = to;
                    probed(&case, &exact_x, &all, &probe)
                };
                let (above, below) = (moved(value + STEP), moved(value - STEP));
                all[index][at] = value;
                let step = f64::from(value + STEP) - f64::from(value - STEP);
                check(gradient[at], (above - below) / step, name, at);
            }
        }
    }
}
