//! Smoothing of a plane of which only some pixels count.

use ndarray::{Array2, ArrayView1};

/// `Σ k w x / Σ k w` of planes `x` with the same weights `w`, and a `k` that falls off like
/// a Gaussian. Outside of the plane nothing counts.
#[derive(Debug)]
pub(crate) struct Smoothing<'a> {
    weight: &'a Array2<f32>,
    filter: Filter,
    /// `Σ k w`, at most 1.
    total: Array2<f32>,
}

#[derive(Debug)]
enum Filter {
    /// One side of a Gaussian's weights and the other.
    Gaussian(Vec<f32>),
    /// Three running means of this radius, which come near a Gaussian (Wells 1986): the
    /// time does not grow with it.
    Means(usize),
}

impl<'a> Smoothing<'a> {
    /// By a Gaussian of standard deviation `sigma` pixels.
    ///
    /// # Shapes
    /// - weight: `[height, width]`
    pub fn gaussian(weight: &'a Array2<f32>, sigma: f64) -> Self {
        Self::new(weight, Filter::Gaussian(kernel(sigma)))
    }

    /// As [`Smoothing::gaussian`] of a large `sigma`, by running means.
    pub fn wide(weight: &'a Array2<f32>, sigma: f64) -> Self {
        // The variance of three means over `2 r + 1` pixels is `r (r + 1)`.
        let radius = ((sigma * sigma + 0.25).sqrt() - 0.5).round().max(1.0) as usize;
        Self::new(weight, Filter::Means(radius))
    }

    fn new(weight: &'a Array2<f32>, filter: Filter) -> Self {
        let total = filter.apply(weight);
        Self {
            weight,
            filter,
            total,
        }
    }

    /// The plane smoothed; 0 where nothing counts.
    ///
    /// # Shapes
    /// - plane, output: as the weight
    pub fn of(&self, plane: &Array2<f32>) -> Array2<f32> {
        let mut sum = self.filter.apply(&(plane * self.weight));
        sum.zip_mut_with(&self.total, |sum, total| {
            *sum = if *total > LEAST { *sum / total } else { 0.0 };
        });
        sum
    }

    /// How much counts around each pixel, from 0 to 1.
    pub fn total(&self) -> &Array2<f32> {
        &self.total
    }
}

impl Filter {
    fn apply(&self, values: &Array2<f32>) -> Array2<f32> {
        match self {
            Self::Gaussian(kernel) => along_cols(&along_rows(values, kernel), kernel),
            Self::Means(radius) => means(values.clone(), *radius),
        }
    }
}

/// Three running means along the rows, three along the columns.
fn means(mut values: Array2<f32>, radius: usize) -> Array2<f32> {
    for _ in 0..2 {
        values = values.t().as_standard_layout().into_owned();
        for _ in 0..3 {
            values = running_mean(&values, radius);
        }
    }
    values
}

/// The mean of each number and of `radius` above and below it; beyond the plane are zeros.
fn running_mean(values: &Array2<f32>, radius: usize) -> Array2<f32> {
    let (height, width) = values.dim();
    let length = (2 * radius + 1) as f64;
    let mut sums = vec![0.0; width];
    let add = |sums: &mut [f64], row: usize, sign: f64| {
        for (sum, value) in sums.iter_mut().zip(values.row(row)) {
            *sum += sign * f64::from(*value);
        }
    };
    for row in 0..radius.min(height) {
        add(&mut sums, row, 1.0);
    }
    let mut means = Array2::zeros(values.dim());
    for (row, mut mean) in means.outer_iter_mut().enumerate() {
        if row + radius < height {
            add(&mut sums, row + radius, 1.0);
        }
        for (mean, sum) in mean.iter_mut().zip(&sums) {
            *mean = (sum / length) as f32;
        }
        if let Some(gone) = row.checked_sub(radius) {
            add(&mut sums, gone, -1.0);
        }
    }
    means
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

/// What is left of weights this small is rounding.
const LEAST: f32 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_plane_stays_constant_for_any_weights() {
        let plane = Array2::from_elem((9, 12), 0.4);
        let weight = Array2::from_shape_fn((9, 12), |(r, c)| ((r * 5 + c) % 3 == 0) as u8 as f32);
        for smoothing in [
            Smoothing::gaussian(&weight, 1.2),
            Smoothing::wide(&weight, 4.0),
        ] {
            let (smoothed, total) = (smoothing.of(&plane), smoothing.total());
            assert!(smoothed.iter().all(|v| (v - 0.4).abs() < 1e-4));
            assert!(total.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }

    #[test]
    fn kernel_and_running_means_agree_on_a_spot() {
        let mut plane = Array2::zeros((81, 81));
        plane[[40, 40]] = 1.0;
        let weight = Array2::ones((81, 81));
        // Means over 11 pixels have this variance exactly.
        let sigma = 30f64.sqrt();
        let narrow = Smoothing::gaussian(&weight, sigma).of(&plane);
        let wide = Smoothing::wide(&weight, sigma).of(&plane);
        for col in [40, 43, 46] {
            let (narrow, wide) = (narrow[[40, col]], wide[[40, col]]);
            assert!((narrow - wide).abs() < 0.15 * narrow, "{narrow} {wide}");
        }
        assert!((wide.sum() - 1.0).abs() < 1e-2);
    }

    #[test]
    fn pixels_of_weight_zero_have_no_influence() {
        let mut plane = Array2::from_elem((5, 5), 1.0);
        let mut weight = Array2::ones((5, 5));
        (plane[[2, 2]], weight[[2, 2]]) = (1e6, 0.0);
        let smoothed = Smoothing::gaussian(&weight, 1.0).of(&plane);
        assert!(smoothed.iter().all(|v| (v - 1.0).abs() < 1e-4));
    }
}
