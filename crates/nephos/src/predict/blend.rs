//! Overlapping windows become one map.

use std::ops::Range;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::scene::Plan;

/// Weight of a window's outermost pixels, on each axis; 1 in its middle.
const FLOOR: f32 = 0.01;

/// Rows that one thread blends at least.
const ROWS_PER_TASK: usize = 32;

/// Weighted means of class scores over the windows that contain a pixel.
///
/// Holds as many rows as a window has, in a ring, and so serves windows that come row
/// of windows by row of windows from the top: rows are taken out once no later window
/// reaches them. Means are updated as each window comes, m += (s − m)·w/W, so that
/// windows that agree on a pixel give exactly that value.
pub(super) struct Blender {
    classes: usize,
    size: [usize; 2],
    window: [usize; 2],
    /// Weight of each pixel along a window, for rows and columns.
    tapers: [Vec<f32>; 2],
    /// `[window rows, classes, width]`; row `y` of the scene is at `y` modulo the
    /// window's rows.
    means: Vec<f32>,
    /// `[window rows, width]`: sum of the weights so far.
    weights: Vec<f32>,
}

impl Blender {
    pub fn new(classes: usize, plan: &Plan) -> Self {
        let (rows, width) = (plan.window[0], plan.size[1]);
        Self {
            classes,
            size: plan.size,
            window: plan.window,
            tapers: plan.window.map(taper),
            means: vec![0.0; rows * classes * width],
            weights: vec![0.0; rows * width],
        }
    }

    /// Adds the scores `[classes, window rows, window columns]` of the window whose
    /// first row and column are `place`.
    pub fn add(&mut self, place: [isize; 2], scores: ArrayView3<'_, f32>) {
        let [top, left] = place;
        let [height, width] = self.size;
        let rows = self.window[0] as isize;
        let [row_taper, col_taper] = &self.tapers;
        let first = left.max(0) as usize;
        let end = ((left + self.window[1] as isize).max(0) as usize).min(width);
        if first >= end {
            return;
        }
        // From columns of the scene to those of the window.
        let within = (first as isize - left) as usize..(end as isize - left) as usize;
        self.means
            .par_chunks_mut(self.classes * width)
            .zip(self.weights.par_chunks_mut(width))
            .enumerate()
            .with_min_len(ROWS_PER_TASK)
            .for_each(|(slot, (means, weights))| {
                let row = (slot as isize - top).rem_euclid(rows);
                if !(0..height as isize).contains(&(top + row)) {
                    return;
                }
                let row = row as usize;
                let weights = &mut weights[first..end];
                let shares: Vec<f32> = (weights.iter_mut().zip(&col_taper[within.clone()]))
                    .map(|(sum, weight)| {
                        let weight = weight * row_taper[row];
                        *sum += weight;
                        weight / *sum
                    })
                    .collect();
                for (class, means) in means.chunks_exact_mut(width).enumerate() {
                    let scores = scores.slice(ndarray::s![class, row, within.clone()]);
                    for ((mean, score), share) in
                        means[first..end].iter_mut().zip(scores).zip(&shares)
                    {
                        *mean += (score - *mean) * share;
                    }
                }
            });
    }

    /// The scores `[classes, rows, columns]` of `rows` rows from `first`, whose places
    /// are then free for the rows one window further down, in the columns `columns`; 0 where no
    /// window was added.
    pub fn take(&mut self, first: usize, rows: usize, columns: Range<usize>) -> Array3<f32> {
        let (classes, width) = (self.classes, self.size[1]);
        let mut taken = Array3::zeros((classes, rows, columns.len()));
        for row in 0..rows {
            let slot = (first + row) % self.window[0];
            let means = &mut self.means[slot * classes * width..][..classes * width];
            for (class, means) in means.chunks_exact_mut(width).enumerate() {
                let mut taken = taken.slice_mut(ndarray::s![class, row, ..]);
                taken.assign(&ndarray::aview1(&means[columns.clone()]));
            }
            means.fill(0.0);
            self.weights[slot * width..][..width].fill(0.0);
        }
        taken
    }
}

/// Weight of each pixel along a window: a raised cosine above a floor, so that even
/// a pixel in window corners alone is defined.
fn taper(window: usize) -> Vec<f32> {
    (0..window)
        .map(|pixel| {
            let pixel = pixel.min(window - 1 - pixel);
            let phase = (pixel as f32 + 0.5) / window as f32 * std::f32::consts::PI;
            FLOOR + (1.0 - FLOOR) * phase.sin().powi(2)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taper_is_positive_and_highest_in_the_middle() {
        for window in [1, 2, 7, 16, 509] {
            let taper = taper(window);
            assert!(taper.iter().all(|w| (FLOOR..=1.0).contains(w)));
            for pixel in 0..window {
                assert_eq!(taper[pixel], taper[window - 1 - pixel]);
                assert!(pixel == 0 || 2 * pixel >= window || taper[pixel] > taper[pixel - 1]);
            }
        }
    }

    #[test]
    fn a_blend_is_the_weighted_mean() {
        let plan = Plan::new([3, 7], [3, 4], 1.0, 1, 0).unwrap();
        assert_eq!(plan.lefts, [0, 3]);
        let mut blender = Blender::new(1, &plan);
        blender.add([0, 0], Array3::from_elem((1, 3, 4), 1.0).view());
        blender.add([0, 3], Array3::from_elem((1, 3, 4), 5.0).view());
        let scores = blender.take(0, 3, 0..7);
        // Column 3 is an outermost pixel of both: the same weight.
        for row in 0..3 {
            let found: Vec<f32> = scores.slice(ndarray::s![0, row, ..]).to_vec();
            assert_eq!(found, [1.0, 1.0, 1.0, 3.0, 5.0, 5.0, 5.0]);
        }
        assert_eq!(blender.take(0, 3, 0..7).sum(), 0.0);
    }
}
