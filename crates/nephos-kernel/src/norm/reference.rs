//! LayerNorm and its gradients as they are written down, in f64.

use super::LayerNorm;

/// Normalised rows of `x`.
pub(super) fn forward(x: &[f64], norm: &LayerNorm<'_>) -> Vec<f64> {
    let width = norm.scale.len();
    let mut output = Vec::new();
    for row in x.chunks_exact(width) {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let deviation = (variance + f64::from(norm.epsilon)).sqrt();
        let weights = norm.scale.iter().zip(&*norm.shift);
        output.extend((row.iter().zip(weights)).map(|(x, (scale, shift))| {
            (x - mean) / deviation * f64::from(*scale) + f64::from(*shift)
        }));
    }
    output
}

/// `Σ gradient * forward(x)`.
pub(super) fn objective(x: &[f64], norm: &LayerNorm<'_>, gradient: &[f32]) -> f64 {
    let output = forward(x, norm);
    let pairs = output.iter().zip(gradient);
    pairs.map(|(y, g)| y * f64::from(*g)).sum()
}
