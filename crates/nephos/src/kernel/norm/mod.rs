//! Layer normalisation on a GPU, as one kernel forward and three backward.

mod cube;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::step::{Kind, ONCE, step};

/// `(x - mean) / √(variance + epsilon) γ + β` over the last axis (Ba et al. 2016,
/// doi:10.48550/arXiv.1607.06450).
///
/// # Shapes
/// - x, output: `[B, N, width]`
/// - gamma, beta: `[width]`
///
/// # Panics
/// The tensors are not of f32, or not on a GPU ([`super::is_gpu`]), or are 2³¹ numbers or
/// more.
pub fn normalise(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f32) -> Tensor<3> {
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::normalise(x.into_dispatch(), gamma, beta, epsilon))
}

/// [`normalise`] as operations of a backend.
#[backend_extension(Cube: cfg(feature = "cube"), Autodiff)]
pub trait NormOps: Backend {
    /// As [`normalise`].
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// The gradients by `x`, `gamma` and `beta`.
    fn normalise_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[derive(Debug, Clone, Copy)]
struct Normalise {
    epsilon: f32,
}

impl<B: NormOps> Kind<B, 3> for Normalise {
    fn forward(self, [x, gamma, beta]: [FloatTensor<B>; 3]) -> FloatTensor<B> {
        B::normalise(x, gamma, beta, self.epsilon)
    }

    fn backward(
        self,
        [x, gamma, _]: [FloatTensor<B>; 3],
        _: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 3] {
        B::normalise_backward(x, gamma, grad, self.epsilon).into()
    }
}

impl<B: NormOps, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        step::<B, C, _, 3>(Normalise { epsilon }, [x, gamma, beta])
    }

    fn normalise_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        panic!("{ONCE}")
    }
}
