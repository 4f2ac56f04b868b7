//! The matrices of minimal filtering.
//!
//! `Y = Aᵀ [(G g) ⊙ (Bᵀ d)]` gives `outputs` values of the correlation of a filter
//! `g` of three numbers with `d`, from as many products as there are inputs
//! (Winograd 1980; for images Lavin & Gray 2016, doi:10.1109/CVPR.2016.435). They
//! follow from evaluating polynomials at some points and at infinity, and reading
//! their product back (Toom, Cook), transposed.

/// Numbers of a filter.
pub(super) const TAPS: usize = 3;

/// Outputs of a tile, along each side. With `n` of them filters take `(n + 2)²/9` times the
/// memory of the filters themselves, and an output `(n + 2)²/n²` multiplications instead of 9.
pub(super) const OUTPUTS: usize = 3;

/// Inputs of a tile, along each side.
pub(super) const INPUTS: usize = OUTPUTS + TAPS - 1;

/// The three matrices.
#[derive(Debug, Clone)]
pub(super) struct CookToom {
    /// `Bᵀ`.
    pub input: [[f32; INPUTS]; INPUTS],
    /// `G`.
    pub filter: [[f32; TAPS]; INPUTS],
    /// `Aᵀ`.
    pub output: [[f32; INPUTS]; OUTPUTS],
}

impl CookToom {
    pub(super) fn new() -> Self {
        /// Small ones: the error grows with their powers.
        const POINTS: [f64; INPUTS - 1] = [0.0, 1.0, -1.0, 2.0];
        let mut all = Self {
            input: [[0.0; INPUTS]; INPUTS],
            filter: [[0.0; TAPS]; INPUTS],
            output: [[0.0; INPUTS]; OUTPUTS],
        };
        for (row, &point) in POINTS.iter().enumerate() {
            let others = || POINTS.iter().copied().filter(|&other| other != point);
            let scale: f64 = others().map(|other| point - other).product();
            for (tap, filter) in all.filter[row].iter_mut().enumerate() {
                *filter = (point.powi(tap as i32) / scale) as f32;
            }
            for (power, output) in all.output.iter_mut().enumerate() {
                output[row] = point.powi(power as i32) as f32;
            }
            all.input[row] = with_roots(others());
        }
        // The point at infinity sees the highest power alone.
        all.filter[INPUTS - 1][TAPS - 1] = 1.0;
        all.output[OUTPUTS - 1][INPUTS - 1] = 1.0;
        all.input[INPUTS - 1] = with_roots(POINTS.iter().copied());
        all
    }
}

/// The coefficients, lowest first, of the polynomial with these roots and a
/// highest coefficient of one.
fn with_roots(roots: impl Iterator<Item = f64>) -> [f32; INPUTS] {
    let mut coefficients = [0.0; INPUTS];
    coefficients[0] = 1.0;
    for root in roots {
        for i in (0..INPUTS).rev() {
            let below = if i == 0 { 0.0 } else { coefficients[i - 1] };
            coefficients[i] = below - root * coefficients[i];
        }
    }
    coefficients.map(|x| x as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::noise;

    #[test]
    fn minimal_filtering_is_correlation() {
        let matrices = CookToom::new();
        let (data, filter) = (noise(INPUTS, 1), noise(TAPS, 2));
        let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let products: Vec<f32> = (0..INPUTS)
            .map(|i| dot(&matrices.filter[i], &filter) * dot(&matrices.input[i], &data))
            .collect();
        for i in 0..OUTPUTS {
            let direct = dot(&data[i..i + TAPS], &filter);
            let minimal = dot(&matrices.output[i], &products);
            assert!((direct - minimal).abs() < 3e-6, "{minimal}, not {direct}");
        }
    }
}
