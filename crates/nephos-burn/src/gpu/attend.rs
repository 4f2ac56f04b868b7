//! Attention on a GPU, as one step of autodiff.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::step::{Kind, ONCE, step};

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
/// The tensors are not of f32, not on a GPU, or are 2³¹ features and more.
pub fn attend(wh: Tensor<3>, s: Tensor<3>, t: Tensor<3>, slope: f64) -> Tensor<3> {
    let [wh, s, t] = [wh, s, t].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::graph_sorted(wh, s, t, slope))
}

/// Graph attention as operations of a backend.
///
/// A backward pass takes the inputs, the output and the gradient by the output; it
/// returns the gradients by the inputs.
#[backend_extension(Cube: cfg(feature = "cube"), Autodiff)]
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

#[derive(Debug, Clone, Copy)]
struct Sorted {
    slope: f64,
}

impl<B: GraphOps> Kind<B, 3> for Sorted {
    fn forward(self, [wh, s, t]: [FloatTensor<B>; 3]) -> FloatTensor<B> {
        B::graph_sorted(wh, s, t, self.slope)
    }

    fn backward(
        self,
        [wh, s, t]: [FloatTensor<B>; 3],
        out: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 3] {
        B::graph_sorted_backward(wh, s, t, out, grad, self.slope).into()
    }
}

impl<B: GraphOps, C: CheckpointStrategy> GraphOps for Autodiff<B, C> {
    fn graph_sorted(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        slope: f64,
    ) -> FloatTensor<Self> {
        step::<B, C, _, 3>(Sorted { slope }, [wh, s, t])
    }

    fn graph_sorted_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        panic!("{ONCE}")
    }
}
