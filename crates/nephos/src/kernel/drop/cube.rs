//! Dropout in CubeCL.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::DropOps;
use crate::kernel::gpu::{Gpu, arg};

/// What is dropped, and the factor of the rest.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(in crate::kernel) struct Mask {
    threshold: u32,
    kept: f32,
}

/// A [`Mask`] for a kernel.
pub(in crate::kernel) fn mask(rate: f32) -> MaskLaunch {
    let threshold = (f64::from(rate) * 2f64.powi(32)) as u32;
    MaskLaunch::new(threshold, 1.0 / (1.0 - rate))
}

/// 32 bits of the key from two numbers in [0, 1), which have 16 each.
#[cube]
pub(in crate::kernel) fn bits(key: &[f32], at: usize) -> u32 {
    let high = u32::cast_from(key[at] * 65536.0f32);
    let low = u32::cast_from(key[at + 1] * 65536.0f32);
    (high << 16u32) | low
}

/// The factor of number `index`, as [`nephos_kernel::dropout::Dropout::scale`].
#[cube]
pub(in crate::kernel) fn factor(index: u32, before: u32, between: u32, mask: &Mask) -> f32 {
    let a = index ^ before;
    let b = (a ^ (a >> 16u32)) * 0x7feb_352du32;
    let c = (b ^ (b >> 15u32)) + between;
    let d = (c ^ (c >> 14u32)) * 0x846c_a68bu32;
    let e = d ^ (d >> 16u32);
    select(e < mask.threshold, 0.0f32, mask.kept)
}

impl DropOps for CubeBackend {
    fn dropped(x: CubeTensor, key: CubeTensor, rate: f32, format: DType) -> CubeTensor {
        let (gpu, x) = (Gpu::of(&x), into_contiguous(x));
        let out = gpu.empty(x.shape(), format);
        let numbers = x.meta.num_elements();
        // Kernels count numbers in 32 bits.
        assert!(
            numbers < 1 << 31,
            "{numbers} numbers are too many for a GPU"
        );
        if numbers == 0 {
            return out;
        }
        let (count, dim) = gpu.units(numbers);
        drop_each::launch(
            &gpu.client,
            count,
            dim,
            arg(&x),
            arg(&key),
            arg(&out),
            mask(rate),
            [x.dtype, format].map(dtype_to_storage_type),
        );
        out
    }
}

#[cube(launch)]
fn drop_each<X: Float, Y: Float>(
    x: &[X],
    key: &[f32],
    out: &mut [Y],
    mask: Mask,
    #[define(X, Y)] _formats: [ElemType; 2],
) {
    if ABSOLUTE_POS >= out.len() {
        terminate!();
    }
    let before = bits(key, 0usize);
    let between = bits(key, 2usize);
    let scale = factor(ABSOLUTE_POS as u32, before, between, &mask);
    out[ABSOLUTE_POS] = Y::cast_from(f32::cast_from(x[ABSOLUTE_POS]) * scale);
}
