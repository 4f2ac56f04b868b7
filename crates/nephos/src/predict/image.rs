//! One image to one mask.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};

use super::window;
use crate::class::IGNORE;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::Segmenter;

/// Images up to this many times the model's size on each side go through the
/// network whole, so that its graph sees all of them; larger ones in windows.
const WHOLE: usize = 2;

/// What a model says about an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// `[height, width]`, the likeliest class; 255 where not valid.
    pub classes: Array2<u8>,
    /// `[classes, height, width]`, in [0, 1], summing to 1 at each pixel; NaN
    /// where not valid.
    pub probabilities: Array3<f32>,
}

/// Segments an image.
///
/// An image of up to twice the model's size on each side goes through the
/// network whole, at its own size. A larger one is cut into overlapping windows
/// of the model's size whose class scores are blended, so that memory stays
/// bounded.
///
/// # Shapes
/// - image: `[bands, height, width]`, scaled as the model was trained; what
///   stands at pixels that are not valid is of no account
/// - valid: `[height, width]`
///
/// # Errors
/// Another number of bands than `segmenter` takes, sizes that differ, an image
/// smaller than one patch, or weights that give numbers that are not finite.
pub fn predict_image(
    segmenter: &Segmenter,
    config: &ModelConfig,
    image: &Array3<f32>,
    valid: &Array2<bool>,
    device: &Device,
) -> Result<Prediction> {
    let scores = class_scores(segmenter, config, image, valid, device)?;
    Ok(Prediction::from_scores(scores, valid))
}

impl Prediction {
    /// The prediction from class scores (logits) `[classes, height, width]`.
    pub(super) fn from_scores(mut scores: Array3<f32>, valid: &Array2<bool>) -> Self {
        let mut classes = Array2::from_elem(valid.raw_dim(), IGNORE);
        for ((row, col), valid) in valid.indexed_iter() {
            let mut pixel = scores.slice_mut(s![.., row, col]);
            if !valid {
                pixel.fill(f32::NAN);
                continue;
            }
            let (mut best, mut highest) = (0u8, f32::NEG_INFINITY);
            for (code, score) in (0u8..).zip(&pixel) {
                if *score > highest {
                    (best, highest) = (code, *score);
                }
            }
            classes[[row, col]] = best;
            pixel.mapv_inplace(|score| (score - highest).exp());
            let sum = pixel.sum();
            pixel /= sum;
        }
        Self {
            classes,
            probabilities: scores,
        }
    }

    /// Pixels of each class, and of valid pixels in all.
    pub fn counts(&self) -> (Vec<u64>, u64) {
        let mut counts = vec![0; self.probabilities.dim().0];
        for code in self.classes.iter().filter(|code| **code != IGNORE) {
            counts[usize::from(*code)] += 1;
        }
        let valid = counts.iter().sum();
        (counts, valid)
    }
}

/// Class scores (logits) of an image, `[classes, height, width]`; see
/// [`predict_image`].
///
/// # Errors
/// As for [`predict_image`].
pub fn class_scores(
    segmenter: &Segmenter,
    config: &ModelConfig,
    image: &Array3<f32>,
    valid: &Array2<bool>,
    device: &Device,
) -> Result<Array3<f32>> {
    let (_, height, width) = image.dim();
    if valid.dim() != (height, width) {
        return Err(Error::usage(format!(
            "an image of {height} × {width} pixels with {} × {} valid ones",
            valid.nrows(),
            valid.ncols()
        )));
    }
    if config.grid(height, width).is_none() {
        return Err(Error::usage(format!(
            "the image has {height} × {width} pixels, fewer than one patch of {0} × {0} \
             with a border of {1}",
            config.patch.size, config.patch.padding
        )));
    }
    // Zero is what the model was fed in training where a pixel was not valid.
    let mut image = image.to_owned();
    for mut plane in image.outer_iter_mut() {
        plane.zip_mut_with(valid, |value, valid| {
            if !valid {
                *value = 0.0;
            }
        });
    }
    let whole = WHOLE * config.image_size;
    let scores = if height <= whole && width <= whole {
        forward(segmenter, image.view(), device)?
    } else {
        windowed(segmenter, config, &image, device)?
    };
    if scores.iter().all(|score| score.is_finite()) {
        Ok(scores)
    } else {
        Err(Error::usage(
            "the model gives numbers that are not finite: its weights are broken, or the \
             image is far outside the range it was trained on (data.scale)",
        ))
    }
}

/// Blends the scores of overlapping windows of the model's own size.
fn windowed(
    segmenter: &Segmenter,
    config: &ModelConfig,
    image: &Array3<f32>,
    device: &Device,
) -> Result<Array3<f32>> {
    let (_, height, width) = image.dim();
    let [rows, cols] = [height, width].map(|side| side.min(config.image_size));
    let (row_weights, col_weights) = (window::weights(rows), window::weights(cols));
    let mut sums = Array3::zeros((config.classes, height, width));
    let mut weights = Array2::<f32>::zeros((height, width));
    for top in window::starts(height, rows) {
        for left in window::starts(width, cols) {
            let place = s![.., top..top + rows, left..left + cols];
            let scores = forward(segmenter, image.slice(place), device)?;
            let mut sums = sums.slice_mut(place);
            for ((class, row, col), score) in scores.indexed_iter() {
                sums[[class, row, col]] += score * row_weights[row] * col_weights[col];
            }
            let mut weights = weights.slice_mut(s![top..top + rows, left..left + cols]);
            for ((row, col), weight) in weights.indexed_iter_mut() {
                *weight += row_weights[row] * col_weights[col];
            }
        }
    }
    for mut plane in sums.axis_iter_mut(Axis(0)) {
        plane /= &weights;
    }
    Ok(sums)
}

/// One pass through the network, `[bands, h, w]` to `[classes, h, w]`.
fn forward(
    segmenter: &Segmenter,
    image: ArrayView3<'_, f32>,
    device: &Device,
) -> Result<Array3<f32>> {
    let (bands, height, width) = image.dim();
    let pixels: Vec<f32> = image.iter().copied().collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [1, bands, height, width]), device);
    let scores = segmenter.forward(images); // [1, classes, h, w]
    let classes = scores.dims()[1];
    let scores = scores
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::unsupported("the device", e.to_string()))?;
    Array3::from_shape_vec((classes, height, width), scores)
        .map_err(|e| Error::unsupported("the model", e.to_string()))
}
