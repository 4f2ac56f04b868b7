//! Smoothing of a plane of which only some pixels count.

use ndarray::{Array2, ArrayView1};

/// `Σ k w x / Σ k w` with a Gaussian `k` of standard deviation `sigma` pixels, and
/// `Σ k w`, which is at most 1; where that is 0, the plane is 0. Outside of the plane
/// nothing counts.
///
/// # Shapes
/// - plane, weight and both outputs: `[height, width]`
pub(super) fn gaussian(
    plane: &Array2<f32>,
    weight: &Array2<f32>,
    sigma: f64,
) -> (Array2<f32>, Array2<f32>) {
    let kernel = kernel(sigma);
    let pass = |values: &Array2<f32>| along_cols(&along_rows(values, &kernel), &kernel);
    divided(pass(&(plane * weight)), pass(weight))
}

/// As [`gaussian`], by three running means that come near a Gaussian (Wells 1986): the
/// time does not grow with `sigma`.
pub(super) fn wide(
    plane: &Array2<f32>,
    weight: &Array2<f32>,
    sigma: f64,
) -> (Array2<f32>, Array2<f32>) {
    // The variance of three means over `2 r + 1` pixels is `r (r + 1)`.
    let radius = ((sigma * sigma + 0.25).sqrt() - 0.5).round().max(1.0) as usize;
    let pass = |values: Array2<f32>| {
        let mut values = values;
        for _ in 0..2 {
            for _ in 0..3 {
                for mut row in values.outer_iter_mut() {
                    let line: Vec<f32> = row.to_vec();
                    running_mean(&line, radius, |col, mean| row[col] = mean);
                }
            }
            values = values.t().to_owned();
        }
        values
    };
    divided(pass(plane * weight), pass(weight.clone()))
}

/// Weights that sum to 1; one weight where the Gaussian is narrower than a pixel.
fn kernel(sigma: f64) -> Vec<f32> {
    if sigma < 1e-3 {
        return vec![1.0];
    }
    let radius = (3.0 * sigma).ceil() as i64;
    let bell = |x: i64| (-0.5 * (x as f64 / sigma).powi(2)).exp();
    let sum: f64 = (-radius..=radius).map(bell).sum();
    (-radius..=radius).map(|x| (bell(x) / sum) as f32).collect()
}

/// Each row by itself.
fn along_rows(values: &Array2<f32>, kernel: &[f32]) -> Array2<f32> {
    let (_, width) = values.dim();
    let radius = kernel.len() / 2;
    let mut out = Array2::zeros(values.dim());
    let mut line = vec![0.0; width + 2 * radius];
    for (row, mut out) in values.outer_iter().zip(out.outer_iter_mut()) {
        for (place, value) in line[radius..].iter_mut().zip(&row) {
            *place = *value;
        }
        for (tap, weight) in kernel.iter().enumerate() {
            out.scaled_add(*weight, &ArrayView1::from(&line[tap..tap + width]));
        }
    }
    out
}

/// Each column by itself.
fn along_cols(values: &Array2<f32>, kernel: &[f32]) -> Array2<f32> {
    let (height, _) = values.dim();
    let radius = kernel.len() / 2;
    let mut out = Array2::zeros(values.dim());
    for (row, mut out) in out.outer_iter_mut().enumerate() {
        let (first, last) = (row.saturating_sub(radius), (row + radius + 1).min(height));
        for from in first..last {
            out.scaled_add(kernel[from + radius - row], &values.row(from));
        }
    }
    out
}

fn running_mean(line: &[f32], radius: usize, mut set: impl FnMut(usize, f32)) {
    let length = (2 * radius + 1) as f64;
    let mut sum: f64 = line.iter().take(radius).map(|v| f64::from(*v)).sum();
    for col in 0..line.len() {
        sum += line.get(col + radius).map_or(0.0, |v| f64::from(*v));
        set(col, (sum / length) as f32);
        sum -= col
            .checked_sub(radius)
            .map_or(0.0, |gone| f64::from(line[gone]));
    }
}

/// What is left of weights this small is rounding.
const LEAST: f32 = 1e-6;

fn divided(mut sum: Array2<f32>, weight: Array2<f32>) -> (Array2<f32>, Array2<f32>) {
    sum.zip_mut_with(&weight, |sum, weight| {
        *sum = if *weight > LEAST { *sum / weight } else { 0.0 };
    });
    (sum, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_plane_stays_even_whatever_counts() {
        let plane = Array2::from_elem((9, 12), 0.4);
        let weight = Array2::from_shape_fn((9, 12), |(r, c)| ((r * 5 + c) % 3 == 0) as u8 as f32);
        for (smoothed, total) in [gaussian(&plane, &weight, 1.2), wide(&plane, &weight, 4.0)] {
            assert!(smoothed.iter().all(|v| (v - 0.4).abs() < 1e-4));
            assert!(total.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }

    #[test]
    fn both_forms_agree_about_a_spot() {
        let mut plane = Array2::zeros((81, 81));
        plane[[40, 40]] = 1.0;
        let weight = Array2::ones((81, 81));
        // Means over 11 pixels have this variance exactly.
        let sigma = 30f64.sqrt();
        let (narrow, _) = gaussian(&plane, &weight, sigma);
        let (wide, _) = wide(&plane, &weight, sigma);
        for col in [40, 43, 46] {
            let (narrow, wide) = (narrow[[40, col]], wide[[40, col]]);
            assert!((narrow - wide).abs() < 0.15 * narrow, "{narrow} {wide}");
        }
        assert!((wide.sum() - 1.0).abs() < 1e-2);
    }

    #[test]
    fn what_does_not_count_leaves_no_trace() {
        let mut plane = Array2::from_elem((5, 5), 1.0);
        let mut weight = Array2::ones((5, 5));
        (plane[[2, 2]], weight[[2, 2]]) = (1e6, 0.0);
        let (smoothed, _) = gaussian(&plane, &weight, 1.0);
        assert!(smoothed.iter().all(|v| (v - 1.0).abs() < 1e-4));
    }
}
