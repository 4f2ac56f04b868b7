//! Graph attention over all pairs, for what sorted scores can't give, on the CPU.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use nephos_kernel::dropout::Dropout;

use crate::kernel::step::{Kind, ONCE, step};

/// As [`attend`](super::attend), with dropout on the attention; all pairs are visited, in blocks
/// ([`pairwise`](nephos_kernel::graph::pairwise)).
///
/// # Panics
/// As [`attend`](super::attend); the tensors are on the CPU.
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
/// - wh, s, t, output: as [`attend`](super::attend)
/// - tokens: `[B, N, width]`, the `z`
/// - scale: `[1]`
///
/// # Panics
/// As [`attend_dropped`].
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

/// Graph attention over pairs as operations of a backend, as [`GraphOps`](super::GraphOps).
#[backend_extension(Flex, Autodiff)]
pub trait PairOps: Backend {
    /// As [`attend_dropped`].
    fn graph_dropped(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        slope: f64,
        dropout: Dropout,
    ) -> FloatTensor<Self>;

    /// The backward pass of [`PairOps::graph_dropped`].
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

    /// The backward pass of [`PairOps::graph_biased`].
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

#[derive(Debug, Clone, Copy)]
struct Pairwise {
    slope: f64,
    dropout: Dropout,
}

impl<B: PairOps> Kind<B, 3> for Pairwise {
    fn forward(self, [wh, s, t]: [FloatTensor<B>; 3]) -> FloatTensor<B> {
        B::graph_dropped(wh, s, t, self.slope, self.dropout)
    }

    fn backward(
        self,
        [wh, s, t]: [FloatTensor<B>; 3],
        out: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 3] {
        B::graph_dropped_backward(wh, s, t, out, grad, self.slope, self.dropout).into()
    }
}

impl<B: PairOps> Kind<B, 5> for Pairwise {
    fn forward(self, [wh, s, t, tokens, scale]: [FloatTensor<B>; 5]) -> FloatTensor<B> {
        B::graph_biased(wh, s, t, tokens, scale, self.slope, self.dropout)
    }

    fn backward(
        self,
        [wh, s, t, tokens, scale]: [FloatTensor<B>; 5],
        out: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 5] {
        let Self { slope, dropout } = self;
        B::graph_biased_backward(wh, s, t, tokens, scale, out, grad, slope, dropout).into()
    }
}

impl<B: PairOps, C: CheckpointStrategy> PairOps for Autodiff<B, C> {
    fn graph_dropped(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        slope: f64,
        dropout: Dropout,
    ) -> FloatTensor<Self> {
        step::<B, C, _, 3>(Pairwise { slope, dropout }, [wh, s, t])
    }

    fn graph_dropped_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
        _: Dropout,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        panic!("{ONCE}")
    }

    fn graph_biased(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        tokens: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        slope: f64,
        dropout: Dropout,
    ) -> FloatTensor<Self> {
        step::<B, C, _, 5>(Pairwise { slope, dropout }, [wh, s, t, tokens, scale])
    }

    fn graph_biased_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
        _: Dropout,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        panic!("{ONCE}")
    }
}
