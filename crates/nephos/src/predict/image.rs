//! One image in memory to one mask.

use burn::tensor::Device;
use ndarray::{Array2, Array3};

use super::network::Network;
use super::prediction::Prediction;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::model::Segmenter;

/// Segments an image.
///
/// An image of up to twice the model's size on each side goes through the
/// network whole, filled up to whole patches with its own reflection where the network
/// takes no others. A larger one is cut into overlapping windows of the model's size whose
/// class scores are blended ([`window_for`](super::window_for)).
///
/// For several images make a [`Network`] once and let it predict them.
///
/// # Shapes
/// - image: `[bands, height, width]`, scaled as the model was trained; what
///   stands at pixels that are not valid is of no account
/// - valid: `[height, width]`
///
/// # Errors
/// Sizes that differ, an image without pixels, or weights that give numbers that
/// are not finite.
///
/// # Panics
/// Another number of bands than `segmenter` takes.
pub fn predict_image(
    segmenter: &Segmenter,
    config: &ModelConfig,
    image: &Array3<f32>,
    valid: &Array2<bool>,
    device: &Device,
) -> Result<Prediction> {
    Network::new(segmenter.clone(), device).predict(config, image, valid)
}

/// Class scores (logits) of an image, `[classes, height, width]`; see
/// [`predict_image`]. They are 0 where every window is without a valid pixel.
///
/// # Errors
/// As for [`predict_image`].
///
/// # Panics
/// As for [`predict_image`].
pub fn class_scores(
    segmenter: &Segmenter,
    config: &ModelConfig,
    image: &Array3<f32>,
    valid: &Array2<bool>,
    device: &Device,
) -> Result<Array3<f32>> {
    Network::new(segmenter.clone(), device).class_scores(config, image, valid)
}
