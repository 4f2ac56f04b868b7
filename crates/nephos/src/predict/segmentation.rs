//! A model's prediction of an image.

use ndarray::{Array2, Array3, ArrayView3, s};

use super::blend::Blender;
use super::decide::decide;
use super::decision::Decision;
use super::forward::forward_checked;
use super::source::Channels;
use super::steps::{Step, assemble};
use super::stream::BATCH_PIXELS;
use super::strip::Strip;
use super::window::window_for;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::network::Forward;
use crate::scene::Plan;

/// A model's prediction of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// `[height, width]`, the class; 255 where not valid.
    pub classes: Array2<u8>,
    /// `[classes, height, width]`, in [0, 1], summing to 1 at each pixel; NaN
    /// where not valid.
    pub probabilities: Array3<f32>,
}

impl Segmentation {
    /// The segmentation from calibrated class scores (logits) `[classes, height, width]`.
    pub(crate) fn from_scores(
        mut scores: Array3<f32>,
        valid: &Array2<bool>,
        decision: &Decision,
    ) -> Self {
        let classes = decide(&mut scores, valid.view(), true, decision.threshold());
        Self {
            classes,
            probabilities: scores,
        }
    }
}

/// Class scores `[classes, height, width]` of an image in memory, in the windows that the
/// model of `config` takes; 0 where all windows are without a valid pixel.
///
/// # Errors
/// Sizes that differ, an image without pixels, or what the model returns.
pub(super) fn scores(
    forward: &dyn Forward,
    config: &ModelConfig,
    image: ArrayView3<'_, f32>,
    valid: &Array2<bool>,
) -> Result<Array3<f32>> {
    let (_, height, width) = image.dim();
    if valid.dim() != (height, width) {
        return Err(Error::usage(format!(
            "an image of {height} × {width} pixels with {} × {} valid ones",
            valid.nrows(),
            valid.ncols()
        )));
    }
    let window = window_for(config, None, height, width);
    let (align, classes) = (config.alignment(), config.classes);
    let plan = Plan::new([height, width], window, config.overlap, align, 0)?;
    let mut blender = Blender::new(classes, &plan);
    let mut all = Array3::zeros((classes, height, width));
    let mut strip = Some(Strip::of_image(image, valid));
    assemble(
        &plan,
        &Channels::plain(image.dim().0),
        BATCH_PIXELS,
        || strip.take(),
        |step| {
            match step {
                Step::Windows { places, data } => {
                    let scores = forward_checked(forward, classes, data)?;
                    for (place, scores) in places.iter().zip(scores.outer_iter()) {
                        blender.add(*place, scores);
                    }
                }
                Step::Rows { first, valid, .. } => {
                    let end = first + valid.nrows();
                    all.slice_mut(s![.., first..end, ..]).assign(&blender.take(
                        first,
                        valid.nrows(),
                        0..width,
                    ));
                }
            }
            Ok(true)
        },
    )?;
    Ok(all)
}
