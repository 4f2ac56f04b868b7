//! LayerNorm against its reference, and its gradients against differences.

use super::backward::backward_at;
use super::forward::forward_at;
use super::reference;
use super::*;
use crate::lanes::Level;

fn wave(count: usize, step: f32) -> Vec<f32> {
    (0..count)
        .map(|i| (i as f32 * step).sin() * 2.0 + 0.3)
        .collect()
}

fn exact(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

const SIZES: [(usize, usize); 9] = [
    (1, 1),
    (3, 2),
    (2, 7),
    (5, 16),
    (33, 17),
    (65, 31),
    (70, 48),
    (2, 256),
    (1, 1000),
];

#[test]
fn rows_are_normalised_as_in_the_reference() {
    for (rows, width) in SIZES {
        let x = wave(rows * width, 0.7);
        let (scale, shift) = (wave(width, 0.9), wave(width, 0.4));
        let norm = LayerNorm {
            scale: scale.into(),
            shift: shift.into(),
            epsilon: 1e-5,
        };
        let expected = reference::forward(&exact(&x), &norm);
        for level in Level::all() {
            let mut output = vec![f32::NAN; x.len()];
            forward_at(level, &x, &norm, &mut output, None);
            for (a, b) in output.iter().zip(&expected) {
                let error = (f64::from(*a) - b).abs();
                assert!(error < 2e-5, "{level:?} {rows} x {width}: {a} is not {b}");
            }
        }
    }
}

#[test]
fn gradients_are_those_of_differences() {
    for (rows, width) in SIZES.into_iter().filter(|(_, width)| *width < 60) {
        let x = wave(rows * width, 0.7);
        let (scale, shift) = (wave(width, 0.9), wave(width, 0.4));
        let gradient = wave(rows * width, 2.1);
        let norm = LayerNorm {
            scale: scale.into(),
            shift: shift.into(),
            epsilon: 1e-3,
        };
        let total = exact(&x);
        let objective = |total: &[f64]| reference::objective(total, &norm, &gradient);
        for level in Level::all() {
            let (mut output, mut saved) = (vec![0.0; x.len()], vec![0.0; 2 * rows]);
            forward_at(level, &x, &norm, &mut output, Some(&mut saved));
            let mut of_x = vec![f32::NAN; x.len()];
            let (mut of_scale, mut of_shift) = (vec![1.0; width], vec![2.0; width]);
            let of_weights = [&mut of_scale[..], &mut of_shift];
            backward_at(level, [&x, &saved, &gradient], &norm, &mut of_x, of_weights);
            for i in (0..x.len()).step_by(7) {
                let moved = |by: f64| {
                    let mut total = total.clone();
                    total[i] += by;
                    objective(&total)
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let error = (f64::from(of_x[i]) - slope).abs();
                assert!(
                    error < 1e-3 * slope.abs().max(1.0),
                    "{} is not {slope}",
                    of_x[i]
                );
            }
            let unit = LayerNorm {
                scale: vec![1.0; width].into(),
                shift: vec![0.0; width].into(),
                ..norm
            };
            let normal = reference::forward(&total, &unit);
            for feature in 0..width {
                let column = |y: &dyn Fn(usize) -> f64| {
                    (0..rows).map(|row| y(row * width + feature)).sum::<f64>()
                };
                let shift = 2.0 + column(&|i| f64::from(gradient[i]));
                assert!((f64::from(of_shift[feature]) - shift).abs() < 1e-3);
                let scale = 1.0 + column(&|i| f64::from(gradient[i]) * normal[i]);
                assert!((f64::from(of_scale[feature]) - scale).abs() < 1e-3);
            }
        }
    }
}

#[test]
fn a_large_mean_costs_no_digits_of_the_variance() {
    let x: Vec<f32> = (0..256).map(|i| 4096.0 + (i % 2) as f32).collect();
    let (scale, shift) = ([1.0; 256], [0.0; 256]);
    let norm = LayerNorm {
        scale: scale[..].into(),
        shift: shift[..].into(),
        epsilon: 0.0,
    };
    let mut output = vec![0.0; 256];
    forward(&x, &norm, &mut output, None);
    assert!(output.iter().all(|y| (y.abs() - 1.0).abs() < 1e-5));
}
