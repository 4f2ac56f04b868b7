//! The convolution as one would write it, in f64.

use super::{Shape, Window};

/// Every pair of an output and an input pixel that a tap joins:
/// `visit(output pixel, input pixel, tap)`, pixels counted through all images.
pub(super) fn taps(shape: Shape, window: Window, mut visit: impl FnMut(usize, usize, usize)) {
    let [rows, cols] = window.kernel;
    let Shape { height, width, .. } = window.output(shape);
    for image in 0..shape.batch {
        for y in 0..height {
            for x in 0..width {
                for i in 0..rows {
                    for j in 0..cols {
                        let (v, u) = (y * window.stride + i, x * window.stride + j);
                        let inside = |at: usize, axis: usize, len: usize| {
                            at.checked_sub(window.padding[axis]).filter(|&at| at < len)
                        };
                        if let Some(v) = inside(v, 0, shape.height)
                            && let Some(u) = inside(u, 1, shape.width)
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
    let area = window.area();
    let size = window.output(shape);
    let mut out = vec![0.0; size.batch * size.height * size.width * outputs];
    taps(shape, window, |to, from, tap| {
        for k in 0..outputs {
            for c in 0..inputs {
                let weight = weight[(k * inputs + c) * area + tap];
                out[to * outputs + k] += f64::from(image[from * inputs + c]) * f64::from(weight);
            }
        }
    });
    out
}

/// The gradients of `sum(forward * gradient)` by the image and by the weight.
pub(super) fn backward(
    image: &[f32],
    shape: Shape,
    weight: &[f32],
    [outputs, inputs]: [usize; 2],
    window: Window,
    gradient: &[f32],
) -> (Vec<f64>, Vec<f64>) {
    let area = window.area();
    let mut by_image = vec![0.0; image.len()];
    let mut by_weight = vec![0.0; weight.len()];
    taps(shape, window, |to, from, tap| {
        for k in 0..outputs {
            let gradient = f64::from(gradient[to * outputs + k]);
            for c in 0..inputs {
                let (at, filter) = (from * inputs + c, (k * inputs + c) * area + tap);
                by_image[at] += gradient * f64::from(weight[filter]);
                by_weight[filter] += gradient * f64::from(image[at]);
            }
        }
    });
    (by_image, by_weight)
}
