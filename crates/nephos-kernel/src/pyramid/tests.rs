//! Layers against their definition, and gradients against differences.

use super::*;
use crate::conv::{Shape, Window};
use crate::format::Format;
use crate::gemm::Act;

const SHAPE: Shape = Shape {
    batch: 2,
    height: 3,
    width: 4,
};

fn numbers(count: usize, step: usize) -> Vec<f32> {
    let value = |i: usize| ((i * step + step / 3) % 23) as f32 * 0.125 - 1.3125;
    (0..count).map(value).collect()
}

/// Holds gradients to differences of `forward`'s output times `probe`, by every number
/// of every input.
fn check(inputs: &mut [Vec<f32>], gradients: &[Vec<f32>], value: impl Fn(&[Vec<f32>]) -> f64) {
    const STEP: f32 = 1.0 / 512.0;
    let mut sizes = vec![];
    for index in 0..inputs.len() {
        assert_eq!(inputs[index].len(), gradients[index].len(), "input {index}");
        for at in 0..inputs[index].len() {
            let mut moved = |by: f32| {
                inputs[index][at] += by;
                let value = value(inputs);
                inputs[index][at] -= by;
                value
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
            let gradient = f64::from(gradients[index][at]);
            let room = 0.02 * (1.0 + slope.abs());
            assert!(
                (slope - gradient).abs() < room,
                "input {index} at {at}: {slope} {gradient}"
            );
            sizes.push(gradient.abs());
        }
    }
    assert!(sizes.iter().any(|size| *size > 0.1), "gradients are there");
}

fn probed(out: &[f32], probe: &[f32]) -> f64 {
    assert_eq!(out.len(), probe.len());
    let terms = out.iter().zip(probe);
    terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn convolution_has_the_gradients_of_its_output() {
    let conv = Convolve {
        shape: SHAPE,
        inputs: 3,
        outputs: 5,
        window: Window {
            kernel: [3, 3],
            stride: 2,
            padding: [1, 1],
        },
        format: Format::F32,
    };
    let mut inputs = [numbers(72, 5), numbers(135, 7), numbers(5, 3)];
    let probe = numbers(2 * 2 * 2 * 5, 11);
    let gradients = conv.backward(&inputs[0], &inputs[1], &probe, true);
    check(&mut inputs, &gradients, |x| {
        probed(&conv.forward(&x[0], &x[1], &x[2], Act::None), &probe)
    });
    let without = conv.backward(&inputs[0], &inputs[1], &probe, false);
    assert!(without[0].is_empty());
    assert_eq!(without[1..], gradients[1..]);
}

#[test]
fn residual_block_has_the_gradients_of_its_output() {
    let block = Residual {
        shape: SHAPE,
        width: 3,
        format: Format::F32,
    };
    let mut inputs = [
        numbers(72, 5),
        numbers(81, 7),
        numbers(3, 3),
        numbers(81, 11),
        numbers(3, 9),
        vec![0.375],
    ];
    let probe = numbers(72, 13);
    let weights = |x: &[Vec<f32>]| -> (Vec<f32>, [Vec<f32>; 4], f32) {
        let [x0, a, b, c, d] = [0, 1, 2, 3, 4].map(|i| x[i].clone());
        (x0, [a, b, c, d], x[5][0])
    };
    let forward = |x: &[Vec<f32>]| {
        let (x, [w1, b1, w2, b2], gain) = weights(x);
        let weights = ResidualWeights {
            conv1: [&w1, &b1],
            conv2: [&w2, &b2],
            gain,
        };
        let (out, saved) = block.forward(&x, &weights);
        let (of_x, [[w1, b1], [w2, b2]], gain) = block.backward(&x, &weights, &saved, &probe);
        (out, [of_x, w1, b1, w2, b2, vec![gain]])
    };
    let (out, gradients) = forward(&inputs);
    // By its definition, of layers that are tested on their own.
    let conv = Convolve::same(SHAPE, [3; 2], Format::F32);
    let hidden = conv.forward(&relu(&inputs[0]), &inputs[1], &inputs[2], Act::None);
    let branch = conv.forward(&relu(&hidden), &inputs[3], &inputs[4], Act::None);
    for ((out, x), branch) in out.iter().zip(&inputs[0]).zip(&branch) {
        assert!((out - (x + 0.375 * branch).max(0.0)).abs() < 1e-5);
    }
    check(&mut inputs, &gradients, |x| probed(&forward(x).0, &probe));
}

#[test]
fn merged_grids_have_the_gradients_of_their_output() {
    for detail in [0, 2] {
        let merge = Merge {
            shape: SHAPE,
            inputs: 4,
            detail,
            width: 3,
            format: Format::F32,
        };
        let mut inputs = [
            numbers(96, 5),
            numbers(96 * detail, 3),
            numbers(12, 7),
            numbers(3, 5),
            numbers(3 * (3 + detail) * 9, 11),
            numbers(3, 9),
        ];
        let probe = numbers(2 * 6 * 8 * 3, 13);
        let forward = |x: &[Vec<f32>]| {
            let weights = MergeWeights {
                reduce: [&x[2], &x[3]],
                join: [&x[4], &x[5]],
            };
            let (out, joined) = merge.forward(&x[0], &x[1], &weights, Act::None);
            let gradients = merge.backward(&x[0], &weights, &joined, &probe);
            (out, joined, gradients)
        };
        let (_, joined, gradients) = forward(&inputs);
        // The cell of the second image's last row and column, and its detail.
        let last = &joined[joined.len() - 3 - detail..];
        let x = &inputs[0][92..];
        for (k, value) in last[..3].iter().enumerate() {
            let sum: f32 = (0..4).map(|c| x[c] * inputs[2][k * 4 + c]).sum();
            assert!((value - sum - inputs[3][k]).abs() < 1e-5);
        }
        assert_eq!(last[3..], inputs[1][96 * detail - detail..]);
        check(&mut inputs, &gradients, |x| probed(&forward(x).0, &probe));
    }
}
