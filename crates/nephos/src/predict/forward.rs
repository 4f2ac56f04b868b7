//! Class scores that are checked.

use ndarray::Array4;

use crate::error::{Error, Result};
use crate::network::Forward;

/// The model's class scores, of the expected shape and finite.
pub(super) fn forward_checked(
    forward: &dyn Forward,
    classes: usize,
    windows: Array4<f32>,
) -> Result<Array4<f32>> {
    let (count, _, height, width) = windows.dim();
    let scores = forward.forward(windows)?;
    let expected = (count, classes, height, width);
    if scores.dim() != expected {
        let message = format!(
            "the model's scores have the shape {:?}, {expected:?} was expected",
            scores.dim()
        );
        return Err(Error::model(message));
    }
    if scores.iter().all(|score| score.is_finite()) {
        Ok(scores)
    } else {
        Err(Error::model(
            "the model gives numbers that are not finite: its weights are broken, or the \
             image is far outside the range it was trained on (data.scale)",
        ))
    }
}
