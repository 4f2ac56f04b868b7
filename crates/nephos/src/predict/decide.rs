//! From class scores to classes and probabilities.

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};
use rayon::prelude::*;

use super::decision::Threshold;
use crate::class::IGNORE;

/// The class of each pixel, 255 where not `valid`: the likeliest, or that of a
/// `threshold`; a tie goes to the lower code. With `softmax`, `scores` become
/// probabilities, NaN where not valid.
///
/// # Shapes
/// - scores: `[classes, height, width]`, finite, at most 255 classes
/// - valid: `[height, width]`
pub(super) fn decide(
    scores: &mut Array3<f32>,
    valid: ArrayView2<'_, bool>,
    softmax: bool,
    threshold: Option<&Threshold>,
) -> Array2<u8> {
    let mut classes = Array2::from_elem(valid.raw_dim(), IGNORE);
    let rows: Vec<_> = (scores.axis_iter_mut(Axis(1)))
        .zip(valid.outer_iter())
        .zip(classes.outer_iter_mut())
        .collect();
    rows.into_par_iter().for_each(|((scores, valid), classes)| {
        decide_row(scores, valid, classes, softmax, threshold);
    });
    classes
}

/// As [`decide`], for one row: `scores` is `[classes, width]`.
fn decide_row(
    mut scores: ArrayViewMut2<'_, f32>,
    valid: ArrayView1<'_, bool>,
    mut classes: ArrayViewMut1<'_, u8>,
    softmax: bool,
    threshold: Option<&Threshold>,
) {
    let mut highest = vec![f32::NEG_INFINITY; valid.len()];
    for (code, scores) in (0u8..).zip(scores.outer_iter()) {
        for ((score, highest), class) in scores.iter().zip(&mut highest).zip(&mut classes) {
            if *score > *highest {
                (*highest, *class) = (*score, code);
            }
        }
    }
    if softmax || threshold.is_some() {
        softmax_row(scores.view_mut(), valid, &highest);
    }
    if let Some(threshold) = threshold {
        for (pixel, class) in scores.axis_iter(Axis(1)).zip(&mut classes) {
            *class = threshold.class_of(pixel);
        }
    }
    for (class, valid) in classes.iter_mut().zip(valid) {
        if !valid {
            *class = IGNORE;
        }
    }
}

/// Scores as probabilities, NaN where not valid; `highest` is the largest score of
/// each pixel.
fn softmax_row(mut scores: ArrayViewMut2<'_, f32>, valid: ArrayView1<'_, bool>, highest: &[f32]) {
    let mut sums = vec![0.0; valid.len()];
    for mut scores in scores.outer_iter_mut() {
        for ((score, highest), sum) in scores.iter_mut().zip(highest).zip(&mut sums) {
            *score = (*score - highest).exp();
            *sum += *score;
        }
    }
    for mut scores in scores.outer_iter_mut() {
        for ((score, sum), valid) in scores.iter_mut().zip(&sums).zip(valid) {
            *score = if *valid { *score / sum } else { f32::NAN };
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::decision::Decision;
    use super::*;
    use crate::config::{CalibrationConfig, ThresholdConfig};

    #[test]
    fn a_threshold_asks_for_the_group_before_the_class() {
        // Probabilities of three pixels: clear, thick, thin, shadow.
        let p = [
            [0.6, 0.1, 0.25, 0.05],
            [0.7, 0.2, 0.09, 0.01],
            [0.3, 0.3, 0.2, 0.2],
        ];
        let scores = |calibrate: &Decision| {
            let mut scores = Array3::from_shape_fn((4, 1, 3), |(c, _, x)| f32::ln(p[x][c]));
            calibrate.calibrate(&mut scores);
            scores
        };
        let valid = array![[true, true, false]];
        let decided = |threshold: Option<ThresholdConfig>, temperature: f64| {
            let config = CalibrationConfig {
                temperature,
                threshold,
                ..CalibrationConfig::default()
            };
            let decision = Decision::new(&config, 4);
            let mut scores = scores(&decision);
            let classes = decide(&mut scores, valid.view(), true, decision.threshold());
            (classes, scores)
        };
        assert_eq!(decided(None, 1.0).0, array![[0, 0, 255]]);
        let cloud = |probability| Some(ThresholdConfig::by_user(vec![1, 2], probability));
        let (classes, scores) = decided(cloud(0.3), 1.0);
        assert_eq!(classes, array![[2, 0, 255]], "thin is the likelier cloud");
        assert!((scores[[2, 0, 0]] - 0.25).abs() < 1e-6 && scores[[0, 0, 2]].is_nan());
        assert_eq!(decided(cloud(0.29), 1.0).0, array![[2, 1, 255]]);
        // A temperature of 2 makes probabilities proportional to their roots.
        let (_, scores) = decided(None, 2.0);
        let root = |x: f32| x.sqrt();
        let sum: f32 = p[0].map(root).iter().sum();
        assert!((scores[[0, 0, 0]] - root(0.6) / sum).abs() < 1e-6);
    }
}
