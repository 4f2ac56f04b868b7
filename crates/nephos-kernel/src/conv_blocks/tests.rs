//! Layers against their definition, and gradients against differences.

use super::*;
use crate::conv::{Shape, Window};
use crate::format::Format;
use crate::gemm::Act;
use crate::scratch::{Buffer, Scratch};

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
            let tolerance = 0.02 * (1.0 + slope.abs());
            assert!(
                (slope - gradient).abs() < tolerance,
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

fn conv<'a>(
    [weight, bias]: [&'a [f32]; 2],
    sizes: [usize; 2],
    [side, stride]: [usize; 2],
) -> Conv<'a> {
    let window = Window {
        kernel: [side; 2],
        stride,
        padding: [side / 2; 2],
    };
    Conv::new(weight.into(), bias.into(), sizes, window, Some(Format::F32))
}

fn output(conv: &Conv<'_>, grid: &[f32], shape: Shape) -> Vec<f32> {
    let mut out = vec![f32::NAN; conv.numbers(shape)];
    conv.forward(grid, shape, Act::None, None, &mut out);
    out
}

fn relu(x: &[f32]) -> Vec<f32> {
    x.iter().map(|x| x.max(0.0)).collect()
}

#[test]
fn convolution_has_the_gradients_of_its_output() {
    for input_relu in [false, true] {
        let conv = |x: &[Vec<f32>]| {
            let conv = conv([&x[1], &x[2]].map(|x| &x[..]), [3, 5], [3, 2]);
            let numbers = output(
                &conv,
                &if input_relu {
                    relu(&x[0])
                } else {
                    x[0].clone()
                },
                SHAPE,
            );
            match input_relu {
                true => (
                    numbers,
                    conv.with_input_relu()
                        .backward(&x[0], SHAPE, &probe(), true),
                ),
                false => (numbers, conv.backward(&x[0], SHAPE, &probe(), true)),
            }
        };
        fn probe() -> Vec<f32> {
            numbers(2 * 2 * 2 * 5, 11)
        }
        let mut inputs = [numbers(72, 5), numbers(135, 7), numbers(5, 3)];
        let (_, gradients) = conv(&inputs);
        check(&mut inputs, &gradients, |x| probed(&conv(x).0, &probe()));
    }
}

#[test]
fn the_gradient_by_a_grid_is_left_out() {
    let (grid, weight, bias) = (numbers(72, 5), numbers(135, 7), numbers(5, 3));
    let conv = conv([&weight, &bias], [3, 5], [3, 2]);
    let probe = numbers(40, 11);
    let all = conv.backward(&grid, SHAPE, &probe, true);
    let without = conv.backward(&grid, SHAPE, &probe, false);
    assert!(without[0].is_empty());
    assert_eq!(without[1..], all[1..]);
}

#[test]
fn residual_block_has_the_gradients_of_its_output() {
    let mut inputs = [
        numbers(72, 5),
        numbers(81, 7),
        numbers(3, 3),
        numbers(81, 11),
        numbers(3, 9),
        vec![0.375],
    ];
    let probe = numbers(72, 13);
    let both = |x: &[Vec<f32>]| {
        let convs = [[&x[1], &x[2]], [&x[3], &x[4]]].map(|conv| conv.map(|x| (&x[..]).into()));
        let block = Block::new(convs, x[5][0], 3, Some(Format::F32));
        let mut saved = Buffer::default();
        let out = block.forward(&x[0], SHAPE, Some(&mut saved), &mut Scratch::default());
        let by = block.backward(&x[0], SHAPE, &saved, &probe);
        let again = block.backward(&x[0], SHAPE, &[], &probe);
        assert_eq!(by.x, again.x);
        let [[w1, b1], [w2, b2]] = by.convs;
        (out, [by.x, w1, b1, w2, b2, vec![by.gain]])
    };
    let (out, gradients) = both(&inputs);
    // By its definition, of layers that are tested on their own.
    let layer = |i: usize| conv([&inputs[i], &inputs[i + 1]], [3; 2], [3, 1]);
    let hidden = output(&layer(1), &relu(&inputs[0]), SHAPE);
    let branch = output(&layer(3), &relu(&hidden), SHAPE);
    for ((out, x), branch) in out.iter().zip(&inputs[0]).zip(&branch) {
        assert!((out - (x + 0.375 * branch)).abs() < 1e-5);
    }
    check(&mut inputs, &gradients, |x| probed(&both(x).0, &probe));
}

#[test]
fn merged_grids_have_the_gradients_of_their_output() {
    for (detail, input_relu) in [(0, false), (2, false), (2, true)] {
        let mut inputs = [
            numbers(96, 5),
            numbers(96 * detail, 3),
            numbers(12, 7),
            numbers(3, 5),
            numbers(3 * (3 + detail) * 9, 11),
            numbers(3, 9),
        ];
        let probe = numbers(2 * 6 * 8 * 3, 13);
        let both = |x: &[Vec<f32>]| {
            let merge = Merge {
                reduce: conv([&x[2], &x[3]], [4, 3], [1, 1]).with_input_relu(),
                join: conv([&x[4], &x[5]], [3 + detail, 3], [3, 1]),
                detail,
            };
            let (mut joined, mut scratch) = (Buffer::default(), Scratch::default());
            let appended = (&x[1][..], input_relu);
            let out = merge.forward(&x[0], SHAPE, appended, Some(&mut joined), &mut scratch);
            let by = merge.backward(&x[0], SHAPE, input_relu, &joined, &probe);
            let ([w1, b1], [w2, b2]) = (by.reduce, by.join);
            (out, joined, [by.x, by.detail, w1, b1, w2, b2])
        };
        let (_, joined, mut gradients) = both(&inputs);
        // The cell of the second image's last row and column, and its detail.
        let last = &joined[joined.len() - 3 - detail..];
        let x = relu(&inputs[0][92..]);
        for (k, value) in last[..3].iter().enumerate() {
            let sum: f32 = (0..4).map(|c| x[c] * inputs[2][k * 4 + c]).sum();
            assert!((value - sum - inputs[3][k]).abs() < 1e-5);
        }
        if !input_relu {
            assert_eq!(last[3..], inputs[1][96 * detail - detail..]);
            assert!(gradients[1].is_empty());
        }
        let value = |x: &[Vec<f32>]| probed(&both(x).0, &probe);
        if gradients[1].is_empty() {
            let detail = std::mem::take(&mut inputs[1]);
            gradients[1] = Vec::new();
            check(&mut inputs, &gradients, |x| {
                let mut x = x.to_vec();
                x[1].clone_from(&detail);
                value(&x)
            });
        } else {
            check(&mut inputs, &gradients, value);
        }
    }
}
