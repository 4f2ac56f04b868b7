//! The gradient of a convolution by its filters and its bias.

use std::cell::Cell;

use rayon::prelude::*;

use super::strip::{Strip, Windows};
use super::{Shape, Window, check_image};
use crate::gemm::aligned::Aligned;
use crate::gemm::left::DEPTH;
use crate::gemm::{Epilogue, Matrix, Packed, matmul_left};
use crate::sizes::count;

/// Numbers that a strip has, so that it stays in a thread's cache; more where it
/// would have fewer than [`DEPTH`] pixels.
const STRIP: usize = 1 << 16;

/// The most sums of filters that are held at a time, and the numbers they may take.
const PARTS: usize = 16;
const PARTS_NUMBERS: usize = 1 << 22;

/// Filters with more numbers than this are worth several threads for each part.
const LARGE: usize = 1 << 16;

thread_local! {
    static SCRATCH: Cell<(Aligned, Packed)> = Cell::default();
}

/// Adds the gradient by the filters of a convolution to `out`; of one with a ReLU before it if
/// `input_relu`.
///
/// # Shapes
/// - image: `[batch, height, width, inputs]`
/// - gradient: by the output, `[batch, output height, output width, outputs]`
/// - out: `[outputs, inputs, kernel rows, kernel columns]`
///
/// # Panics
/// A shape is another.
pub fn add_weight_gradient(
    image: &[f32],
    shape: Shape,
    gradient: &[f32],
    [outputs, inputs]: [usize; 2],
    window: Window,
    input_relu: bool,
    out: &mut [f32],
) {
    let size = window.output(shape);
    let Window {
        kernel,
        stride,
        padding,
    } = window;
    check_image(image, shape, inputs);
    check_image(gradient, size, outputs);
    assert_eq!(
        out.len(),
        count([outputs, inputs, window.area()]),
        "filters"
    );
    if out.is_empty() || gradient.is_empty() {
        return;
    }
    let pixels = [shape.height, shape.width, inputs];
    // Strips and parts depend on the shapes alone, so that sums do not depend on the
    // number of threads.
    let line = (shape.width + 2 * padding[1])
        .saturating_mul(inputs)
        .saturating_mul(stride);
    let line = line.saturating_add(size.width * outputs);
    let rows = (STRIP / line)
        .max(DEPTH.div_ceil(size.width))
        .min(size.height);
    let per_image = size.height.div_ceil(rows);
    let strips = size.batch * per_image;
    let parts = (PARTS_NUMBERS / out.len()).clamp(1, PARTS.min(strips));
    let parallel = out.len() >= LARGE;

    let sum = |part: usize| {
        let mut sums = vec![0.0; out.len()];
        let (mut scratch, mut packed) = SCRATCH.take();
        for strip in strips * part / parts..strips * (part + 1) / parts {
            let (index, first) = (strip / per_image, strip % per_image * rows);
            let count = rows.min(size.height - first);
            let windows = Windows {
                kernel,
                stride,
                first: [
                    (first * stride) as isize - padding[0] as isize,
                    -(padding[1] as isize),
                ],
                count: [count, size.width],
            };
            let image = &image[index * pixels.iter().product::<usize>()..];
            let strip = Strip::new(image, pixels, windows, input_relu, scratch);
            let start = (index * size.height + first) * size.width * outputs;
            let gradient = &gradient[start..][..count * size.width * outputs];
            packed.repack(Matrix::new(gradient, count * size.width, outputs));
            let epilogue = Epilogue {
                accumulate: true,
                ..Epilogue::default()
            };
            let line = kernel[1] * inputs * outputs;
            for (row, sums) in sums.chunks_exact_mut(line).enumerate() {
                let left = strip.transposed(row);
                matmul_left(&left, &packed, sums, outputs, &epilogue, parallel);
            }
            scratch = strip.into_data();
        }
        SCRATCH.set((scratch, packed));
        sums
    };
    let all: Vec<Vec<f32>> = (0..parts)
        .into_par_iter()
        .with_max_len(1)
        .map(sum)
        .collect();

    let area = window.area();
    out.par_chunks_mut(inputs * area)
        .enumerate()
        .for_each(|(k, filter)| {
            for (at, x) in filter.iter_mut().enumerate() {
                let (c, tap) = (at / area, at % area);
                let at = (tap * inputs + c) * outputs + k;
                *x += all.iter().map(|sums| sums[at]).sum::<f32>();
            }
        });
}

/// Adds the gradient by the bias of a convolution, or of any layer, to `out`: the sums
/// of columns.
///
/// # Shapes
/// - gradient: by the output, rows of as many numbers as `out` has
///
/// # Panics
/// The gradient is no whole number of rows.
pub fn add_bias_gradient(gradient: &[f32], out: &mut [f32]) {
    /// Rows that are summed one after the other.
    const ROWS: usize = 256;
    if out.is_empty() {
        return;
    }
    assert!(gradient.len().is_multiple_of(out.len()), "whole rows");
    let width = out.len();
    let sums: Vec<Vec<f32>> = gradient
        .par_chunks(ROWS * width)
        .map(|rows| {
            let mut sums = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum += x;
                }
            }
            sums
        })
        .collect();
    for (j, x) in out.iter_mut().enumerate() {
        *x += sums.iter().map(|sums| f64::from(sums[j])).sum::<f64>() as f32;
    }
}
