//! Operations on slices, which autodiff records as one step each where it records.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, GradientCheckpointingStrategy, TensorMetadata};
use burn::tensor::{Device, Tensor, TensorData};

use super::slices::{FlexTensor, in_order, numbers};

/// Training on the CPU, keeping what the backward pass needs.
type Keeping = Autodiff<Flex, NoCheckpointing>;

/// Training on the CPU, computing it again.
type Repeating = Autodiff<Flex, BalancedCheckpointing>;

/// A tensor on its way into an operation.
pub(super) enum Input {
    /// No backward pass will follow.
    Plain(FlexTensor),
    /// Autodiff records what is done with it.
    Recorded {
        tensor: FloatTensor<Keeping>,
        /// Whether the forward pass is to be repeated in the backward pass.
        repeat: bool,
    },
}

/// The numbers of a tensor, which go with it.
pub(super) struct Numbers(FlexTensor);

impl AsRef<[f32]> for Numbers {
    fn as_ref(&self) -> &[f32] {
        numbers(&self.0)
    }
}

/// A function of `N` slices with a backward pass of its own.
pub(super) trait Operation<const N: usize>: Debug + Send + 'static {
    /// What the backward pass needs beside the inputs.
    type Saved: Debug + Send + Sync + 'static;

    /// The output alone, where no backward pass will follow.
    fn apply(&self, inputs: [Numbers; N]) -> Vec<f32> {
        self.forward(inputs.each_ref().map(AsRef::as_ref)).0
    }

    /// The output, and what to save.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Self::Saved);

    /// The gradients by the inputs, from that by the output; those not `wanted` may
    /// be empty.
    fn backward(
        &self,
        inputs: [&[f32]; N],
        saved: &Self::Saved,
        gradient: &[f32],
        wanted: [bool; N],
    ) -> [Vec<f32>; N];
}

/// Whether [`record`] takes tensors of `device`: they are on the CPU, and a backward pass may
/// follow.
pub(crate) fn is_recorded(device: &Device) -> bool {
    super::is_cpu(device) && device.gradient_checkpointing_strategy().is_some()
}

/// A tensor for [`record`].
///
/// # Panics
/// Its device is not the CPU.
pub(super) fn input<const D: usize>(tensor: Tensor<D>) -> Input {
    const WRONG: &str = "a tensor on the CPU";
    let repeat = match tensor.device().gradient_checkpointing_strategy() {
        None => return Input::Plain(tensor.try_into_primitive::<Flex>().expect(WRONG)),
        Some(strategy) => strategy == GradientCheckpointingStrategy::Balanced,
    };
    let tensor = if repeat {
        tensor.try_into_primitive::<Repeating>()
    } else {
        tensor.try_into_primitive::<Keeping>()
    };
    Input::Recorded {
        tensor: tensor.expect(WRONG),
        repeat,
    }
}

/// The output of `operation`, of this shape, with its backward pass recorded where the
/// inputs are. Where the device checkpoints gradients only the inputs are kept, and the
/// forward pass is repeated in the backward pass.
///
/// # Panics
/// The shape does not have as many elements as the output has numbers, or some inputs
/// are recorded and others not.
pub(super) fn record<O: Operation<N>, const N: usize, const D: usize>(
    operation: O,
    inputs: [Input; N],
    shape: [usize; D],
) -> Tensor<D> {
    let (mut plain, mut recorded, mut repeats) = (Vec::new(), Vec::new(), false);
    for input in inputs {
        match input {
            Input::Plain(tensor) => plain.push(in_order(tensor)),
            Input::Recorded { tensor, repeat } => {
                recorded.push(tensor);
                repeats |= repeat;
            }
        }
    }
    const MIXED: &str = "inputs on one device";
    if recorded.is_empty() {
        let inputs: [FlexTensor; N] = plain.try_into().expect(MIXED);
        let output = operation.apply(inputs.map(Numbers));
        let output = FlexTensor::from_data(TensorData::new(output, shape));
        return Tensor::from_primitive::<Flex>(output);
    }
    let inputs: [FloatTensor<Keeping>; N] = recorded.try_into().expect(MIXED);
    if repeats {
        let output = record_as::<BalancedCheckpointing, O, N, D>(operation, inputs, shape, true);
        Tensor::from_primitive::<Repeating>(output)
    } else {
        let output = record_as::<NoCheckpointing, O, N, D>(operation, inputs, shape, false);
        Tensor::from_primitive::<Keeping>(output)
    }
}

fn record_as<C: CheckpointStrategy, O: Operation<N>, const N: usize, const D: usize>(
    operation: O,
    inputs: [FloatTensor<Keeping>; N],
    shape: [usize; D],
    repeat: bool,
) -> FloatTensor<Keeping> {
    let guards = inputs.each_ref().map(|input| input.node());
    let inputs = inputs.map(|input| in_order(input.into_primitive()));
    let (output, saved) = operation.forward(inputs.each_ref().map(numbers));
    let saved = (!repeat).then(|| Arc::new(saved));
    let output = FlexTensor::from_data(TensorData::new(output, shape));
    let prepared = Recorded(operation).prepare::<C>(guards);
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((inputs, saved), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

/// The backward pass of an operation.
#[derive(Debug)]
struct Recorded<O>(O);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Recorded<O> {
    type State = ([FlexTensor; N], Option<Arc<O::Saved>>);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (inputs, saved) = ops.state;
        let gradient = in_order(grads.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let slices = inputs.each_ref().map(numbers);
        let saved = saved.unwrap_or_else(|| Arc::new(self.0.forward(slices).1));
        let results = self.0.backward(slices, &saved, numbers(&gradient), wanted);
        for ((parent, input), values) in ops.parents.into_iter().zip(inputs).zip(results) {
            if let Some(parent) = parent {
                let data = TensorData::new(values, input.shape());
                grads.register::<Flex>(parent.id, FlexTensor::from_data(data));
            }
        }
    }
}
