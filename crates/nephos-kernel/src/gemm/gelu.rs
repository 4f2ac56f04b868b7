//! The Gaussian error linear unit.

use super::isa::on_best_isa;

/// The error function is `z P(z²) / Q(z²)` up to here and ±1 beyond, where it
/// differs from that by less than a rounding error.
const END: f32 = 3.9;

/// Coefficients of P, fitted to the error function for the least greatest error.
const P: [f32; 6] = [
    std::f32::consts::FRAC_2_SQRT_PI,
    0.191_936_18,
    0.052_966_304,
    0.003_836_676_7,
    0.000_287_454_02,
    2.050_44e-6,
];

/// Coefficients of Q.
const Q: [f32; 6] = [
    1.0,
    0.503_430_8,
    0.114_756_23,
    0.015_108_803,
    0.001_181_688_5,
    3.823_112e-5,
];

on_best_isa! {
    /// `x Φ(x)` of each number, Φ the normal distribution function; the error is
    /// below 1e-6 for |x| < 4 and below 3e-7 |x| anywhere.
    ///
    /// Hendrycks & Gimpel 2016, doi:10.48550/arXiv.1606.08415.
    pub fn gelu_in_place[](numbers: &mut [f32]) = each;
}

#[inline(always)]
fn each<const FUSED: bool>(numbers: &mut [f32]) {
    for x in numbers {
        *x = gelu::<FUSED>(*x);
    }
}

/// `FUSED` multiply-adds are for processors that have them: elsewhere they are slow.
#[inline(always)]
fn gelu<const FUSED: bool>(x: f32) -> f32 {
    let multiply_add = |a: f32, b: f32, c: f32| {
        if FUSED { a.mul_add(b, c) } else { a * b + c }
    };
    let z = x * std::f32::consts::FRAC_1_SQRT_2;
    let square = z * z;
    let (mut p, mut q) = (P[5], Q[5]);
    for i in (0..5).rev() {
        p = multiply_add(p, square, P[i]);
        q = multiply_add(q, square, Q[i]);
    }
    let erf = z * p / q;
    let erf = if z.abs() < END { erf } else { z.signum() };
    let half = 0.5 * x;
    multiply_add(half, erf, half)
}

#[cfg(test)]
mod tests {
    use super::super::reference::erf;
    use super::*;

    #[test]
    fn gelu_is_that_of_the_series() {
        let all: Vec<f32> = (-8000..=8000).map(|i| i as f32 / 1000.0).collect();
        let mut fast = all.clone();
        gelu_in_place(&mut fast);
        for (&x, fast) in all.iter().zip(fast) {
            let exact = 0.5 * f64::from(x) * (1.0 + erf(f64::from(x) / 2f64.sqrt()));
            let bound = f64::max(1e-6, 3e-7 * f64::from(x.abs()));
            for y in [fast, gelu::<false>(x)] {
                assert!(
                    (f64::from(y) - exact).abs() < bound,
                    "{x}: {y}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn gelu_has_its_limits() {
        let mut x = [1e9, -1e9, f32::INFINITY, 0.0, f32::NAN];
        gelu_in_place(&mut x);
        assert_eq!(x[..4], [1e9, 0.0, f32::INFINITY, 0.0]);
        assert!(x[4].is_nan());
    }
}
