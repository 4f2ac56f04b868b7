//! Local detail before the patches.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::compute::Compute;
use crate::residual::{ResidualBlock, conv3x3};
use nephos::config::StemConfig;
use nephos::engine::{GAIN, SHIFT};

/// A light convolutional stem: each level halves the grid (Xiao et al. 2021,
/// doi:10.48550/arXiv.2106.14881). Its features go to the patch embedding, and to
/// the decoder, which finds the edges of clouds in them again.
#[derive(Module, Debug)]
pub struct Stem {
    levels: Vec<Level>,
    channels: usize,
    #[module(skip)]
    mu: Option<f32>,
}

/// Halves the grid, then refines.
#[derive(Module, Debug)]
struct Level {
    down: Conv2d,
    block: ResidualBlock,
}

impl Stem {
    /// The levels of `config` for images of `channels` channels.
    pub(crate) fn new(config: &StemConfig, channels: usize, device: &Device) -> Self {
        let widths = &config.channels;
        let inputs = std::iter::once(channels).chain(widths.iter().copied());
        Self {
            levels: (inputs.zip(widths))
                .map(|(inputs, &width)| Level {
                    down: conv3x3(inputs, width, 2, device),
                    block: ResidualBlock::new(width, device),
                })
                .collect(),
            channels,
            mu: config.mu,
        }
    }

    /// Images as the stem and the decoder see them: channels last, companded where the
    /// configuration says so ([`StemConfig::mu`]).
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, H, W, channels]`
    pub(crate) fn pixels(&self, images: Tensor<4>) -> Tensor<4> {
        let pixels = images.permute([0, 2, 3, 1]);
        match self.mu {
            None => pixels,
            Some(mu) => (pixels.clamp_min(0.0) * mu).log1p() * (GAIN / mu.ln_1p()) - SHIFT,
        }
    }

    /// The features of each level, finest first; no level: none.
    ///
    /// # Shapes
    /// - pixels: `[B, H, W, channels]`, as of [`Stem::pixels`], sides multiples of 2 to the number of levels
    /// - output, level `l` from 1: `[B, H / 2^l, W / 2^l, widths[l - 1]]`, f32
    ///
    /// # Panics
    /// The image has another number of channels.
    pub(crate) fn forward(&self, pixels: Tensor<4>, compute: Compute) -> Vec<Tensor<4>> {
        assert_shape!(pixels, [_, _, _, self.channels]);
        let mut features = Vec::with_capacity(self.levels.len());
        let mut x = pixels;
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
    use burn::tensor::Distribution;
    use nephos::config::Precision;

    #[test]
    fn each_level_halves_the_grid() {
        let device = Device::flex();
        let config = StemConfig {
            channels: vec![4, 6],
            mu: None,
        };
        let stem = Stem::new(&config, 3, &device);
        let images = Tensor::random([2, 16, 24, 3], Distribution::Default, &device);
        let levels = stem.forward(images, Compute::from(Precision::F32));
        let shapes: Vec<_> = levels.iter().map(|level| level.dims()).collect();
        assert_eq!(shapes, [[2, 8, 12, 4], [2, 4, 6, 6]]);
    }

    #[test]
    fn companded_inputs_lie_around_zero() {
        let device = Device::flex();
        let config = StemConfig {
            channels: vec![4],
            mu: Some(50.0),
        };
        let stem = Stem::new(&config, 3, &device);
        let images = Tensor::<4>::from_floats([[[[0.0]], [[1.0]], [[-0.5]]]], &device);
        let seen = stem
            .pixels(images)
            .into_data()
            .try_into_vec::<f32>()
            .unwrap();
        for (seen, by_hand) in seen.iter().zip([-2.0, 2.0, -2.0]) {
            assert!((seen - by_hand).abs() < 1e-6, "{seen}");
        }
    }
}
