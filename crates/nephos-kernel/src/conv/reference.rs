//! The convolution as one would write it, in f64.

use super::Shape;

/// Kernel sizes, strides and padding of a convolution, rows before columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub stride: usize,
    pub padding: usize,
}

/// Every pair of an output and an input pixel that a tap joins:
/// `visit(output pixel, input pixel, tap)`, pixels counted through all images.
pub(super) fn taps(shape: Shape, window: Window, mut visit: impl FnMut(usize, usize, usize)) {
    let [rows, cols] = window.kernel;
    let out = |len: usize, kernel: usize| (len + 2 * window.padding - kernel) / window.stride + 1;
    let (height, width) = (out(shape.height, rows), out(shape.width, cols));
    for image in 0..shape.batch {
        for y in 0..height {
            for x in 0..width {
                for i in 0..rows {
                    for j in 0..cols {
                        let (v, u) = (y * window.stride + i, x * window.stride + j);
                        let inside = |at: usize, len: usize| {
                            at.checked_sub(window.padding).filter(|&at| at < len)
                        };
                        if let Some(v) = inside(v, shape.height)
                            && let Some(u) = inside(u, shape.width)
                        {
                            visit(
                                (image * height + y) * width + x,
                                (image * shape.height + v) * shape.width + u,
                                i * cols + j,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// The convolution of a channels-last image with `weight`, `[outputs, inputs, kernel]`.
pub(super) fn forward(
    image: &[f32],
    shape: Shape,
    weight: &[f32],
    [outputs, inputs]: [usize; 2],
    window: Window,
) -> Vec<f64> {
    let area = window.kernel[0] * window.kernel[1];
    let mut out = vec![];
    taps(shape, window, |to, from, tap| {
        out.resize(out.len().max((to + 1) * outputs), 0.0);
        for k in 0..outputs {
            for c in 0..inputs {
                let weight = weight[(k * inputs + c) * area + tap];
                out[to * outputs + k] += f64::from(image[from * inputs + c]) * f64::from(weight);
            }
        }
    });
    out
}
