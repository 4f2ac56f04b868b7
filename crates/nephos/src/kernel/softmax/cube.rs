//! Softmax and dropout in CubeCL. A cube has a row.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::SoftmaxOps;
use crate::kernel::drop::{Mask, bits, factor, mask};
use crate::kernel::gpu::{Gpu, Pitched, arg};

/// Units of a cube, a power of two.
const UNITS: u32 = 128;

/// Rows of one length; the numbers from one row to the next differ by tensor, as rows may
/// be padded to what the device reads best.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Rows {
    rows: usize,
    length: usize,
    scores: usize,
    /// Of the weights, or of the gradient by them.
    weights: usize,
    /// Of the gradient by the scores.
    by_scores: usize,
}

impl SoftmaxOps for CubeBackend {
    fn weigh(scores: CubeTensor, key: CubeTensor, rate: f32, format: DType) -> CubeTensor {
        let gpu = Gpu::of(&scores);
        let scores = Pitched::new(scores);
        let weights = Pitched::empty(&gpu, scores.tensor.meta.shape().clone(), format);
        if scores.rows * scores.length == 0 {
            return weights.tensor;
        }
        let (count, dim) = gpu.cubes(scores.rows, UNITS);
        let units = dim.num_elems() as usize;
        let rows = RowsLaunch::new(scores.rows, scores.length, scores.pitch, weights.pitch, 0);
        // SAFETY: the kernel stays within `rows` rows of `length` numbers of each tensor.
        unsafe {
            weigh_rows::launch_unchecked(
                &gpu.client,
                count,
                dim,
                arg(&scores.tensor),
                arg(&key),
                arg(&weights.tensor),
                rows,
                mask(rate),
                units,
                rate > 0.0,
                [scores.tensor.dtype, format].map(dtype_to_storage_type),
            );
        }
        weights.tensor
    }

    fn weigh_backward(
        scores: CubeTensor,
        key: CubeTensor,
        grad: CubeTensor,
        rate: f32,
    ) -> CubeTensor {
        let gpu = Gpu::of(&scores);
        let [scores, grad] = [scores, grad].map(Pitched::new);
        let by_scores = Pitched::empty(
            &gpu,
            scores.tensor.meta.shape().clone(),
            scores.tensor.dtype,
        );
        if scores.rows * scores.length == 0 {
            return by_scores.tensor;
        }
        let (count, dim) = gpu.cubes(scores.rows, UNITS);
        let units = dim.num_elems() as usize;
        let rows = RowsLaunch::new(
            scores.rows,
            scores.length,
            scores.pitch,
            grad.pitch,
            by_scores.pitch,
        );
        // SAFETY: the kernel stays within `rows` rows of `length` numbers of each tensor.
        unsafe {
            rows_backward::launch_unchecked(
                &gpu.client,
                count,
                dim,
                arg(&scores.tensor),
                arg(&key),
                arg(&grad.tensor),
                arg(&by_scores.tensor),
                rows,
                mask(rate),
                units,
                rate > 0.0,
                [scores.tensor.dtype, grad.tensor.dtype].map(dtype_to_storage_type),
            );
        }
        by_scores.tensor
    }
}

#[cube(launch_unchecked)]
fn weigh_rows<S: Float, W: Float>(
    scores: &[S],
    key: &[f32],
    weights: &mut [W],
    sizes: Rows,
    mask: Mask,
    #[comptime] units: usize,
    #[comptime] drops: bool,
    #[define(S, W)] _formats: [ElemType; 2],
) {
    let mut most = Shared::<[f32]>::new_slice(units);
    let mut sums = Shared::<[f32]>::new_slice(units);
    let unit = UNIT_POS as usize;
    let row = CUBE_POS;
    let start = row * sizes.scores;
    // The sum of exponentials is relative to the largest score so far.
    let mut largest = f32::min_value();
    let mut sum = 0.0f32.runtime();
    if row < sizes.rows {
        let mut at = unit;
        while at < sizes.length {
            let score = f32::cast_from(scores[start + at]);
            let larger = max(largest, score);
            sum = sum * (largest - larger).exp() + (score - larger).exp();
            largest = larger;
            at += units;
        }
    }
    most[unit] = largest;
    sums[unit] = sum;
    sync_cube();
    let mut half = (units / 2).runtime();
    while half > 0 {
        if unit < half {
            let own = most[unit];
            let other = most[unit + half];
            let larger = max(own, other);
            let own_sum = sums[unit] * (own - larger).exp();
            let other_sum = sums[unit + half] * (other - larger).exp();
            most[unit] = larger;
            sums[unit] = own_sum + other_sum;
        }
        sync_cube();
        half /= 2;
    }
    if row < sizes.rows {
        let largest = most[0];
        let share = 1.0f32 / sums[0];
        let out = row * sizes.weights;
        let mut before = 0u32.runtime();
        let mut between = 0u32.runtime();
        if comptime!(drops) {
            before = bits(key, 0usize);
            between = bits(key, 2usize);
        }
        let mut at = unit;
        while at < sizes.length {
            let score = f32::cast_from(scores[start + at]);
            let mut weight = (score - largest).exp() * share;
            if comptime!(drops) {
                let index = (row * sizes.length + at) as u32;
                weight *= factor(index, before, between, &mask);
            }
            weights[out + at] = W::cast_from(weight);
            at += units;
        }
    }
}

/// With `p` the softmax and `g` the gradient by it, `p (g - Σ p g)`.
#[cube(launch_unchecked)]
fn rows_backward<S: Float, W: Float>(
    scores: &[S],
    key: &[f32],
    grad: &[W],
    by_scores: &mut [S],
    sizes: Rows,
    mask: Mask,
    #[comptime] units: usize,
    #[comptime] drops: bool,
    #[define(S, W)] _formats: [ElemType; 2],
) {
    let mut most = Shared::<[f32]>::new_slice(units);
    let mut sums = Shared::<[f32]>::new_slice(units);
    let mut dots = Shared::<[f32]>::new_slice(units);
    let unit = UNIT_POS as usize;
    let row = CUBE_POS;
    let start = row * sizes.scores;
    let grad_start = row * sizes.weights;
    let mut before = 0u32.runtime();
    let mut between = 0u32.runtime();
    if comptime!(drops) {
        before = bits(key, 0usize);
        between = bits(key, 2usize);
    }
    let mut largest = f32::min_value();
    let mut sum = 0.0f32.runtime();
    let mut dot = 0.0f32.runtime();
    if row < sizes.rows {
        let mut at = unit;
        while at < sizes.length {
            let score = f32::cast_from(scores[start + at]);
            let mut by = f32::cast_from(grad[grad_start + at]);
            if comptime!(drops) {
                let index = (row * sizes.length + at) as u32;
                by *= factor(index, before, between, &mask);
            }
            let larger = max(largest, score);
            let shrink = (largest - larger).exp();
            let own = (score - larger).exp();
            sum = sum * shrink + own;
            dot = dot * shrink + own * by;
            largest = larger;
            at += units;
        }
    }
    most[unit] = largest;
    sums[unit] = sum;
    dots[unit] = dot;
    sync_cube();
    let mut half = (units / 2).runtime();
    while half > 0 {
        if unit < half {
            let own = most[unit];
            let other = most[unit + half];
            let larger = max(own, other);
            let own_share = (own - larger).exp();
            let other_share = (other - larger).exp();
            let sum = sums[unit] * own_share + sums[unit + half] * other_share;
            let dot = dots[unit] * own_share + dots[unit + half] * other_share;
            most[unit] = larger;
            sums[unit] = sum;
            dots[unit] = dot;
        }
        sync_cube();
        half /= 2;
    }
    if row < sizes.rows {
        let largest = most[0];
        let share = 1.0f32 / sums[0];
        let mean = dots[0] * share;
        let out = row * sizes.by_scores;
        let mut at = unit;
        while at < sizes.length {
            let score = f32::cast_from(scores[start + at]);
            let mut by = f32::cast_from(grad[grad_start + at]);
            if comptime!(drops) {
                let index = (row * sizes.length + at) as u32;
                by *= factor(index, before, between, &mask);
            }
            let weight = (score - largest).exp() * share;
            by_scores[out + at] = S::cast_from(weight * (by - mean));
            at += units;
        }
    }
}
