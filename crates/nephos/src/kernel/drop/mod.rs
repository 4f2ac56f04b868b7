//! Dropout on a GPU, as one kernel each way.
//!
//! What is dropped is a hash of an element's index, that of [`nephos_kernel::dropout`], so
//! no mask is drawn, kept or multiplied.

mod cube;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor};

pub(super) use cube::{Mask, bits, factor, mask};

use super::step::{Kind, step};

/// The key of a mask: four numbers in [0, 1) from the generator of `device`. They stay
/// there, so that nobody waits for them.
pub(super) fn key(device: &Device) -> Tensor<1> {
    Tensor::<1>::random([4], Distribution::Default, device).cast(FloatDType::F32)
}

/// `x` without the share `rate` of its elements, the others times `1 / (1 - rate)`, in
/// `format`.
///
/// # Panics
/// The tensor is not on a GPU ([`super::is_gpu`]), or has 2³¹ numbers or more; `rate` is
/// not in 0 ≤ rate < 1.
pub fn dropped<const D: usize>(x: Tensor<D>, rate: f32, format: FloatDType) -> Tensor<D> {
    assert!((0.0..1.0).contains(&rate), "a dropout rate of {rate}");
    let key = key(&x.device()).into_dispatch();
    let format = format.into();
    Tensor::from_dispatch(Dispatch::dropped(x.into_dispatch(), key, rate, format))
}

/// [`dropped`] as operations of a backend.
#[backend_extension(Cube: cfg(feature = "cube"), Autodiff)]
pub trait DropOps: Backend {
    /// As [`dropped`]; the backward pass is the same of the gradient.
    fn dropped(
        x: FloatTensor<Self>,
        key: FloatTensor<Self>,
        rate: f32,
        format: DType,
    ) -> FloatTensor<Self>;
}

#[derive(Debug, Clone, Copy)]
struct Dropped {
    rate: f32,
    from: DType,
    to: DType,
}

impl<B: DropOps> Kind<B, 2> for Dropped {
    fn forward(self, [x, key]: [FloatTensor<B>; 2]) -> FloatTensor<B> {
        B::dropped(x, key, self.rate, self.to)
    }

    fn backward(
        self,
        [_, key]: [FloatTensor<B>; 2],
        _: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 2] {
        // The key is drawn, not computed: nobody asks for its gradient.
        [B::dropped(grad, key.clone(), self.rate, self.from), key]
    }
}

impl<B: DropOps, C: CheckpointStrategy> DropOps for Autodiff<B, C> {
    fn dropped(
        x: FloatTensor<Self>,
        key: FloatTensor<Self>,
        rate: f32,
        format: DType,
    ) -> FloatTensor<Self> {
        use burn::backend::TensorMetadata;
        let kind = Dropped {
            rate,
            from: x.dtype(),
            to: format,
        };
        step::<B, C, _, 2>(kind, [x, key])
    }
}
