//! An edge beyond which there is no data, as at the border of a swath.

use super::random::AugmentRng;
use crate::class::IGNORE;
use crate::data::Example;

/// Largest share of the sample's reach that is cut off.
const MOST: f64 = 0.6;

/// Cuts off what lies beyond a straight line of any direction: not valid, ignored, 0.
pub(crate) fn cut(example: &mut Example, rng: &mut AugmentRng) {
    let (height, width) = example.valid.dim();
    let (dy, dx) = rng.between(0.0, std::f64::consts::TAU).sin_cos();
    let along = |row: f64, col: f64| row * dy + col * dx;
    let corners = [
        along(0.0, 0.0),
        along(height as f64, 0.0),
        along(0.0, width as f64),
        along(height as f64, width as f64),
    ];
    let low = corners.iter().copied().fold(f64::INFINITY, f64::min);
    let high = corners.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let line = high - rng.unit() * MOST * (high - low);
    for row in 0..height {
        for col in 0..width {
            if along(row as f64 + 0.5, col as f64 + 0.5) > line {
                example.valid[[row, col]] = false;
                example.label[[row, col]] = IGNORE;
                example.image.slice_mut(ndarray::s![.., row, col]).fill(0.0);
            }
        }
    }
}
