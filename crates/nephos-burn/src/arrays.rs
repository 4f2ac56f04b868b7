//! Between arrays on the host and tensors on a device.

use burn::tensor::{Device, Int, Tensor, TensorData};
use ndarray::{Array, Array3, Dimension};
use nephos::{Error, Result};

/// The numbers of an array, of the same shape.
///
/// # Panics
/// The array has another number of axes.
pub(crate) fn tensor<const D: usize, N: Dimension>(
    values: Array<f32, N>,
    device: &Device,
) -> Tensor<D> {
    let shape = values.shape().to_vec();
    let values = match values.is_standard_layout() {
        true => values,
        false => values.as_standard_layout().into_owned(),
    };
    let count = shape.iter().product();
    let (mut values, offset) = values.into_raw_vec_and_offset();
    values.drain(..offset.unwrap_or(0));
    values.truncate(count);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Labels, `[B, H, W]`.
pub(crate) fn labels(codes: &Array3<u8>, device: &Device) -> Tensor<3, Int> {
    let (batch, height, width) = codes.dim();
    let codes: Vec<i32> = codes.iter().map(|code| i32::from(*code)).collect();
    Tensor::from_data(TensorData::new(codes, [batch, height, width]), device)
}

/// The numbers of a tensor, row-major.
///
/// # Errors
/// The device does not give them back.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    (tensor.try_into_vec_as::<f32>()).map_err(|e| Error::unsupported("the device", e.to_string()))
}

/// A tensor's numbers on the host, of the same shape.
///
/// # Errors
/// The device does not give them back.
pub(crate) fn array<const D: usize, N: Dimension>(tensor: Tensor<D>) -> Result<Array<f32, N>> {
    let shape = tensor.dims().to_vec();
    (Array::from_shape_vec(shape, values(tensor)?).and_then(Array::into_dimensionality))
        .map_err(|e| Error::unsupported("the model", e.to_string()))
}
