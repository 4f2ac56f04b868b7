//! Graph attention without its `N × N` matrix.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use nephos_kernel::graph::{Shape, sorted};

use super::slices::{FlexTensor, filled, in_order, numbers, zeros};

/// `relu(softmax(LeakyReLU(s_i + t_j)) Wh)` over all pairs of nodes, in
/// O(N log N + N width) time ([`sorted`]).
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
    Tensor::from_dispatch(Dispatch::graph_sorted(
        wh.into_dispatch(),
        s.into_dispatch(),
        t.into_dispatch(),
        slope,
    ))
}

/// Graph attention as operations of a backend. Shapes are those of [`attend`].
#[backend_extension(Flex, Autodiff)]
pub trait GraphOps: Backend {
    /// As [`attend`].
    fn graph_sorted(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        slope: f64,
    ) -> FloatTensor<Self>;

    /// The gradients by `wh`, `s` and `t`, from the output `out` and `grad`, the
    /// gradient by it.
    fn graph_sorted_backward(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        out: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

fn shape_of(wh: &FlexTensor, s: &FlexTensor) -> Shape {
    let ([batch, nodes, width], [of, heads, each]) = (wh.shape().dims(), s.shape().dims());
    assert!(
        of == batch && each == nodes && width % heads == 0,
        "scores [{of}, {heads}, {each}] for features [{batch}, {nodes}, {width}]"
    );
    Shape {
        batch,
        nodes,
        heads,
        head: width / heads,
    }
}

impl GraphOps for Flex {
    fn graph_sorted(wh: FlexTensor, s: FlexTensor, t: FlexTensor, slope: f64) -> FlexTensor {
        let [wh, s, t] = [wh, s, t].map(in_order);
        let shape = shape_of(&wh, &s);
        filled(wh.shape(), |out| {
            sorted::forward(
                &shape,
                numbers(&wh),
                numbers(&s),
                numbers(&t),
                slope,
                true,
                out,
            );
        })
    }

    fn graph_sorted_backward(
        wh: FlexTensor,
        s: FlexTensor,
        t: FlexTensor,
        out: FlexTensor,
        grad: FlexTensor,
        slope: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [wh, s, t, out, mut grad] = [wh, s, t, out, grad].map(in_order);
        let shape = shape_of(&wh, &s);
        let out = numbers(&out);
        // The ReLU's: in place where nobody else has the gradient.
        for (grad, out) in grad.storage_mut::<f32>().iter_mut().zip(out) {
            *grad = if *out > 0.0 { *grad } else { 0.0 };
        }
        let (mut by_wh, mut by_s, mut by_t) =
            (zeros(wh.shape()), zeros(s.shape()), zeros(t.shape()));
        sorted::backward(
            &shape,
            numbers(&wh),
            numbers(&s),
            numbers(&t),
            slope,
            numbers(&grad),
            by_wh.storage_mut(),
            by_s.storage_mut(),
            by_t.storage_mut(),
        );
        (by_wh, by_s, by_t)
    }
}

impl<B: GraphOps, C: CheckpointStrategy> GraphOps for Autodiff<B, C> {
    fn graph_sorted(
        wh: FloatTensor<Self>,
        s: FloatTensor<Self>,
        t: FloatTensor<Self>,
        slope: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Sorted;

        impl<B: GraphOps> Backward<B, 3> for Sorted {
            type State = ([NodeId; 3], FloatTensor<B>, f64);

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (inputs, out, slope) = ops.state;
                let [wh, s, t] =
                    inputs.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
                let grad = grads.consume::<B>(&ops.node);
                let (by_wh, by_s, by_t) = B::graph_sorted_backward(wh, s, t, out, grad, slope);
                for (parent, by) in ops.parents.into_iter().zip([by_wh, by_s, by_t]) {
                    if let Some(parent) = parent {
                        grads.register::<B>(parent.id, by);
                    }
                }
            }
        }

        let prepared = Sorted.prepare::<C>([wh.node(), s.node(), t.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let inputs = [&wh, &s, &t].map(|input| prep.checkpoint(input));
                let [wh, s, t] = [wh, s, t].map(|input| input.into_primitive());
                let out = B::graph_sorted(wh, s, t, slope);
                prep.finish((inputs, out.clone(), slope), out)
            }
            OpsKind::UnTracked(prep) => {
                let [wh, s, t] = [wh, s, t].map(|input| input.into_primitive());
                prep.finish(B::graph_sorted(wh, s, t, slope))
            }
        }
    }

    fn graph_sorted_backward(
        _wh: FloatTensor<Self>,
        _s: FloatTensor<Self>,
        _t: FloatTensor<Self>,
        _out: FloatTensor<Self>,
        _grad: FloatTensor<Self>,
        _slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        panic!("gradients of gradients are not computed")
    }
}
