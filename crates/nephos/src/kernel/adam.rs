//! The optimiser's step on the CPU, in place.

use burn::backend::Flex;
use burn::optim::AdaptiveMomentumState;
use burn::tensor::Tensor;
use nephos_kernel::adam::{Adam, sum_of_squares};

use super::slices::{FlexTensor, in_order, numbers, zeros};

fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    in_order((tensor.try_into_primitive::<Flex>()).expect("a tensor of the CPU without autodiff"))
}

/// `weights` and its moments after a step along `gradient` times `factor`; `adam` is
/// told the number of the step. What nobody else holds is changed in place.
///
/// # Shapes
/// - weights, gradient: any, the same
/// - moments: the same, flattened
///
/// # Panics
/// Tensors that are not of f32, not on the CPU ([`is_cpu`](super::is_cpu)), or with autodiff.
pub(crate) fn step<const D: usize>(
    mut adam: Adam,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    factor: f64,
    moments: Option<AdaptiveMomentumState<1>>,
) -> (Tensor<D>, AdaptiveMomentumState<1>) {
    let (mut weights, gradient) = (primitive(weights), primitive(gradient));
    let count = numbers(&weights).len();
    let (time, [mut first, mut second]) = match moments {
        Some(m) => (m.time, [m.moment_1, m.moment_2].map(primitive)),
        None => (0, [zeros([count]), zeros([count])]),
    };
    adam.time = time as i32 + 1;
    adam.step(
        weights.storage_mut(),
        numbers(&gradient),
        factor,
        [first.storage_mut(), second.storage_mut()],
    );
    let [first, second] = [first, second].map(Tensor::from_primitive::<Flex>);
    let moments = AdaptiveMomentumState::new(time + 1, first, second);
    (Tensor::from_primitive::<Flex>(weights), moments)
}

/// The sum of all squares of `tensor`.
///
/// # Panics
/// As [`step`].
pub(crate) fn squares<const D: usize>(tensor: Tensor<D>) -> f64 {
    sum_of_squares(numbers(&primitive(tensor)))
}
