//! Graph attention without its `N × N` matrix.

mod autodiff;
mod flex;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use nephos_kernel::dropout::Dropout;

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
/// The tensors are not of f32 or not on the CPU ([`is_cpu`](super::is_cpu)).
pub fn attend(wh: Tensor<3>, s: Tensor<3>, t: Tensor<3>, slope: f64) -> Tensor<3> {
    let [wh, s, t] = [wh, s, t].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::graph_sorted(wh, s, t, slope))
}

/// As [`attend`], with dropout on the attention; all pairs are visited, in blocks
/// ([`pairwise`](nephos_kernel::graph::pairwise)).
///
/// # Panics
/// As [`attend`].
pub fn attend_dropped(
    wh: Tensor<3>,
    s: Tensor<3>,
    t: Tensor<3>,
    slope: f64,
    dropout: Dropout,
) -> Tensor<3> {
    let [wh, s, t] = [wh, s, t].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::graph_dropped(wh, s, t, slope, dropout))
}

/// As [`attend_dropped`], with `scale * z_i · z_j` added to the score of each pair,
/// for all heads.
///
/// # Shapes
/// - wh, s, t, output: as [`attend`]
/// - tokens: `[B, N, width]`, the `z`
/// - scale: `[1]`
///
/// # Panics
/// As [`attend`].
pub fn attend_biased(
    wh: Tensor<3>,
    [s, t]: [Tensor<3>; 2],
    tokens: Tensor<3>,
    scale: Tensor<1>,
    slope: f64,
    dropout: Dropout,
) -> Tensor<3> {
    let [wh, s, t, tokens] = [wh, s, t, tokens].map(Tensor::into_dispatch);
    let scale = scale.into_dispatch();
    Tensor::from_dispatch(Dispatch::graph_biased(
        wh, s, t, tokens, scale, slope, dropout,
    ))
}

/// Graph attention as operations of a backend.
///
/// A backward pass takes the inputs, the output and the gradient by the output; it
/// returns the gradients by the inputs.
#[backend_extension(Flex, Autodiff)]
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

    /// As [`attend_dropped`].
    fn graph_dropped(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        slope: f64,
        dropout: Dropout,
    ) -> FloatTensor<Self>;

    /// The backward pass of [`GraphOps::graph_dropped`].
    fn graph_dropped_backward(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        out: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        slope: f64,
        dropout: Dropout,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// As [`attend_biased`].
    fn graph_biased(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        tokens: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        slope: f64,
        dropout: Dropout,
    ) -> FloatTensor<Self>;

    /// The backward pass of [`GraphOps::graph_biased`].
    #[allow(clippy::too_many_arguments, clippy::type_complexity)]
    fn graph_biased_backward(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        tokens: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        out: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        slope: f64,
        dropout: Dropout,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );
}
