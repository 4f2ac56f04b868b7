//! The optimiser's step on a GPU, as one kernel a parameter.

mod cube;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::optim::AdaptiveMomentumState;
use burn::tensor::Tensor;
use nephos_kernel::adam::{Adam, Decay};

/// `weights` and its moments after a step along `gradient` times `factor`; `adam` is told
/// the number of the step.
///
/// # Shapes
/// - weights, gradient: the same
/// - moments: the same
///
/// # Panics
/// The tensors are not of f32, not on a GPU ([`super::is_gpu`]), or with autodiff.
pub(crate) fn step(
    adam: Adam,
    weights: Tensor<1>,
    gradient: Tensor<1>,
    factor: f64,
    moments: Option<AdaptiveMomentumState<1>>,
) -> (Tensor<1>, AdaptiveMomentumState<1>) {
    let (time, [first, second]) = match moments {
        Some(m) => (m.time + 1, [m.moment_1, m.moment_2]),
        None => (1, [(); 2].map(|()| weights.zeros_like())),
    };
    let change = Change::new(&adam, time as i32, factor);
    let [weights, gradient, first, second] =
        [weights, gradient, first, second].map(Tensor::into_dispatch);
    let (weights, first, second) = Dispatch::adam(weights, gradient, first, second, change);
    let [weights, first, second] = [weights, first, second].map(Tensor::from_dispatch);
    (weights, AdaptiveMomentumState::new(time, first, second))
}

/// The numbers of a step.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// On the gradient.
    factor: f32,
    betas: [f32; 2],
    /// The learning rate over the correction of the first moment.
    rate: f32,
    /// One over the root of the correction of the second.
    root: f32,
    epsilon: f32,
    /// Of the weights, added to the gradient.
    coupled: f32,
    /// What is left of the weights before the step.
    left: f32,
}

impl Change {
    fn new(adam: &Adam, time: i32, factor: f64) -> Self {
        let correction = adam.betas.map(|beta| 1.0 - beta.powi(time));
        let (coupled, left) = match adam.decay {
            Decay::Coupled(decay) => (decay, 1.0),
            Decay::Decoupled(decay) => (0.0, 1.0 - adam.lr * decay),
        };
        Self {
            factor: factor as f32,
            betas: adam.betas.map(|beta| beta as f32),
            rate: (adam.lr / correction[0]) as f32,
            root: correction[1].sqrt().recip() as f32,
            epsilon: adam.epsilon as f32,
            coupled: coupled as f32,
            left: left as f32,
        }
    }
}

/// [`step`] as an operation of a backend.
#[backend_extension(Cube: cfg(feature = "cube"))]
pub trait AdamOps: Backend {
    /// Weights and both moments after the step.
    fn adam(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        change: Change,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}
