//! Activation functions with dropout on their output, and back.

use rayon::prelude::*;

use crate::dropout::Dropout;
use crate::exponential::exp;
use crate::versions::versions;

/// Numbers that one task takes.
const BLOCK: usize = 1 << 14;

/// `values` times the factors of `dropout`, counted from the first.
pub(crate) fn drop(dropout: &Dropout, values: &mut [f32]) {
    if !dropout.is_off() {
        let blocks = values.par_chunks_mut(BLOCK).enumerate();
        blocks.for_each(|(i, values)| dropout.apply((i * BLOCK) as u64, values));
    }
}

/// As [`drop`], and `residual` added.
pub(crate) fn drop_and_add(dropout: &Dropout, residual: &[f32], values: &mut [f32]) {
    assert_eq!(residual.len(), values.len(), "residual and values");
    (values.par_chunks_mut(BLOCK))
        .zip(residual.par_chunks(BLOCK))
        .enumerate()
        .for_each(|(i, (values, residual))| {
            dropout.apply((i * BLOCK) as u64, values);
            values.iter_mut().zip(residual).for_each(|(x, r)| *x += r);
        });
}

/// The gradient by the input of a ReLU with dropout, in place of the gradient by
/// its output; `output` is positive where neither stopped a number.
pub(crate) fn relu_backward(output: &[f32], dropout: &Dropout, gradient: &mut [f32]) {
    assert_eq!(output.len(), gradient.len(), "outputs and gradients");
    (gradient.par_chunks_mut(BLOCK))
        .zip(output.par_chunks(BLOCK))
        .for_each(|(gradient, output)| relu_block(output, dropout.kept(), gradient));
}

/// `output = dropout(gelu(input))`, GELU as in `gemm::Act`.
pub(crate) fn gelu(input: &[f32], dropout: &Dropout, output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "inputs and outputs");
    (output.par_chunks_mut(BLOCK))
        .zip(input.par_chunks(BLOCK))
        .enumerate()
        .for_each(|(i, (output, input))| {
            gelu_block(input, output);
            dropout.apply((i * BLOCK) as u64, output);
        });
}

/// The gradient by the input of [`gelu`], in place of the gradient by its output.
pub(crate) fn gelu_backward(input: &[f32], dropout: &Dropout, gradient: &mut [f32]) {
    assert_eq!(input.len(), gradient.len(), "inputs and gradients");
    (gradient.par_chunks_mut(BLOCK))
        .zip(input.par_chunks(BLOCK))
        .enumerate()
        .for_each(|(i, (gradient, input))| {
            dropout.apply((i * BLOCK) as u64, gradient);
            gelu_slope_block(input, gradient);
        });
}

versions! {
    /// `to = max(from, 0)`; what is not a number stays.
    pub(crate) fn positive(from: &[f32], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = if *from < 0.0 { 0.0 } else { *from };
        }
    }
}

versions! {
    fn relu_block(output: &[f32], kept: f32, gradient: &mut [f32]) {
        for (gradient, output) in gradient.iter_mut().zip(output) {
            *gradient = if *output > 0.0 { kept * *gradient } else { 0.0 };
        }
    }
}

versions! {
    fn gelu_block(input: &[f32], output: &mut [f32]) {
        for (output, x) in output.iter_mut().zip(input) {
            *output = x * normal(*x).0;
        }
    }
}

versions! {
    fn gelu_slope_block(input: &[f32], gradient: &mut [f32]) {
        for (gradient, x) in gradient.iter_mut().zip(input) {
            let (below, density) = normal(*x);
            *gradient *= below + x * density;
        }
    }
}

/// The normal distribution's function and density, both to 2e-7: erf by Abramowitz
/// & Stegun 7.1.26.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const SERIES: [f32; 5] = [
        0.254_829_6,
        -0.284_496_74,
        1.421_413_7,
        -1.453_152,
        1.061_405_4,
    ];
    const DENSITY: f32 = 0.398_942_3;
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let mut sum = SERIES[4];
    for coefficient in SERIES[..4].iter().rev() {
        sum = sum * t + coefficient;
    }
    let beyond = 0.5 * sum * t * bell;
    let below = if x > 0.0 { 1.0 - beyond } else { beyond };
    (below, DENSITY * bell)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ∫ density from far below to x, by Simpson's rule.
    fn exact(x: f64) -> f64 {
        const STEPS: usize = 4000;
        let (low, high) = (0.0, x.abs());
        let step = (high - low) / STEPS as f64;
        let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
        let sum: f64 = (0..=STEPS)
            .map(|i| {
                let weight = match i {
                    0 | STEPS => 1.0,
                    _ => (2 + 2 * (i % 2)) as f64,
                };
                weight * density(low + i as f64 * step)
            })
            .sum();
        let half = sum * step / 3.0;
        if x > 0.0 { 0.5 + half } else { 0.5 - half }
    }

    #[test]
    fn gelu_and_its_slope_are_right() {
        let input: Vec<f32> = (-2000..=2000).map(|i| i as f32 * 0.00437).collect();
        let mut output = vec![f32::NAN; input.len()];
        gelu(&input, &Dropout::off(), &mut output);
        let mut slope = vec![1.0; input.len()];
        gelu_backward(&input, &Dropout::off(), &mut slope);
        for ((x, y), slope) in input.iter().zip(&output).zip(&slope) {
            let x = f64::from(*x);
            let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            assert!((f64::from(*y) - x * exact(x)).abs() < 6e-7, "{x}: {y}");
            let expected = exact(x) + x * density;
            assert!((f64::from(*slope) - expected).abs() < 6e-7, "{x}: {slope}");
        }
    }

    #[test]
    fn what_is_dropped_has_no_slope() {
        let dropout = Dropout::new(3, 0.4);
        let count = 2 * BLOCK + 5;
        let input: Vec<f32> = (0..count).map(|i| (i % 7) as f32 - 3.0).collect();
        let mut output = vec![f32::NAN; count];
        gelu(&input, &dropout, &mut output);
        let mut slope = vec![1.0; count];
        gelu_backward(&input, &dropout, &mut slope);
        let mut plain = vec![1.0; count];
        gelu_backward(&input, &Dropout::off(), &mut plain);
        let mut relu: Vec<f32> = input.iter().map(|x| x.max(0.0)).collect();
        drop(&dropout, &mut relu);
        let mut relu_slope = vec![1.0; count];
        relu_backward(&relu, &dropout, &mut relu_slope);
        for i in 0..count {
            let factor = dropout.scale(i as u64);
            assert_eq!(slope[i], plain[i] * factor);
            assert_eq!(output[i] == 0.0, factor == 0.0 || input[i] == 0.0);
            assert_eq!(relu_slope[i], if input[i] > 0.0 { factor } else { 0.0 });
        }
    }
}
