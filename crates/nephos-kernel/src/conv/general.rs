//! The convolution with any window, its windows read in place.

use std::cell::Cell;

use rayon::prelude::*;

use super::strip::{Strip, Windows};
use super::{Shape, Window, check_image};
use crate::gemm::aligned::Aligned;
use crate::gemm::{Epilogue, Matrix, Packed, matmul_left};
use crate::sizes::count;

/// Numbers of a strip that stay in a thread's cache.
const STRIP: usize = 1 << 16;

/// Strips per thread, so that none waits long for the last.
const STRIPS: usize = 7;

/// A convolution with any window, its filters packed.
#[derive(Debug, Clone)]
pub struct ConvPacked {
    filters: Packed,
    window: Window,
    inputs: usize,
    outputs: usize,
    input_relu: bool,
}

thread_local! {
    static SCRATCH: Cell<Aligned> = Cell::default();
}

impl ConvPacked {
    /// Packs filters.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs, kernel rows, kernel columns]`
    ///
    /// # Panics
    /// The weight has another size.
    pub fn new(weight: &[f32], [outputs, inputs]: [usize; 2], window: Window) -> Self {
        let area = window.area();
        assert_eq!(weight.len(), count([outputs, inputs, area]), "filters");
        // Terms in the order of a strip: taps before channels.
        let mut ordered = vec![0.0; weight.len()];
        for (k, filter) in weight.chunks_exact((inputs * area).max(1)).enumerate() {
            for c in 0..inputs {
                for tap in 0..area {
                    ordered[(k * area + tap) * inputs + c] = filter[c * area + tap];
                }
            }
        }
        let matrix = Matrix::new(&ordered, outputs, area * inputs);
        Self {
            filters: Packed::new(matrix.transposed()),
            window,
            inputs,
            outputs,
            input_relu: false,
        }
    }

    /// The same convolution of what is positive of its input: a ReLU before it.
    pub fn with_input_relu(self) -> Self {
        Self {
            input_relu: true,
            ..self
        }
    }

    /// The window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Whether there is a ReLU before it.
    pub fn has_input_relu(&self) -> bool {
        self.input_relu
    }

    /// Channels of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Channels of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `out = activation(image ∗ filters + bias) + residual`, as the epilogue says.
    ///
    /// # Shapes
    /// - image: `[batch, height, width, inputs]`
    /// - bias: `[outputs]`
    /// - out, residual: `[batch, output height, output width, outputs]` as
    ///   [`Window::output`] says
    ///
    /// # Panics
    /// A shape is another.
    pub fn forward(&self, image: &[f32], shape: Shape, epilogue: &Epilogue<'_>, out: &mut [f32]) {
        let size = self.window.output(shape);
        check_image(image, shape, self.inputs);
        check_image(out, size, self.outputs);
        if let Some(residual) = epilogue.residual {
            check_image(residual, size, self.outputs);
        }
        if out.is_empty() {
            return;
        }
        let row = size.width * self.outputs;
        let rows = strip_rows(self.window, shape, self.inputs, size);
        let mut strips: Vec<(usize, usize, &mut [f32])> = vec![];
        for (image, out) in out.chunks_exact_mut(size.height * row).enumerate() {
            let parts = out.chunks_mut(rows * row).enumerate();
            strips.extend(parts.map(|(strip, out)| (image, strip * rows, out)));
        }
        let work = |(index, first, out): (usize, usize, &mut [f32])| {
            let Window {
                kernel,
                stride,
                padding,
            } = self.window;
            let windows = Windows {
                kernel,
                stride,
                first: [
                    (first * stride) as isize - padding[0] as isize,
                    -(padding[1] as isize),
                ],
                count: [out.len() / row, size.width],
            };
            let pixels = [shape.height, shape.width, self.inputs];
            let image = &image[index * pixels.iter().product::<usize>()..];
            let start = (index * size.height + first) * row;
            let epilogue = Epilogue {
                residual: (epilogue.residual).map(|residual| &residual[start..][..out.len()]),
                ..*epilogue
            };
            let (input_relu, scratch) = (self.input_relu, SCRATCH.take());
            let strip = Strip::new(image, pixels, windows, input_relu, scratch);
            matmul_left(&strip, &self.filters, out, self.outputs, &epilogue, false);
            SCRATCH.set(strip.into_data());
        };
        if strips.len() == 1 {
            strips.into_iter().for_each(work);
        } else {
            strips.into_par_iter().with_max_len(1).for_each(work);
        }
    }
}

/// How many rows of the output make a strip.
fn strip_rows(window: Window, shape: Shape, channels: usize, out: Shape) -> usize {
    let line = shape.width + 2 * window.padding[1];
    let line = line
        .saturating_mul(channels.max(1))
        .saturating_mul(window.stride);
    let fit = STRIP / line.max(1);
    let wanted = (out.batch * out.height).div_ceil(STRIPS * rayon::current_num_threads());
    fit.min(wanted).clamp(1, out.height)
}
