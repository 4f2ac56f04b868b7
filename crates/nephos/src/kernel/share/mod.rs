//! The logarithm of the probability of a pixel's label on a GPU, as one kernel each way.

mod cube;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Int, Tensor};

use super::step::{Kind, ONCE, step};

/// The logarithm of the probability that the classes of a pixel's label have together, 0
/// where there is none.
///
/// # Shapes
/// - logits: `[B, classes, H, W]`, at most 31 classes
/// - labels: `[B, H, W]`, codes as [`nephos_kernel::loss::Label::of`] reads them
/// - output: `[B, H, W]`
///
/// # Panics
/// The tensors are not on a GPU ([`super::is_gpu`]) or the logits not of f32, or are 2³¹
/// numbers or more; their shapes don't agree.
pub fn log_share(logits: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
    let [batch, classes, height, width] = logits.dims();
    assert_eq!(labels.dims(), [batch, height, width]);
    assert!(classes < 32, "{classes} classes");
    let labels = labels.float().into_dispatch();
    Tensor::from_dispatch(Dispatch::log_share(logits.into_dispatch(), labels))
}

/// [`log_share`] as operations of a backend.
#[backend_extension(Cube: cfg(feature = "cube"), Autodiff)]
pub trait ShareOps: Backend {
    /// As [`log_share`]; codes are whole numbers.
    fn log_share(logits: FloatTensor<Self>, codes: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The gradient by the logits.
    fn log_share_backward(
        logits: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

#[derive(Debug, Clone, Copy)]
struct Share;

impl<B: ShareOps> Kind<B, 2> for Share {
    fn forward(self, [logits, codes]: [FloatTensor<B>; 2]) -> FloatTensor<B> {
        B::log_share(logits, codes)
    }

    fn backward(
        self,
        [logits, codes]: [FloatTensor<B>; 2],
        _: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 2] {
        // Labels are given: nobody asks for their gradient.
        let by_logits = B::log_share_backward(logits, codes.clone(), grad);
        [by_logits, codes]
    }
}

impl<B: ShareOps, C: CheckpointStrategy> ShareOps for Autodiff<B, C> {
    fn log_share(logits: FloatTensor<Self>, codes: FloatTensor<Self>) -> FloatTensor<Self> {
        step::<B, C, _, 2>(Share, [logits, codes])
    }

    fn log_share_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        panic!("{ONCE}")
    }
}
