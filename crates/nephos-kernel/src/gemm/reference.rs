//! The product as one would write it, in f64.

use super::{Act, Epilogue, Matrix};

/// [`super::matmul`] with sums in f64 and GELU by a series.
pub(super) fn matmul(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
    epilogue: &Epilogue<'_>,
) {
    for i in 0..a.rows() {
        for j in 0..b.cols() {
            let at = i * out_stride + j;
            let mut sum: f64 = (0..a.cols())
                .map(|k| f64::from(a.at(i, k)) * f64::from(b.at(k, j)))
                .sum();
            sum += epilogue.bias.map_or(0.0, |bias| f64::from(bias[j]));
            if epilogue.accumulate {
                sum += f64::from(out[at]);
            }
            sum = match epilogue.activation {
                Act::None => sum,
                Act::Relu => sum.max(0.0),
                Act::Gelu => sum * distribution(sum),
            };
            sum += (epilogue.residual).map_or(0.0, |residual| f64::from(residual[at]));
            out[at] = sum as f32;
        }
    }
}

/// The normal distribution function.
fn distribution(x: f64) -> f64 {
    0.5 + 0.5 * erf(x / 2f64.sqrt())
}

/// The error function by its series of positive terms.
pub(super) fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..150 {
        term *= 2.0 * x * x / (2 * n + 1) as f64;
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}
