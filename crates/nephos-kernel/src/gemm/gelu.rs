//! The Gaussian error linear unit.

/// `x Φ(x)` of each number.
pub(super) fn gelu_in_place(row: &mut [f32]) {
    for x in row {
        *x = gelu(*x);
    }
}

/// `x Φ(x)`; erf by Abramowitz & Stegun 7.1.26.
pub(super) fn gelu(x: f32) -> f32 {
    let z = (x as f64 / std::f64::consts::SQRT_2).abs();
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let poly = t
        * (0.254829592
            + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let erf = 1.0 - poly * (-z * z).exp();
    let erf = if x < 0.0 { -erf } else { erf };
    (0.5 * x as f64 * (1.0 + erf)) as f32
}
