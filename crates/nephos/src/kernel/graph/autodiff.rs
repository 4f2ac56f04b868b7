//! Graph attention as one step of autodiff.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;

use super::GraphOps;
use crate::kernel::step::{Kind, ONCE, step};

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
