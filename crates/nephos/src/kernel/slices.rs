//! Tensors of the CPU backend as slices.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use burn::tensor::Shape;

/// A tensor of the CPU backend.
pub(super) type FlexTensor = FloatTensor<Flex>;

/// The tensor with its numbers in order, for [`numbers`].
///
/// # Panics
/// It is not of f32.
pub(super) fn in_order(tensor: FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "kernels compute in f32");
    tensor.to_contiguous()
}

/// The numbers of a tensor from [`in_order`].
pub(super) fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the tensor is in order")
}

/// A tensor of zeros.
pub(super) fn zeros(shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::zeros(shape.into(), DType::F32)
}
