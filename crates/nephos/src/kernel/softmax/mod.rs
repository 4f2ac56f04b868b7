//! The weights of attention on a GPU: softmax, then dropout, as one kernel each way.
//!
//! As plain tensors they are a dozen passes over all pairs, half of them in f32. Here
//! scores are read and weights written in the format of the layer, all arithmetic between
//! is f32, and no mask is kept: whether a weight is dropped is a hash of its index, that of
//! [`nephos_kernel::dropout`].

mod cube;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, FloatDType, Tensor};

use super::step::{Kind, ONCE, step};

/// `dropout(softmax(scores))` over the last axis, in `format`; what is kept grows by
/// `1 / (1 - rate)`.
///
/// # Shapes
/// - scores, output: `[.., N, M]`
///
/// # Panics
/// The tensor is not on a GPU ([`super::is_gpu`]), or has 2³¹ numbers or more; `rate` is
/// not in 0 ≤ rate < 1.
pub fn weigh(scores: Tensor<4>, rate: f32, format: FloatDType) -> Tensor<4> {
    assert!((0.0..1.0).contains(&rate), "a dropout rate of {rate}");
    let device = scores.device();
    let [scores, key] = [
        scores.into_dispatch(),
        super::drop::key(&device).into_dispatch(),
    ];
    Tensor::from_dispatch(Dispatch::weigh(scores, key, rate, format.into()))
}

/// [`weigh`] as operations of a backend.
#[backend_extension(Cube: cfg(feature = "cube"), Autodiff)]
pub trait SoftmaxOps: Backend {
    /// As [`weigh`]; `key` is four numbers in [0, 1).
    fn weigh(
        scores: FloatTensor<Self>,
        key: FloatTensor<Self>,
        rate: f32,
        format: DType,
    ) -> FloatTensor<Self>;

    /// The gradient by the scores, in their format, from that by the weights.
    fn weigh_backward(
        scores: FloatTensor<Self>,
        key: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rate: f32,
    ) -> FloatTensor<Self>;
}

#[derive(Debug, Clone, Copy)]
struct Weigh {
    rate: f32,
    format: DType,
}

impl<B: SoftmaxOps> Kind<B, 2> for Weigh {
    fn forward(self, [scores, key]: [FloatTensor<B>; 2]) -> FloatTensor<B> {
        B::weigh(scores, key, self.rate, self.format)
    }

    fn backward(
        self,
        [scores, key]: [FloatTensor<B>; 2],
        _: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 2] {
        // The key is drawn, not computed: nobody asks for its gradient.
        let by_scores = B::weigh_backward(scores, key.clone(), grad, self.rate);
        [by_scores, key]
    }
}

impl<B: SoftmaxOps, C: CheckpointStrategy> SoftmaxOps for Autodiff<B, C> {
    fn weigh(
        scores: FloatTensor<Self>,
        key: FloatTensor<Self>,
        rate: f32,
        format: DType,
    ) -> FloatTensor<Self> {
        step::<B, C, _, 2>(Weigh { rate, format }, [scores, key])
    }

    fn weigh_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> FloatTensor<Self> {
        panic!("{ONCE}")
    }
}
