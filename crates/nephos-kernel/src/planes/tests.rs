//! Each layer against its definition, and its gradients against the transpose.

use super::*;

/// Numbers in (−1, 1) that repeat nowhere soon.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..count).map(|_| next()).collect()
}

fn same(ours: &[f32], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len());
    for (index, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let difference = (f64::from(*ours) - expected).abs();
        let bound = 2e-5 * (1.0 + expected.abs());
        assert!(difference < bound, "{index}: {ours}, not {expected}");
    }
}

/// What a tap of a convolution reads and writes: (output, image, weight) places.
struct Geometry {
    batch: usize,
    inputs: usize,
    outputs: usize,
    image: [usize; 2],
    size: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    depthwise: bool,
}

impl Geometry {
    fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [height, width] = self.image;
        for b in 0..self.batch {
            for o in 0..self.outputs {
                let inputs = if self.depthwise {
                    o..o + 1
                } else {
                    0..self.inputs
                };
                for (place, i) in inputs.enumerate() {
                    for (row, col, ky, kx) in self.places() {
                        let y = (row * self.stride + ky * self.dilation).wrapping_sub(self.padding);
                        let x = (col * self.stride + kx * self.dilation).wrapping_sub(self.padding);
                        if y >= height || x >= width {
                            continue;
                        }
                        let out =
                            ((b * self.outputs + o) * self.size[0] + row) * self.size[1] + col;
                        let image = ((b * self.inputs + i) * height + y) * width + x;
                        let depth = if self.depthwise { 1 } else { self.inputs };
                        let weight = ((o * depth + place) * self.kernel + ky) * self.kernel + kx;
                        visit(out, image, weight);
                    }
                }
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let ([rows, cols], kernel) = (self.size, self.kernel);
        (0..rows * cols * kernel * kernel).map(move |place| {
            let (pixel, tap) = (place / (kernel * kernel), place % (kernel * kernel));
            (pixel / cols, pixel % cols, tap / kernel, tap % kernel)
        })
    }

    fn forward(&self, images: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
        let pixels = self.size[0] * self.size[1];
        let mut out: Vec<f64> = (0..self.batch * self.outputs * pixels)
            .map(|place| f64::from(bias[place / pixels % self.outputs]))
            .collect();
        self.each(|o, i, w| out[o] += f64::from(images[i]) * f64::from(weight[w]));
        out
    }

    fn backward(&self, images: &[f32], weight: &[f32], gradient: &[f32]) -> [Vec<f64>; 2] {
        let mut of_images = vec![0.0; images.len()];
        let mut of_weight = vec![0.0; weight.len()];
        self.each(|o, i, w| {
            of_images[i] += f64::from(gradient[o]) * f64::from(weight[w]);
            of_weight[w] += f64::from(gradient[o]) * f64::from(images[i]);
        });
        [of_images, of_weight]
    }
}

fn channel_sums(gradient: &[f32], channels: usize, pixels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    for (place, gradient) in gradient.iter().enumerate() {
        sums[place / pixels % channels] += f64::from(*gradient);
    }
    sums
}

#[test]
fn dense_convolutions_are_sums_over_their_windows() {
    for (image, kernel, stride, padding) in [
        ([7, 10], 3, 1, 1),
        ([8, 11], 3, 2, 1),
        ([9, 8], 7, 4, 3),
        ([8, 8], 4, 4, 0),
        ([5, 6], 1, 1, 0),
        ([1, 1], 3, 1, 1),
    ] {
        let conv = Conv {
            batch: 2,
            inputs: 3,
            outputs: 5,
            image,
            kernel,
            stride,
            padding,
        };
        let size = conv.output();
        let geometry = Geometry {
            batch: 2,
            inputs: 3,
            outputs: 5,
            image,
            size,
            kernel,
            stride,
            padding,
            dilation: 1,
            depthwise: false,
        };
        let images = numbers(2 * 3 * image[0] * image[1], 1);
        let weight = numbers(5 * 3 * kernel * kernel, 2);
        let bias = numbers(5, 3);
        let gradient = numbers(2 * 5 * size[0] * size[1], 4);
        let expected = geometry.forward(&images, &weight, &bias);
        same(&conv.forward(&images, &weight, Some(&bias)), &expected);
        let expected = geometry.forward(&images, &weight, &[0.0; 5]);
        same(&conv.forward(&images, &weight, None), &expected);
        let [of_images, of_weight] = geometry.backward(&images, &weight, &gradient);
        same(&conv.images_backward(&weight, &gradient), &of_images);
        let [ours, of_bias] = conv.weights_backward(&images, &gradient);
        same(&ours, &of_weight);
        same(&of_bias, &channel_sums(&gradient, 5, size[0] * size[1]));
    }
}

#[test]
fn strips_of_a_large_image_meet() {
    let conv = Conv {
        batch: 1,
        inputs: 40,
        outputs: 3,
        image: [61, 70],
        kernel: 3,
        stride: 1,
        padding: 1,
    };
    let geometry = Geometry {
        batch: 1,
        inputs: 40,
        outputs: 3,
        image: conv.image,
        size: conv.image,
        kernel: 3,
        stride: 1,
        padding: 1,
        dilation: 1,
        depthwise: false,
    };
    let images = numbers(40 * 61 * 70, 1);
    let weight = numbers(3 * 40 * 9, 2);
    let gradient = numbers(3 * 61 * 70, 3);
    same(
        &conv.forward(&images, &weight, None),
        &geometry.forward(&images, &weight, &[0.0; 3]),
    );
    let [of_images, of_weight] = geometry.backward(&images, &weight, &gradient);
    same(&conv.images_backward(&weight, &gradient), &of_images);
    same(&conv.weights_backward(&images, &gradient)[0], &of_weight);
}

#[test]
fn depthwise_convolutions_keep_their_channels_apart() {
    for (image, stride, dilation) in [
        ([7, 40], 1, 1),
        ([6, 9], 2, 1),
        ([9, 6], 2, 1),
        ([12, 23], 1, 2),
        ([5, 4], 1, 12),
        ([1, 2], 1, 1),
        ([1, 1], 2, 1),
    ] {
        let conv = Depthwise {
            batch: 2,
            channels: 3,
            image,
            stride,
            dilation,
        };
        let size = conv.output();
        let geometry = Geometry {
            batch: 2,
            inputs: 3,
            outputs: 3,
            image,
            size,
            kernel: 3,
            stride,
            padding: dilation,
            dilation,
            depthwise: true,
        };
        let images = numbers(2 * 3 * image[0] * image[1], 5);
        let weight = numbers(27, 6);
        let bias = numbers(3, 7);
        let gradient = numbers(2 * 3 * size[0] * size[1], 8);
        let expected = geometry.forward(&images, &weight, &bias);
        same(&conv.forward(&images, &weight, Some(&bias)), &expected);
        let [of_images, of_weight] = geometry.backward(&images, &weight, &gradient);
        same(&conv.images_backward(&weight, &gradient), &of_images);
        let [ours, of_bias] = conv.weights_backward(&images, &gradient);
        same(&ours, &of_weight);
        same(&of_bias, &channel_sums(&gradient, 3, size[0] * size[1]));
    }
}

/// The norm of images by their own statistics, in f64.
fn norm(images: &[f64], scale: [&[f32]; 2], activation: Activation) -> Vec<f64> {
    let (channels, pixels) = (scale[0].len(), 35);
    let scales = scale[0].iter().zip(scale[1]);
    let mut out = vec![0.0; images.len()];
    for (c, (gamma, beta)) in scales.enumerate() {
        let places: Vec<usize> = (0..images.len())
            .filter(|place| place / pixels % channels == c)
            .collect();
        let count = places.len() as f64;
        let mean = places.iter().map(|p| images[*p]).sum::<f64>() / count;
        let variance = places
            .iter()
            .map(|p| (images[*p] - mean).powi(2))
            .sum::<f64>()
            / count;
        for p in places {
            let z = (images[p] - mean) / (variance + 1e-5).sqrt() * f64::from(*gamma)
                + f64::from(*beta);
            out[p] = match activation {
                Activation::None => z,
                Activation::Relu => z.max(0.0),
                Activation::Relu6 => z.clamp(0.0, 6.0),
            };
        }
    }
    out
}

#[test]
fn batch_norm_and_its_gradients_by_differences() {
    for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
        let norm_layer = BatchNorm {
            channels: 3,
            pixels: 35,
            epsilon: 1e-5,
            activation,
        };
        let images = numbers(2 * 3 * 35, 9);
        let gamma = [0.7, -1.3, 5.0];
        let beta = [0.1, 0.2, 3.0];
        let probe = numbers(images.len(), 10);
        let statistics = norm_layer.statistics(&images);
        let out = norm_layer.forward(&images, &statistics, [&gamma, &beta]);
        let wide: Vec<f64> = images.iter().map(|x| f64::from(*x)).collect();
        same(&out, &norm(&wide, [&gamma, &beta], activation));
        let value = |images: &[f64], scale: [&[f32]; 2]| -> f64 {
            let out = norm(images, scale, activation);
            out.iter().zip(&probe).map(|(a, b)| a * f64::from(*b)).sum()
        };
        let [of_images, of_gamma, of_beta] =
            norm_layer.backward(&images, &statistics, [&gamma, &beta], &probe);
        let close = |ours: f32, expected: f64, what: &str| {
            let bound = 2e-3 * (1.0 + expected.abs());
            let difference = (f64::from(ours) - expected).abs();
            assert!(difference < bound, "{what}: {ours}, not {expected}");
        };
        // Steps so small that no pixel crosses a bend.
        let step = 1e-6;
        for place in (0..images.len()).step_by(7) {
            let moved = |by: f64| {
                let mut images = wide.clone();
                images[place] += by;
                value(&images, [&gamma, &beta])
            };
            close(
                of_images[place],
                (moved(step) - moved(-step)) / (2.0 * step),
                "image",
            );
        }
        let step = 1e-5f32;
        for c in 0..3 {
            let moved = |values: [f32; 3], by: f32| {
                let mut values = values;
                values[c] += by;
                values
            };
            // What the step came to in f32.
            let by = |difference: f64, up: [f32; 3], down: [f32; 3]| {
                difference / (f64::from(up[c]) - f64::from(down[c]))
            };
            let (up, down) = (moved(gamma, step), moved(gamma, -step));
            let moved_by = value(&wide, [&up, &beta]) - value(&wide, [&down, &beta]);
            let slope = by(moved_by, up, down);
            assert!((f64::from(of_gamma[c]) - slope).abs() < 0.05 * (1.0 + slope.abs()));
            let (up, down) = (moved(beta, step), moved(beta, -step));
            let moved_by = value(&wide, [&gamma, &up]) - value(&wide, [&gamma, &down]);
            let slope = by(moved_by, up, down);
            assert!((f64::from(of_beta[c]) - slope).abs() < 0.05 * (1.0 + slope.abs()));
        }
    }
}
