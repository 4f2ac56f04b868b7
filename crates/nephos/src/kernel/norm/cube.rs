//! Layer normalisation in CubeCL. A cube has a row.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::NormOps;
use crate::kernel::gpu::{Gpu, arg};

/// Units of a cube, a power of two.
const UNITS: u32 = 64;

/// Rows whose gradients by `gamma` and `beta` one unit adds up.
const BLOCK: usize = 32;

/// # Panics
/// The tensor is not of f32.
fn in_order(tensor: CubeTensor) -> CubeTensor {
    assert_eq!(tensor.dtype, DType::F32, "kernels compute in f32");
    into_contiguous(tensor)
}

/// The rows of `x` and their width.
fn sizes(x: &CubeTensor) -> [usize; 2] {
    let shape = x.meta.shape();
    let width = shape[shape.num_dims() - 1];
    let count = shape.num_elements();
    // Kernels count numbers in 32 bits.
    assert!(count < 1 << 31, "{shape:?} is too much for a GPU");
    [count / width.max(1), width]
}

impl NormOps for CubeBackend {
    fn normalise(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f32) -> CubeTensor {
        let [x, gamma, beta] = [x, gamma, beta].map(in_order);
        let (gpu, [rows, width]) = (Gpu::of(&x), sizes(&x));
        let out = gpu.floats(x.shape());
        if rows * width == 0 {
            return out;
        }
        let (count, dim) = gpu.cubes(rows, UNITS);
        let units = dim.num_elems() as usize;
        normalise_rows::launch(
            &gpu.client,
            count,
            dim,
            arg(&x),
            arg(&gamma),
            arg(&beta),
            arg(&out),
            rows,
            width,
            epsilon,
            units,
        );
        out
    }

    fn normalise_backward(
        x: CubeTensor,
        gamma: CubeTensor,
        grad: CubeTensor,
        epsilon: f32,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let [x, gamma, grad] = [x, gamma, grad].map(in_order);
        let (gpu, [rows, width]) = (Gpu::of(&x), sizes(&x));
        let by_x = gpu.floats(x.shape());
        if rows * width == 0 {
            let zeros = Self::float_mul_scalar(gamma, 0.0f32.into());
            return (by_x, zeros.clone(), zeros);
        }
        let moments = gpu.floats([rows, 2]);
        let (count, dim) = gpu.cubes(rows, UNITS);
        let units = dim.num_elems() as usize;
        by_rows::launch(
            &gpu.client,
            count,
            dim,
            arg(&x),
            arg(&gamma),
            arg(&grad),
            arg(&by_x),
            arg(&moments),
            rows,
            width,
            epsilon,
            units,
        );
        let blocks = rows.div_ceil(BLOCK);
        let [by_gamma, by_beta] = [(); 2].map(|()| gpu.floats([blocks, width]));
        let (count, dim) = gpu.units(blocks * width);
        by_features::launch(
            &gpu.client,
            count,
            dim,
            arg(&x),
            arg(&grad),
            arg(&moments),
            arg(&by_gamma),
            arg(&by_beta),
            rows,
            width,
            BLOCK,
        );
        let [by_gamma, by_beta] = [by_gamma, by_beta].map(|blocks| {
            let sum = Self::float_sum_dim(blocks, 0);
            Self::float_reshape(sum, Shape::new([width]))
        });
        (by_x, by_gamma, by_beta)
    }
}

/// The sum of `parts`, one a unit; all units call it.
#[cube]
fn total(parts: &mut Shared<[f32]>, unit: usize, own: f32, #[comptime] units: usize) -> f32 {
    sync_cube();
    parts[unit] = own;
    sync_cube();
    let mut half = (units / 2).runtime();
    while half > 0 {
        if unit < half {
            let other = parts[unit + half];
            parts[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    parts[0]
}

#[cube(launch)]
fn normalise_rows(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    out: &mut [f32],
    rows: usize,
    width: usize,
    epsilon: f32,
    #[comptime] units: usize,
) {
    let mut parts = Shared::<[f32]>::new_slice(units);
    let unit = UNIT_POS as usize;
    // Cubes beyond the last row do the last once more and write nothing.
    let row = min(CUBE_POS, rows - 1);
    let start = row * width;
    let mut sum = 0.0f32.runtime();
    let mut at = unit;
    while at < width {
        sum += x[start + at];
        at += units;
    }
    let mean = total(&mut parts, unit, sum, units) / width as f32;
    let mut squares = 0.0f32.runtime();
    at = unit;
    while at < width {
        let centred = x[start + at] - mean;
        squares += centred * centred;
        at += units;
    }
    let variance = total(&mut parts, unit, squares, units) / width as f32;
    let scale = 1.0f32 / (variance + epsilon).sqrt();
    if CUBE_POS < rows {
        at = unit;
        while at < width {
            out[start + at] = (x[start + at] - mean) * scale * gamma[at] + beta[at];
            at += units;
        }
    }
}

/// The gradient by `x`; and for each row its mean and the inverse of its deviation.
#[cube(launch)]
fn by_rows(
    x: &[f32],
    gamma: &[f32],
    grad: &[f32],
    by_x: &mut [f32],
    moments: &mut [f32],
    rows: usize,
    width: usize,
    epsilon: f32,
    #[comptime] units: usize,
) {
    let mut parts = Shared::<[f32]>::new_slice(units);
    let unit = UNIT_POS as usize;
    let row = min(CUBE_POS, rows - 1);
    let start = row * width;
    let mut sum = 0.0f32.runtime();
    let mut at = unit;
    while at < width {
        sum += x[start + at];
        at += units;
    }
    let mean = total(&mut parts, unit, sum, units) / width as f32;
    let mut squares = 0.0f32.runtime();
    at = unit;
    while at < width {
        let centred = x[start + at] - mean;
        squares += centred * centred;
        at += units;
    }
    let variance = total(&mut parts, unit, squares, units) / width as f32;
    let scale = 1.0f32 / (variance + epsilon).sqrt();
    let mut by_sum = 0.0f32.runtime();
    let mut dot = 0.0f32.runtime();
    at = unit;
    while at < width {
        let by = grad[start + at] * gamma[at];
        by_sum += by;
        dot += by * (x[start + at] - mean) * scale;
        at += units;
    }
    let by_mean = total(&mut parts, unit, by_sum, units) / width as f32;
    let along = total(&mut parts, unit, dot, units) / width as f32;
    if CUBE_POS < rows {
        at = unit;
        while at < width {
            let normal = (x[start + at] - mean) * scale;
            by_x[start + at] = scale * (grad[start + at] * gamma[at] - by_mean - normal * along);
            at += units;
        }
        if unit == 0 {
            moments[2 * row] = mean;
            moments[2 * row + 1] = scale;
        }
    }
}

/// The gradients by `gamma` and `beta` of each block of rows.
#[cube(launch)]
fn by_features(
    x: &[f32],
    grad: &[f32],
    moments: &[f32],
    by_gamma: &mut [f32],
    by_beta: &mut [f32],
    rows: usize,
    width: usize,
    #[comptime] block: usize,
) {
    let at = ABSOLUTE_POS % width;
    let start = ABSOLUTE_POS / width * block;
    if start >= rows {
        terminate!();
    }
    let mut gamma_sum = 0.0f32.runtime();
    let mut beta_sum = 0.0f32.runtime();
    for row in start..min(start + block, rows) {
        let by = grad[row * width + at];
        gamma_sum += by * (x[row * width + at] - moments[2 * row]) * moments[2 * row + 1];
        beta_sum += by;
    }
    by_gamma[ABSOLUTE_POS] = gamma_sum;
    by_beta[ABSOLUTE_POS] = beta_sum;
}
