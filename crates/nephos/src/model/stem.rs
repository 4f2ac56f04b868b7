//! Local detail before the patches.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, assert_shape};

use super::compute::Compute;
use super::residual::{ResidualBlock, conv3x3};

/// A light convolutional stem: each level halves the grid (Xiao et al. 2021,
/// doi:10.48550/arXiv.2106.14881). Its features go to the patch embedding, and to
/// the decoder, which finds the edges of clouds in them again.
#[derive(Module, Debug)]
pub struct Stem {
    levels: Vec<Level>,
    channels: usize,
}

/// Halves the grid, then refines.
#[derive(Module, Debug)]
struct Level {
    down: Conv2d,
    block: ResidualBlock,
}

impl Stem {
    /// Levels of `widths` features for images of `channels` channels.
    pub(super) fn new(widths: &[usize], channels: usize, device: &Device) -> Self {
        let inputs = std::iter::once(channels).chain(widths.iter().copied());
        Self {
            levels: (inputs.zip(widths))
                .map(|(inputs, &width)| Level {
                    down: conv3x3(inputs, width, 2, device),
                    block: ResidualBlock::new(width, device),
                })
                .collect(),
            channels,
        }
    }

    /// The features of each level, finest first; no level: none.
    ///
    /// # Shapes
    /// - images: `[B, H, W, channels]`, sides multiples of 2 to the number of levels
    /// - output, level `l` from 1: `[B, H / 2^l, W / 2^l, widths[l - 1]]`, f32
    ///
    /// # Panics
    /// The image has another number of channels.
    pub(super) fn forward(&self, images: Tensor<4>, compute: Compute) -> Vec<Tensor<4>> {
        assert_shape!(images, [_, _, _, self.channels]);
        let mut features = Vec::with_capacity(self.levels.len());
        let mut x = images;
        for level in &self.levels {
            x = level
                .block
                .forward(compute.convolve(&level.down, x), compute);
            features.push(x.clone());
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Precision;
    use burn::tensor::Distribution;

    #[test]
    fn each_level_halves_the_grid() {
        let device = Device::flex();
        let stem = Stem::new(&[4, 6], 3, &device);
        let images = Tensor::random([2, 16, 24, 3], Distribution::Default, &device);
        let levels = stem.forward(images, Compute::from(Precision::F32));
        let shapes: Vec<_> = levels.iter().map(|level| level.dims()).collect();
        assert_eq!(shapes, [[2, 8, 12, 4], [2, 4, 6, 6]]);
    }
}
