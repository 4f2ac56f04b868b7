//! The 3×3 convolution of each channel by itself (Howard et al. 2017,
//! doi:10.48550/arXiv.1704.04861).

use std::ops::Range;

use rayon::prelude::*;

use super::plane_sums;
use crate::sizes::{count, sum};
use crate::versions::versions;

/// A depthwise 3×3 convolution whose padding of `dilation` zeros keeps the size of the
/// image, but for the stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depthwise {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Height and width of an image.
    pub image: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels from one tap to the next.
    pub dilation: usize,
}

/// The taps of a channel.
type Taps = [[f32; 3]; 3];

fn taps(weight: &[f32]) -> Taps {
    std::array::from_fn(|ky| std::array::from_fn(|kx| weight[3 * ky + kx]))
}

impl Depthwise {
    /// Height and width of the output.
    ///
    /// # Panics
    /// The image has no pixels, or the stride is zero.
    pub fn output(&self) -> [usize; 2] {
        let last = |side: usize| side.checked_sub(1).expect("an image with pixels");
        self.image.map(|side| last(side) / self.stride + 1)
    }

    fn check(&self, images: &[f32], output: &[f32]) {
        let pixels = |size: [usize; 2]| count([self.batch, self.channels, size[0], size[1]]);
        // What taps reach beyond the image can be counted too.
        for side in self.image {
            sum([side, self.stride, count([2, self.dilation])]);
        }
        assert_eq!(images.len(), pixels(self.image), "images of {self:?}");
        assert_eq!(output.len(), pixels(self.output()), "output of {self:?}");
    }

    /// The image's row under line `ky` of the kernel, for a row of the output.
    fn image_row(&self, row: usize, ky: usize) -> Option<usize> {
        let y = (row * self.stride + ky * self.dilation).checked_sub(self.dilation)?;
        (y < self.image[0]).then_some(y)
    }

    /// The output's columns whose tap `kx` lies in the image, and the first such pixel.
    fn image_cols(&self, kx: usize) -> (Range<usize>, usize) {
        let (reach, shift) = (self.dilation, kx * self.dilation);
        let first = reach.saturating_sub(shift).div_ceil(self.stride);
        let end = match (self.image[1] + reach).checked_sub(shift + 1) {
            Some(last) => (last / self.stride + 1).min(self.output()[1]),
            None => 0,
        };
        let first = first.min(end);
        let pixel = (first * self.stride + shift).saturating_sub(reach);
        (first..end, pixel)
    }

    /// The convolution.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - weight: `[channels, 1, 3, 3]`
    /// - bias: `[channels]`
    /// - result: `[batch, channels, output height, output width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, images: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let [rows, cols] = self.output();
        let mut out = vec![0.0; count([self.batch, self.channels, rows, cols])];
        self.check(images, &out);
        assert_eq!(weight.len(), count([9, self.channels]), "taps");
        assert!(bias.is_none_or(|bias| bias.len() == self.channels));
        let planes = out.par_chunks_exact_mut(rows * cols).enumerate();
        let images = images.par_chunks_exact(self.image[0] * self.image[1]);
        planes.zip(images).for_each(|((plane, out), image)| {
            let channel = plane % self.channels;
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            let taps = taps(&weight[9 * channel..][..9]);
            correlate(self, image, &taps, bias, out);
        });
        out
    }

    /// The gradient by the images.
    ///
    /// # Shapes
    /// - weight: as in [`Depthwise::forward`]
    /// - gradient: that by the result
    /// - result: that of the images
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn images_backward(&self, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
        let [rows, cols] = self.output();
        let pixels = count(self.image);
        let mut images = vec![0.0; count([self.batch, self.channels, pixels])];
        self.check(&images, gradient);
        let planes = images.par_chunks_exact_mut(pixels).enumerate();
        let gradients = gradient.par_chunks_exact(rows * cols);
        planes
            .zip(gradients)
            .for_each(|((plane, image), gradient)| {
                let taps = taps(&weight[9 * (plane % self.channels)..][..9]);
                if self.stride == 1 {
                    // The transpose of a correlation is one with the taps turned around.
                    let turned =
                        std::array::from_fn(|y| std::array::from_fn(|x| taps[2 - y][2 - x]));
                    correlate(self, gradient, &turned, 0.0, image);
                } else {
                    scatter(self, gradient, &taps, image);
                }
            });
        images
    }

    /// The gradients by the weight and by the bias.
    ///
    /// # Shapes
    /// - images: as in [`Depthwise::forward`]
    /// - gradient: that by the result
    /// - results: those of weight and bias
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn weights_backward(&self, images: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
        self.check(images, gradient);
        let [rows, cols] = self.output();
        let (pixels, all) = (self.image[0] * self.image[1], rows * cols);
        let mut weight = vec![0.0; 9 * self.channels];
        let channels = weight.par_chunks_exact_mut(9).enumerate();
        channels.for_each(|(channel, weight)| {
            let mut sums = [0.0f64; 9];
            for image in 0..self.batch {
                let plane = image * self.channels + channel;
                let image = &images[plane * pixels..][..pixels];
                let gradient = &gradient[plane * all..][..all];
                for (tap, sum) in sums.iter_mut().enumerate() {
                    *sum += tap_gradient(self, image, gradient, tap);
                }
            }
            for (weight, sum) in weight.iter_mut().zip(sums) {
                *weight = sum as f32;
            }
        });
        [weight, plane_sums(gradient, self.channels, all)]
    }
}

versions! {
    /// `out = image ⋆ taps + bias`, for one plane.
    fn correlate(conv: &Depthwise, image: &[f32], taps: &Taps, bias: f32, out: &mut [f32]) {
        let [_, cols] = conv.output();
        let width = conv.image[1];
        let reach = conv.dilation;
        let outside = vec![0.0; width];
        // Columns whose windows lie in the image as a whole.
        let inner = reach.min(width)..width.saturating_sub(reach).max(reach.min(width));
        for (row, out) in out.chunks_exact_mut(cols).enumerate() {
            let lines: [&[f32]; 3] = std::array::from_fn(|ky| match conv.image_row(row, ky) {
                Some(y) => &image[y * width..][..width],
                None => outside.as_slice(),
            });
            if conv.stride == 1 {
                middle(lines, taps, bias, reach, inner.clone(), out);
            }
            let rest = if conv.stride == 1 { inner.clone() } else { 0..0 };
            for (col, out) in out.iter_mut().enumerate() {
                if rest.contains(&col) {
                    continue;
                }
                let mut sum = bias;
                for (line, taps) in lines.iter().zip(taps) {
                    for (kx, tap) in taps.iter().enumerate() {
                        let x = col * conv.stride + kx * reach;
                        if x >= reach && x - reach < width {
                            sum += line[x - reach] * tap;
                        }
                    }
                }
                *out = sum;
            }
        }
    }
}

/// The columns of a row whose windows lie in the image.
#[inline(always)]
fn middle(
    lines: [&[f32]; 3],
    taps: &Taps,
    bias: f32,
    reach: usize,
    inner: Range<usize>,
    out: &mut [f32],
) {
    let count = inner.len();
    let first = inner.start - reach;
    let at = |ky: usize, kx: usize| &lines[ky][first + kx * reach..][..count];
    if count == 0 {
        return;
    }
    let [a, b, c] = [at(0, 0), at(0, 1), at(0, 2)];
    let [d, e, f] = [at(1, 0), at(1, 1), at(1, 2)];
    let [g, h, i] = [at(2, 0), at(2, 1), at(2, 2)];
    let out = &mut out[inner];
    for x in 0..count {
        let top = a[x] * taps[0][0] + b[x] * taps[0][1] + c[x] * taps[0][2];
        let middle = d[x] * taps[1][0] + e[x] * taps[1][1] + f[x] * taps[1][2];
        let bottom = g[x] * taps[2][0] + h[x] * taps[2][1] + i[x] * taps[2][2];
        out[x] = bias + (top + middle + bottom);
    }
}

versions! {
    /// Adds to each pixel of the image what the windows over it have of the gradient.
    fn scatter(conv: &Depthwise, gradient: &[f32], taps: &Taps, image: &mut [f32]) {
        let [_, cols] = conv.output();
        let width = conv.image[1];
        for (row, gradient) in gradient.chunks_exact(cols).enumerate() {
            for (ky, taps) in taps.iter().enumerate() {
                let Some(y) = conv.image_row(row, ky) else { continue };
                let line = &mut image[y * width..][..width];
                for (kx, tap) in taps.iter().enumerate() {
                    let (inside, first) = conv.image_cols(kx);
                    if inside.is_empty() {
                        continue;
                    }
                    let pixels = line[first..].iter_mut().step_by(conv.stride);
                    for (pixel, gradient) in pixels.zip(&gradient[inside]) {
                        *pixel += gradient * tap;
                    }
                }
            }
        }
    }
}

versions! {
    /// The gradient by one tap.
    fn tap_gradient(conv: &Depthwise, image: &[f32], gradient: &[f32], tap: usize) -> f64 {
        let [_, cols] = conv.output();
        let width = conv.image[1];
        let (ky, kx) = (tap / 3, tap % 3);
        let (inside, first) = conv.image_cols(kx);
        let mut sum = 0.0;
        if inside.is_empty() {
            return sum;
        }
        for (row, gradient) in gradient.chunks_exact(cols).enumerate() {
            let Some(y) = conv.image_row(row, ky) else { continue };
            let pixels = &image[y * width + first..(y + 1) * width];
            let gradient = &gradient[inside.clone()];
            sum += f64::from(if conv.stride == 1 {
                dot(gradient, &pixels[..gradient.len()])
            } else {
                let pixels = pixels.iter().step_by(conv.stride);
                gradient.iter().zip(pixels).map(|(a, b)| a * b).sum::<f32>()
            });
        }
        sum
    }
}

/// The inner product, in a fixed order.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; super::SUMS];
    let (a_chunks, a_rest) = a.as_chunks::<{ super::SUMS }>();
    let (b_chunks, b_rest) = b.as_chunks::<{ super::SUMS }>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
