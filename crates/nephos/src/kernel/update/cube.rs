//! Adam in CubeCL. A unit has a weight.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{AdamOps, Change};
use crate::kernel::gpu::{Gpu, arg};

/// As [`Change`], on the device.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Numbers {
    factor: f32,
    beta_1: f32,
    beta_2: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
    coupled: f32,
    left: f32,
}

/// # Panics
/// The tensor is not of f32.
fn in_order(tensor: CubeTensor) -> CubeTensor {
    assert_eq!(tensor.dtype, DType::F32, "kernels compute in f32");
    into_contiguous(tensor)
}

impl AdamOps for CubeBackend {
    fn adam(
        weights: CubeTensor,
        gradient: CubeTensor,
        first: CubeTensor,
        second: CubeTensor,
        change: Change,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let before = [weights, gradient, first, second].map(in_order);
        let gpu = Gpu::of(&before[0]);
        let after = [(); 3].map(|()| gpu.floats(before[0].shape()));
        let count = before[0].meta.num_elements();
        if count > 0 {
            let (cubes, dim) = gpu.units(count);
            adam_each::launch(
                &gpu.client,
                cubes,
                dim,
                arg(&before[0]),
                arg(&before[1]),
                arg(&before[2]),
                arg(&before[3]),
                arg(&after[0]),
                arg(&after[1]),
                arg(&after[2]),
                NumbersLaunch::new(
                    change.factor,
                    change.betas[0],
                    change.betas[1],
                    change.rate,
                    change.root,
                    change.epsilon,
                    change.coupled,
                    change.left,
                ),
            );
        }
        let [weights, first, second] = after;
        (weights, first, second)
    }
}

#[cube(launch)]
fn adam_each(
    weights: &[f32],
    gradient: &[f32],
    first: &[f32],
    second: &[f32],
    new_weights: &mut [f32],
    new_first: &mut [f32],
    new_second: &mut [f32],
    numbers: Numbers,
) {
    if ABSOLUTE_POS >= new_weights.len() {
        terminate!();
    }
    let weight = weights[ABSOLUTE_POS];
    let by = gradient[ABSOLUTE_POS] * numbers.factor + numbers.coupled * weight;
    let one = first[ABSOLUTE_POS] * numbers.beta_1 + by * (1.0f32 - numbers.beta_1);
    let two = second[ABSOLUTE_POS] * numbers.beta_2 + by * by * (1.0f32 - numbers.beta_2);
    new_first[ABSOLUTE_POS] = one;
    new_second[ABSOLUTE_POS] = two;
    let step = numbers.rate * one / (two.sqrt() * numbers.root + numbers.epsilon);
    new_weights[ABSOLUTE_POS] = weight * numbers.left - step;
}
