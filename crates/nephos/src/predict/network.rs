//! A network on a device, as the run needs it.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array4;

use super::forward::Forward;
use crate::error::{Error, Result};
use crate::model::Segmenter;

/// A network whose weights lie on a device.
pub struct Network<'a> {
    /// The network, for inference.
    pub segmenter: &'a Segmenter,
    /// Where it computes.
    pub device: &'a Device,
}

impl Forward for Network<'_> {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, bands, height, width) = windows.dim();
        let pixels: Vec<f32> = windows.into_iter().collect();
        let data = TensorData::new(pixels, [count, bands, height, width]);
        let scores = (self.segmenter).forward(Tensor::<4>::from_data(data, self.device)); // [n, classes, h, w]
        let [count, classes, height, width] = scores.dims();
        let scores = scores
            .try_into_vec_as::<f32>()
            .map_err(|e| Error::unsupported("the device", e.to_string()))?;
        Array4::from_shape_vec((count, classes, height, width), scores)
            .map_err(|e| Error::unsupported("the model", e.to_string()))
    }
}
