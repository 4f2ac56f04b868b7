use super::*;
use crate::attention::Shape;
use crate::format::Format;
use crate::gemm::Act;

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

fn weights(all: &[Vec<f32>]) -> Weights<'_> {
    let linear = |i: usize| Linear {
        weight: &all[i],
        bias: &all[i + 1],
        format: Format::F32,
    };
    let norm = |i: usize| LayerNorm {
        scale: &all[i],
        shift: &all[i + 1],
        epsilon: 1e-5,
    };
    Weights {
        in_proj: linear(0),
        out_proj: linear(2),
        linear1: linear(4),
        linear2: linear(6),
        norm1: norm(8),
        norm2: norm(10),
    }
}

fn layers() -> Vec<(Layer, usize)> {
    let shape = |batch, tokens, width, heads| Shape {
        batch,
        tokens,
        width,
        heads,
    };
    let shapes = [
        (shape(2, 7, 8, 2), 12),
        (shape(1, 1, 4, 1), 3),
        (shape(1, 70, 6, 3), 5),
    ];
    let mut layers = Vec::new();
    for (shape, hidden) in shapes {
        for order in [Order::Post, Order::Pre] {
            for activation in [Act::Relu, Act::Gelu] {
                for rate in [0.0, 0.3] {
                    let dropouts = Dropouts::new([1, 2, 3, 4], rate);
                    layers.push((
                        Layer {
                            shape,
                            activation,
                            order,
                            dropouts,
                        },
                        hidden,
                    ));
                }
            }
        }
    }
    layers
}

/// A layer's output times `probe`, summed, by the definition.
fn probed(layer: &Layer, x: &[f64], all: &[Vec<f32>], probe: &[f32]) -> f64 {
    let out = reference::forward(layer, x, &weights(all));
    out.iter().zip(probe).map(|(y, p)| y * f64::from(*p)).sum()
}

#[test]
fn outputs_and_all_gradients_are_those_of_the_definition() {
    // Of a step of weights that f32 holds exactly.
    const STEP: f32 = 1.0 / 4096.0;
    for (layer, hidden) in layers() {
        let shape = layer.shape;
        let rows = shape.batch * shape.tokens;
        let x = numbers(rows * shape.width, 1);
        let probe = numbers(rows * shape.width, 2);
        let sizes = sizes(shape.width, hidden);
        let mut all: Vec<_> = (3..)
            .zip(sizes)
            .map(|(seed, count)| numbers(count, seed))
            .collect();
        let exact_x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();

        let (out, saved) = layer.forward(&x, &weights(&all));
        let expected = reference::forward(&layer, &exact_x, &weights(&all));
        for (ours, exact) in out.iter().zip(&expected) {
            assert!(
                (f64::from(*ours) - exact).abs() < 2e-5,
                "{layer:?}: {ours} {exact}"
            );
        }

        let gradients = layer.backward(&x, &weights(&all), &saved, &probe);
        let check = |ours: f32, exact: f64, what: &str, at: usize| {
            let error = (f64::from(ours) - exact).abs();
            // Differences across a kink of ReLU are of the size of the step.
            assert!(
                error < 3e-3 * exact.abs().max(1.0),
                "{layer:?}: {what}[{at}]: {ours} {exact}"
            );
        };
        for at in (0..x.len()).step_by(x.len() / 20 + 1) {
            let moved = |by: f64| {
                let mut x = exact_x.clone();
                x[at] += by;
                probed(&layer, &x, &all, &probe)
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
                    probed(&layer, &exact_x, &all, &probe)
                };
                let (above, below) = (moved(value + STEP), moved(value - STEP));
                all[index][at] = value;
                let step = f64::from(value + STEP) - f64::from(value - STEP);
                check(gradient[at], (above - below) / step, name, at);
            }
        }
    }
}
