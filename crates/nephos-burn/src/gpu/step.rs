//! A function of tensors as one step of autodiff.

use std::fmt::Debug;

use burn::backend::Backend;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;

/// What a backward pass of a backward pass says.
pub(super) const ONCE: &str = "gradients of gradients are not computed";

/// A function of `N` tensors with a derivative of its own.
pub(super) trait Kind<B: Backend, const N: usize>: Copy + Debug + Send + 'static {
    fn forward(self, inputs: [FloatTensor<B>; N]) -> FloatTensor<B>;

    /// The gradients by the inputs, from the output and the gradient by it.
    fn backward(
        self,
        inputs: [FloatTensor<B>; N],
        out: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; N];
}

/// The output of `kind`, with its backward pass recorded.
pub(super) fn step<B: Backend, C: CheckpointStrategy, K: Kind<B, N>, const N: usize>(
    kind: K,
    inputs: [FloatTensor<Autodiff<B, C>>; N],
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = Step(kind).prepare::<C>(inputs.each_ref().map(|input| input.node()));
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let nodes = inputs.each_ref().map(|input| prep.checkpoint(input));
            let out = kind.forward(inputs.map(|input| input.into_primitive()));
            prep.finish((nodes, out.clone()), out)
        }
        OpsKind::UnTracked(prep) => {
            prep.finish(kind.forward(inputs.map(|input| input.into_primitive())))
        }
    }
}

#[derive(Debug)]
struct Step<K>(K);

impl<B: Backend, K: Kind<B, N>, const N: usize> Backward<B, N> for Step<K> {
    type State = ([NodeId; N], FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (nodes, out) = ops.state;
        let inputs = nodes.map(|node| checkpointer.retrieve_node_output(node));
        let grad = grads.consume::<B>(&ops.node);
        let by_inputs = self.0.backward(inputs, out, grad);
        for (parent, by) in ops.parents.into_iter().zip(by_inputs) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, by);
            }
        }
    }
}
