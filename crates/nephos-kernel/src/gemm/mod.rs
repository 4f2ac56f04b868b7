//! Products of matrices of `f32`.
//!
//! The right-hand matrix is packed into panels of columns, once for weights
//! ([`Packed`]) or on the fly ([`matmul_unpacked`]); bias, activation and
//! residual are applied while the product is stored ([`Epilogue`]).

mod epilogue;
mod matrix;
mod packed;

use rayon::prelude::*;

pub use epilogue::{Act, Epilogue};
pub use matrix::Matrix;
pub use packed::Packed;

/// `out = epilogue(a b)`.
///
/// # Shapes
/// - a: `[m, k]`
/// - b: `[k, n]`
/// - out: `m` rows of `n` numbers, `out_stride` apart; the numbers between them are left alone
///
/// # Panics
/// The shapes do not fit each other.
pub fn matmul(
    a: Matrix<'_>,
    b: &Packed,
    out: &mut [f32],
    out_stride: usize,
    epilogue: &Epilogue<'_>,
) {
    let (m, n) = (a.rows(), b.cols());
    assert_eq!(a.cols(), b.rows(), "columns of a, rows of b");
    if m == 0 || n == 0 {
        return;
    }
    assert!(out_stride >= n && out.len() >= (m - 1) * out_stride + n);
    epilogue.check(m, n, out_stride);
    out[..(m - 1) * out_stride + n]
        .par_chunks_mut(out_stride)
        .enumerate()
        .for_each(|(i, row)| {
            for j in (0..n).step_by(packed::PANEL) {
                let panel = b.panel(j / packed::PANEL);
                let mut sum = [0.0f32; packed::PANEL];
                for (k, b) in panel.chunks_exact(packed::PANEL).enumerate() {
                    let a = a.at(i, k);
                    for (sum, b) in sum.iter_mut().zip(b) {
                        *sum += a * b;
                    }
                }
                for (j, &sum) in (j..n.min(j + packed::PANEL)).zip(&sum) {
                    let mut x = sum + epilogue.bias.map_or(0.0, |bias| bias[j]);
                    if epilogue.accumulate {
                        x += row[j];
                    }
                    x = match epilogue.activation {
                        Act::None => x,
                        Act::Relu => x.max(0.0),
                        Act::Gelu => gelu(x),
                    };
                    let residual = epilogue.residual.map_or(0.0, |r| r[i * out_stride + j]);
                    row[j] = x + residual;
                }
            }
        });
}

/// [`matmul`] with a right-hand matrix that is packed on the way.
///
/// # Shapes
/// As [`matmul`].
///
/// # Panics
/// As [`matmul`].
pub fn matmul_unpacked(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
    epilogue: &Epilogue<'_>,
) {
    matmul(a, &Packed::new(b), out, out_stride, epilogue);
}

/// `x Φ(x)`; erf by Abramowitz & Stegun 7.1.26.
fn gelu(x: f32) -> f32 {
    let z = (x as f64 / std::f64::consts::SQRT_2).abs();
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let poly = t
        * (0.254829592
            + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let erf = 1.0 - poly * (-z * z).exp();
    let erf = if x < 0.0 { -erf } else { erf };
    (0.5 * x as f64 * (1.0 + erf)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_odd_sizes_is_right() {
        let (m, k, n) = (5, 7, 37);
        let a: Vec<f32> = (0..m * k).map(|i| (i % 11) as f32 - 5.0).collect();
        let b: Vec<f32> = (0..k * n).map(|i| (i % 13) as f32 - 6.0).collect();
        let mut out = vec![0.0; m * n];
        matmul_unpacked(
            Matrix::new(&a, m, k),
            Matrix::new(&b, k, n),
            &mut out,
            n,
            &Epilogue::default(),
        );
        for i in 0..m {
            for j in 0..n {
                let sum: f32 = (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
                assert_eq!(out[i * n + j], sum);
            }
        }
    }
}
