//! The gradient of a convolution by its input.
//!
//! With stride `s`, input pixels fall into `s` phases along each axis, by the taps
//! that reach them. Those of one phase are the convolution, with stride 1, of the
//! gradient by the output with the filter's taps of that phase, turned about.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::strip::{Strip, Windows};
use super::{Shape, Window, check_image};
use crate::gemm::aligned::Aligned;
use crate::gemm::{Epilogue, Matrix, Packed, matmul_left};
use crate::sizes::count;

/// Numbers that a band of input rows comes from and that stay in a thread's cache.
const BAND: usize = 1 << 16;

/// Bands per thread, so that none waits long for the last.
const BANDS: usize = 7;

/// A convolution's way back to its input, its filters packed.
#[derive(Debug, Clone)]
pub struct ConvInputGradient {
    phases: Vec<Phase>,
    window: Window,
    inputs: usize,
    outputs: usize,
}

/// The input pixels whose coordinates, padding added, leave the same remainders.
#[derive(Debug, Clone)]
struct Phase {
    remainder: [usize; 2],
    /// Taps along each axis, at least one.
    taps: [usize; 2],
    filters: Packed,
}

thread_local! {
    static SCRATCH: Cell<[Aligned; 2]> = Cell::default();
}

impl ConvInputGradient {
    /// Packs filters.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs, kernel rows, kernel columns]`
    ///
    /// # Panics
    /// The weight has another size.
    pub fn new(weight: &[f32], [outputs, inputs]: [usize; 2], window: Window) -> Self {
        let [rows, cols] = window.kernel;
        let numbers = count([outputs, inputs, rows, cols]);
        assert_eq!(weight.len(), numbers, "filters");
        let stride = window.stride;
        let phase = |remainder: [usize; 2]| {
            let taps = [0, 1]
                .map(|axis| (window.kernel[axis].saturating_sub(remainder[axis])).div_ceil(stride));
            let mut ordered = Vec::with_capacity(taps[0] * taps[1] * outputs * inputs);
            for i in (0..taps[0]).rev() {
                for j in (0..taps[1]).rev() {
                    let tap = (remainder[0] + stride * i) * cols + remainder[1] + stride * j;
                    for k in 0..outputs {
                        let filter = &weight[k * inputs * rows * cols..];
                        ordered.extend((0..inputs).map(|c| filter[c * rows * cols + tap]));
                    }
                }
            }
            let matrix = Matrix::new(&ordered, taps[0] * taps[1] * outputs, inputs);
            Phase {
                remainder,
                taps,
                filters: Packed::new(matrix),
            }
        };
        // Beyond the window no tap is left.
        let phases = (0..stride.min(rows))
            .flat_map(|i| (0..stride.min(cols)).map(move |j| [i, j]))
            .map(phase)
            .filter(|phase| phase.taps[0] > 0 && phase.taps[1] > 0)
            .collect();
        Self {
            phases,
            window,
            inputs,
            outputs,
        }
    }

    /// The gradient by the input.
    ///
    /// # Shapes
    /// - gradient: by the output, `[batch, output height, output width, outputs]`
    /// - shape: of the input
    /// - out: `[batch, height, width, inputs]`
    ///
    /// # Panics
    /// A shape is another.
    pub fn backward(&self, gradient: &[f32], shape: Shape, out: &mut [f32]) {
        let size = self.window.output(shape);
        check_image(gradient, size, self.outputs);
        check_image(out, shape, self.inputs);
        if out.is_empty() {
            return;
        }
        let row = shape.width * self.inputs;
        let threads = rayon::current_num_threads();
        let fit = BAND.saturating_mul(self.window.stride) / (size.width * self.outputs).max(1);
        let wanted = (shape.batch * shape.height).div_ceil(BANDS * threads);
        let rows = fit.min(wanted).clamp(1, shape.height);
        let rows = rows.next_multiple_of(self.window.stride).min(shape.height);
        let mut bands: Vec<(usize, usize, &mut [f32])> = vec![];
        for (image, out) in out.chunks_exact_mut(shape.height * row).enumerate() {
            let parts = out.chunks_mut(rows * row).enumerate();
            bands.extend(parts.map(|(band, out)| (image, band * rows, out)));
        }
        let pixels = [size.height, size.width, self.outputs];
        bands
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(image, first, out)| {
                let gradient = &gradient[image * pixels.iter().product::<usize>()..];
                let rows = first..first + out.len() / row;
                if self.window.stride > 1 {
                    out.fill(0.0);
                }
                for phase in &self.phases {
                    self.phase(phase, gradient, pixels, [rows.clone(), 0..shape.width], out);
                }
            });
    }

    /// Fills the pixels of one phase in some rows of the input, `out`.
    fn phase(
        &self,
        phase: &Phase,
        gradient: &[f32],
        pixels: [usize; 3],
        area: [Range<usize>; 2],
        out: &mut [f32],
    ) {
        let stride = self.window.stride;
        // Pixel `x` has quotient `q` when `x + padding = q * stride + remainder`.
        let quotients = [0, 1].map(|axis| {
            let (padding, remainder) = (self.window.padding[axis], phase.remainder[axis]);
            let at = |x: usize| (x + padding).saturating_sub(remainder).div_ceil(stride);
            at(area[axis].start)..at(area[axis].end)
        });
        if quotients.iter().any(|quotients| quotients.is_empty()) {
            return;
        }
        let windows = Windows {
            kernel: phase.taps,
            stride: 1,
            first: [0, 1].map(|i| quotients[i].start as isize - (phase.taps[i] as isize - 1)),
            count: [0, 1].map(|i| quotients[i].len()),
        };
        let [scratch, mut sums] = SCRATCH.take();
        let strip = Strip::new(gradient, pixels, windows, false, scratch);
        let (inputs, keep) = (self.inputs, Epilogue::default());
        if stride == 1 {
            matmul_left(&strip, &phase.filters, out, inputs, &keep, false);
        } else {
            let [rows, cols] = windows.count;
            sums.resize(rows * cols * inputs);
            matmul_left(&strip, &phase.filters, &mut sums, inputs, &keep, false);
            let [y, x] = [0, 1].map(|i| {
                let first = quotients[i].start * stride + phase.remainder[i];
                first - self.window.padding[i] - area[i].start
            });
            let width = area[1].len();
            for (at, sum) in sums.chunks_exact(inputs).enumerate() {
                let pixel = (y + at / cols * stride) * width + x + at % cols * stride;
                out[pixel * inputs..][..inputs].copy_from_slice(sum);
            }
        }
        SCRATCH.set([strip.into_data(), sums]);
    }
}
