//! Graph attention without its `N × N` matrix.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod pairs;

#[cfg(feature = "flex")]
pub use pairs::{PairOps, attend_biased, attend_dropped};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// `relu(softmax(LeakyReLU(s_i + t_j)) Wh)` over all pairs of nodes, in
/// O(N log N + N width) time ([`sorted`](nephos_kernel::graph::sorted)).
///
/// `slope` is that of the LeakyReLU, in [0, 1].
///
/// # Shapes
/// - wh: `[B, N, heads * head]`
/// - s, t: `[B, heads, N]`
/// - output: `[B, N, heads * head]`
///
/// # Panics
/// The tensors are not of f32, or where there is no such kernel
/// ([`has_graph`](super::has_graph)), or are 2³¹ features and more on a GPU.
pub fn attend(wh: Tensor<3>, s: Tensor<3>, t: Tensor<3>, slope: f64) -> Tensor<3> {
    let [wh, s, t] = [wh, s, t].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::graph_sorted(wh, s, t, slope))
}

/// Graph attention as operations of a backend.
///
/// A backward pass takes the inputs, the output and the gradient by the output; it
/// returns the gradients by the inputs.
#[backend_extension(
    Cube: cfg(feature = "cube"),
    Flex: cfg(feature = "flex"),
    Autodiff
)]
pub trait GraphOps: Backend {
    /// As [`attend`].
    fn graph_sorted(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        slope: f64,
    ) -> FloatTensor<Self>;

    /// The backward pass of [`GraphOps::graph_sorted`].
    fn graph_sorted_backward(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        out: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}
