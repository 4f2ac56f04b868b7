//! One image in memory to one mask.

use ndarray::{Array2, Array3};

use super::network::Network;
use super::prediction::Prediction;
use crate::device::Device;
use crate::error::Result;
use crate::weights::Bundle;

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
///   stands at pixels that are not valid is ignored
/// - valid: `[height, width]`
///
/// # Errors
/// Sizes that differ, an image without pixels, or weights that give numbers that
/// are not finite.
///
/// # Panics
/// Another number of bands than the model takes.
pub fn predict_image(
    bundle: &Bundle,
    image: &Array3<f32>,
    valid: &Array2<bool>,
    device: &Device,
) -> Result<Prediction> {
    Network::new(bundle.clone(), device)?.predict(&bundle.config.model, image, valid)
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
    bundle: &Bundle,
    image: &Array3<f32>,
    valid: &Array2<bool>,
    device: &Device,
) -> Result<Array3<f32>> {
    Network::new(bundle.clone(), device)?.class_scores(&bundle.config.model, image, valid)
}
