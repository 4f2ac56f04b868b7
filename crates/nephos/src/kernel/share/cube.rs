//! The probability of labels in CubeCL. A unit has a pixel.

use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;
use nephos_kernel::loss::SETS;

use super::ShareOps;
use crate::class::IGNORE;
use crate::kernel::gpu::{Gpu, Pitched, arg};

#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Sizes {
    pixels: usize,
    classes: usize,
    height: usize,
    width: usize,
    /// Numbers from one row of logits to the next.
    logits: usize,
    codes: usize,
    /// Of the output, or of the gradient by it.
    shares: usize,
    /// Of the gradient by the logits.
    by_logits: usize,
}

impl ShareOps for CubeBackend {
    fn log_share(logits: CubeTensor, codes: CubeTensor) -> CubeTensor {
        let (gpu, [batch, classes, height, width]) = of(&logits);
        let [logits, codes] = [logits, codes].map(Pitched::new);
        let out = Pitched::empty(&gpu, [batch, height, width], DType::F32);
        let pixels = batch * height * width;
        if pixels == 0 {
            return out.tensor;
        }
        let (count, dim) = gpu.units(pixels);
        let sizes = SizesLaunch::new(
            pixels,
            classes,
            height,
            width,
            logits.pitch,
            codes.pitch,
            out.pitch,
            0,
        );
        // SAFETY: a unit beyond the pixels ends, the others stay within their pixel.
        unsafe {
            share_each::launch_unchecked(
                &gpu.client,
                count,
                dim,
                arg(&logits.tensor),
                arg(&codes.tensor),
                arg(&out.tensor),
                sizes,
                u32::from(IGNORE),
                u32::from(SETS),
            );
        }
        out.tensor
    }

    fn log_share_backward(logits: CubeTensor, codes: CubeTensor, grad: CubeTensor) -> CubeTensor {
        let (gpu, [batch, classes, height, width]) = of(&logits);
        let [logits, codes, grad] = [logits, codes, grad].map(Pitched::new);
        let by_logits = Pitched::empty(&gpu, [batch, classes, height, width], DType::F32);
        let pixels = batch * height * width;
        if pixels == 0 {
            return by_logits.tensor;
        }
        let (count, dim) = gpu.units(pixels);
        let sizes = SizesLaunch::new(
            pixels,
            classes,
            height,
            width,
            logits.pitch,
            codes.pitch,
            grad.pitch,
            by_logits.pitch,
        );
        // SAFETY: a unit beyond the pixels ends, the others stay within their pixel.
        unsafe {
            each_backward::launch_unchecked(
                &gpu.client,
                count,
                dim,
                arg(&logits.tensor),
                arg(&codes.tensor),
                arg(&grad.tensor),
                arg(&by_logits.tensor),
                sizes,
                u32::from(IGNORE),
                u32::from(SETS),
            );
        }
        by_logits.tensor
    }
}

/// Where logits are, and their batch, classes, height and width.
///
/// # Panics
/// They are not of f32.
fn of(logits: &CubeTensor) -> (Gpu, [usize; 4]) {
    assert_eq!(logits.dtype, DType::F32, "kernels compute in f32");
    (Gpu::of(logits), logits.meta.shape().dims())
}

/// The classes of a label as bits, none where it says nothing.
#[cube]
fn bits_of(code: f32, classes: usize, ignore: u32, sets: u32) -> u32 {
    let code = u32::cast_from(code);
    let all = (1u32 << (classes as u32)) - 1u32;
    let mut bits = 0u32.runtime();
    if code != ignore {
        if code >= sets {
            bits = code & all & 127u32;
        } else if code < (classes as u32) {
            bits = 1u32 << code;
        }
    }
    bits
}

#[cube(launch_unchecked)]
fn share_each(
    logits: &[f32],
    codes: &[f32],
    out: &mut [f32],
    sizes: Sizes,
    ignore: u32,
    sets: u32,
) {
    if ABSOLUTE_POS >= sizes.pixels {
        terminate!();
    }
    let row = ABSOLUTE_POS / sizes.width;
    let column = ABSOLUTE_POS % sizes.width;
    let code = codes[row * sizes.codes + column];
    let members = bits_of(code, sizes.classes, ignore, sets);
    let first = row / sizes.height * sizes.classes * sizes.height + row % sizes.height;
    let start = first * sizes.logits + column;
    let plane = sizes.height * sizes.logits;
    // All classes, and those of the label, each relative to its largest.
    let mut largest = f32::min_value();
    let mut own_largest = f32::min_value();
    for class in 0..sizes.classes {
        let logit = logits[start + class * plane];
        largest = max(largest, logit);
        if (members >> (class as u32)) & 1u32 == 1u32 {
            own_largest = max(own_largest, logit);
        }
    }
    let mut all = 0.0f32.runtime();
    let mut own = 0.0f32.runtime();
    for class in 0..sizes.classes {
        let logit = logits[start + class * plane];
        all += (logit - largest).exp();
        if (members >> (class as u32)) & 1u32 == 1u32 {
            own += (logit - own_largest).exp();
        }
    }
    let mut share = 0.0f32.runtime();
    if members != 0u32 {
        share = own_largest - largest + own.ln() - all.ln();
    }
    out[row * sizes.shares + column] = share;
}

/// With `p` the probabilities of all classes and `q` those among the label's, `g (q - p)`.
#[cube(launch_unchecked)]
fn each_backward(
    logits: &[f32],
    codes: &[f32],
    grad: &[f32],
    by_logits: &mut [f32],
    sizes: Sizes,
    ignore: u32,
    sets: u32,
) {
    if ABSOLUTE_POS >= sizes.pixels {
        terminate!();
    }
    let row = ABSOLUTE_POS / sizes.width;
    let column = ABSOLUTE_POS % sizes.width;
    let code = codes[row * sizes.codes + column];
    let members = bits_of(code, sizes.classes, ignore, sets);
    let first = row / sizes.height * sizes.classes * sizes.height + row % sizes.height;
    let start = first * sizes.logits + column;
    let plane = sizes.height * sizes.logits;
    let mut largest = f32::min_value();
    let mut own_largest = f32::min_value();
    for class in 0..sizes.classes {
        let logit = logits[start + class * plane];
        largest = max(largest, logit);
        if (members >> (class as u32)) & 1u32 == 1u32 {
            own_largest = max(own_largest, logit);
        }
    }
    let mut all = 0.0f32.runtime();
    let mut own = 0.0f32.runtime();
    for class in 0..sizes.classes {
        let logit = logits[start + class * plane];
        all += (logit - largest).exp();
        if (members >> (class as u32)) & 1u32 == 1u32 {
            own += (logit - own_largest).exp();
        }
    }
    let mut by = grad[row * sizes.shares + column];
    if members == 0u32 {
        by = 0.0f32.runtime();
    }
    for class in 0..sizes.classes {
        let logit = logits[start + class * plane];
        let mut change = 0.0f32 - (logit - largest).exp() / all;
        if (members >> (class as u32)) & 1u32 == 1u32 {
            change += (logit - own_largest).exp() / own;
        }
        let at = (first + class * sizes.height) * sizes.by_logits + column;
        by_logits[at] = by * change;
    }
}
