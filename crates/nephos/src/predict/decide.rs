//! From class scores to classes and probabilities.

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::class::IGNORE;

/// The likeliest class of each pixel, 255 where not `valid`; a tie goes to the lower
/// code. With `softmax`, `scores` become probabilities, NaN where not valid.
///
/// # Shapes
/// - scores: `[classes, height, width]`, finite, at most 255 classes
/// - valid: `[height, width]`
pub(super) fn decide(
    scores: &mut Array3<f32>,
    valid: ArrayView2<'_, bool>,
    softmax: bool,
) -> Array2<u8> {
    let mut classes = Array2::from_elem(valid.raw_dim(), IGNORE);
    let rows: Vec<_> = (scores.axis_iter_mut(Axis(1)))
        .zip(valid.outer_iter())
        .zip(classes.outer_iter_mut())
        .collect();
    rows.into_par_iter()
        .for_each(|((scores, valid), classes)| decide_row(scores, valid, classes, softmax));
    classes
}

/// As [`decide`], for one row: `scores` is `[classes, width]`.
fn decide_row(
    mut scores: ArrayViewMut2<'_, f32>,
    valid: ArrayView1<'_, bool>,
    mut classes: ArrayViewMut1<'_, u8>,
    softmax: bool,
) {
    let mut highest = vec![f32::NEG_INFINITY; valid.len()];
    for (code, scores) in (0u8..).zip(scores.outer_iter()) {
        for ((score, highest), class) in scores.iter().zip(&mut highest).zip(&mut classes) {
            if *score > *highest {
                (*highest, *class) = (*score, code);
            }
        }
    }
    for (class, valid) in classes.iter_mut().zip(valid) {
        if !valid {
            *class = IGNORE;
        }
    }
    if !softmax {
        return;
    }
    let mut sums = vec![0.0; valid.len()];
    for mut scores in scores.outer_iter_mut() {
        for ((score, highest), sum) in scores.iter_mut().zip(&highest).zip(&mut sums) {
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
