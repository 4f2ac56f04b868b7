//! Batch normalisation (Ioffe & Szegedy 2015, doi:10.48550/arXiv.1502.03167) and the
//! activation that follows it, in one pass.

use rayon::prelude::*;

use super::{BLOCK, sum_of};
use crate::sizes::count;
use crate::versions::versions;

/// What follows the norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

impl Activation {
    /// Bounds of the output.
    fn bounds(self) -> [f32; 2] {
        match self {
            Self::None => [f32::NEG_INFINITY, f32::INFINITY],
            Self::Relu => [0.0, f32::INFINITY],
            Self::Relu6 => [0.0, 6.0],
        }
    }
}

/// Mean and variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// `[channels]`.
    pub mean: Vec<f32>,
    /// `[channels]`: mean squared deviation.
    pub variance: Vec<f32>,
}

/// A norm of the channels of images, `activation(γ (x − mean) / √(variance + ε) + β)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Channels of an image.
    pub channels: usize,
    /// Pixels of a plane.
    pub pixels: usize,
    /// ε.
    pub epsilon: f32,
    /// What follows.
    pub activation: Activation,
}

impl BatchNorm {
    /// # Panics
    /// Not whole images.
    fn check(&self, images: &[f32]) {
        let image = count([self.channels, self.pixels]);
        assert!(images.len().is_multiple_of(image), "images of {self:?}");
    }

    /// The planes of a channel.
    fn planes<'a>(&self, images: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> {
        let (stride, pixels) = (self.channels * self.pixels, self.pixels);
        images
            .chunks_exact(stride)
            .map(move |image| &image[channel * pixels..][..pixels])
    }

    /// Mean and variance over all images, of each channel.
    ///
    /// # Shapes
    /// - images: `[batch, channels, pixels]`
    ///
    /// # Panics
    /// No images, or not whole ones.
    pub fn statistics(&self, images: &[f32]) -> Statistics {
        assert!(!images.is_empty());
        self.check(images);
        let count = (images.len() / self.channels) as f64;
        let (mean, variance) = (0..self.channels)
            .into_par_iter()
            .map(|channel| {
                let sum: f64 = self.planes(images, channel).map(sum_of).sum();
                let mean = sum / count;
                let squares = self.planes(images, channel);
                let squares: f64 = squares.map(|plane| deviations(plane, mean as f32)).sum();
                (mean as f32, (squares / count) as f32)
            })
            .unzip();
        Statistics { mean, variance }
    }

    /// Factor and term of each channel: the norm is `x · factor + term`.
    fn affine(&self, statistics: &Statistics, channel: usize, scale: [&[f32]; 2]) -> [f32; 2] {
        let [gamma, beta] = scale.map(|values| values[channel]);
        let factor = gamma / (statistics.variance[channel] + self.epsilon).sqrt();
        [factor, beta - statistics.mean[channel] * factor]
    }

    /// The norm.
    ///
    /// # Shapes
    /// - images, result: `[batch, channels, pixels]`
    /// - scale: γ and β, `[channels]` each
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, images: &[f32], statistics: &Statistics, scale: [&[f32]; 2]) -> Vec<f32> {
        self.check(images);
        assert!(scale.iter().all(|values| values.len() == self.channels));
        let mut out = vec![0.0; images.len()];
        let bounds = self.activation.bounds();
        let planes = out.par_chunks_exact_mut(self.pixels).enumerate();
        let images = images.par_chunks_exact(self.pixels);
        planes.zip(images).for_each(|((plane, out), image)| {
            let affine = self.affine(statistics, plane % self.channels, scale);
            normalise(image, affine, bounds, out);
        });
        out
    }

    /// The gradients by the images, γ and β, where the statistics are those of the
    /// images themselves.
    ///
    /// # Shapes
    /// - images, statistics, scale: as in [`BatchNorm::forward`]
    /// - gradient: that by the result
    /// - results: those of images, γ and β
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(
        &self,
        images: &[f32],
        statistics: &Statistics,
        scale: [&[f32]; 2],
        gradient: &[f32],
    ) -> [Vec<f32>; 3] {
        self.check(images);
        assert_eq!(images.len(), gradient.len(), "gradients of the images");
        let bounds = self.activation.bounds();
        let count = (images.len() / self.channels) as f64;
        // Σ dz and Σ dz·(x − mean) of each channel.
        let sums: Vec<[f64; 2]> = (0..self.channels)
            .into_par_iter()
            .map(|channel| {
                let affine = self.affine(statistics, channel, scale);
                let mean = statistics.mean[channel];
                let planes = self
                    .planes(images, channel)
                    .zip(self.planes(gradient, channel));
                planes.fold([0.0; 2], |[a, b], (image, gradient)| {
                    let [x, y] = moments(image, gradient, mean, affine, bounds);
                    [a + x, b + y]
                })
            })
            .collect();
        let mut of_images = vec![0.0; images.len()];
        let planes = of_images.par_chunks_exact_mut(self.pixels).enumerate();
        let inputs = images.par_chunks_exact(self.pixels);
        let inputs = inputs.zip(gradient.par_chunks_exact(self.pixels));
        planes
            .zip(inputs)
            .for_each(|((plane, out), (image, gradient))| {
                let channel = plane % self.channels;
                let affine = self.affine(statistics, channel, scale);
                let mean = statistics.mean[channel];
                let variance = statistics.variance[channel] + self.epsilon;
                let [sum, product] = sums[channel].map(|sum| (sum / count) as f32);
                let slope = product / variance;
                gradients(image, gradient, [mean, sum, slope], affine, bounds, out);
            });
        let of_gamma = (sums.iter().zip(&statistics.variance))
            .map(|([_, product], variance)| {
                (product / f64::from(variance + self.epsilon).sqrt()) as f32
            })
            .collect();
        let of_beta = sums.iter().map(|[sum, _]| *sum as f32).collect();
        [of_images, of_gamma, of_beta]
    }
}

/// Whether the output moves with `z`.
#[inline(always)]
fn open(z: f32, [low, high]: [f32; 2]) -> bool {
    (z > low) & (z < high)
}

versions! {
    /// Σ (x − mean)².
    fn deviations(plane: &[f32], mean: f32) -> f64 {
        let mut total = 0.0;
        for block in plane.chunks(BLOCK) {
            let mut sums = [0.0f32; super::SUMS];
            let (chunks, rest) = block.as_chunks::<{ super::SUMS }>();
            for chunk in chunks {
                for (sum, x) in sums.iter_mut().zip(chunk) {
                    *sum += (x - mean) * (x - mean);
                }
            }
            let rest: f32 = rest.iter().map(|x| (x - mean) * (x - mean)).sum();
            total += f64::from(sums.iter().sum::<f32>() + rest);
        }
        total
    }
}

versions! {
    fn normalise(image: &[f32], affine: [f32; 2], bounds: [f32; 2], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(image) {
            *out = (x * affine[0] + affine[1]).max(bounds[0]).min(bounds[1]);
        }
    }
}

versions! {
    /// Σ dz and Σ dz·(x − mean) of a plane.
    fn moments(
        image: &[f32],
        gradient: &[f32],
        mean: f32,
        affine: [f32; 2],
        bounds: [f32; 2],
    ) -> [f64; 2] {
        let mut total = [0.0; 2];
        for (image, gradient) in image.chunks(BLOCK).zip(gradient.chunks(BLOCK)) {
            let mut sums = [[0.0f32; super::SUMS]; 2];
            let mut add = |lane: usize, x: f32, gradient: f32| {
                let z = x * affine[0] + affine[1];
                let dz = if open(z, bounds) { gradient } else { 0.0 };
                sums[0][lane] += dz;
                sums[1][lane] += dz * (x - mean);
            };
            let (images, image_rest) = image.as_chunks::<{ super::SUMS }>();
            let (gradients, gradient_rest) = gradient.as_chunks::<{ super::SUMS }>();
            for (image, gradient) in images.iter().zip(gradients) {
                for lane in 0..super::SUMS {
                    add(lane, image[lane], gradient[lane]);
                }
            }
            for (lane, (x, gradient)) in image_rest.iter().zip(gradient_rest).enumerate() {
                add(lane, *x, *gradient);
            }
            for (total, sums) in total.iter_mut().zip(sums) {
                *total += f64::from(sums.iter().sum::<f32>());
            }
        }
        total
    }
}

versions! {
    /// `factor (dz − mean dz − (x − mean) slope)`.
    fn gradients(
        image: &[f32],
        gradient: &[f32],
        moments: [f32; 3],
        affine: [f32; 2],
        bounds: [f32; 2],
        out: &mut [f32],
    ) {
        let [mean, sum, slope] = moments;
        for ((out, x), gradient) in out.iter_mut().zip(image).zip(gradient) {
            let z = x * affine[0] + affine[1];
            let dz = if open(z, bounds) { *gradient } else { 0.0 };
            *out = affine[0] * (dz - sum - (x - mean) * slope);
        }
    }
}
