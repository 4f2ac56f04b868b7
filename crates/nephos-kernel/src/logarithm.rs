//! The logarithm, for loops that the compiler vectorises, and inputs companded by it.

use crate::versions::versions;

/// ln x for finite normal numbers, to 2e-7 absolute or 1e-7 relative.
#[inline(always)]
fn ln(x: f32) -> f32 {
    // x = m · 2^e with m from √½ to √2.
    const ROOT: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(ROOT);
    let exponent = (bits as i32) >> 23;
    let m = f32::from_bits((bits & 0x007f_ffff) + ROOT);
    // ln m = 2 artanh s, as a series.
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let rest = ((2.0 / 9.0 * square + 2.0 / 7.0) * square + 2.0 / 5.0) * square + 2.0 / 3.0;
    s * (2.0 + square * rest) + exponent as f32 * std::f32::consts::LN_2
}

versions! {
    /// `gain · ln(1 + mu · x) − shift` of each number, negative ones as 0.
    ///
    /// # Panics
    /// The slices differ in length.
    pub fn compand(from: &[f32], to: &mut [f32], mu: f32, gain: f32, shift: f32) {
        assert_eq!(from.len(), to.len(), "one number out for one in");
        for (x, to) in from.iter().zip(to) {
            let x = if *x > 0.0 { *x } else { 0.0 };
            *to = gain * ln(1.0 + mu * x) - shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_a_few_units_in_the_last_place() {
        let mut x = 1e-3f32;
        while x < 1e6 {
            let exact = f64::from(x).ln();
            let error = (f64::from(ln(x)) - exact).abs();
            assert!(error < 2e-7 + 1e-7 * exact.abs(), "{x}: {error:e}");
            x *= 1.000_37;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn what_is_negative_counts_as_nothing() {
        let mut to = [f32::NAN; 3];
        compand(&[-1.0, 0.0, 1.0], &mut to, 50.0, 4.0 / 51f32.ln(), 2.0);
        assert_eq!(to[..2], [-2.0, -2.0]);
        assert!((to[2] - 2.0).abs() < 1e-6);
    }
}
