//! From images to tokens.

use nephos_kernel::conv;
use nephos_kernel::gemm::Act;
use rayon::prelude::*;

use super::linear::Linear;
use super::packed::{Shape, room};
use super::pyramid::{Conv, square};
use super::weights::Weights;
use crate::config::{ModelConfig, PatchConfig};

/// The patch embedding.
#[derive(Debug)]
pub(super) enum Embed {
    /// Of images.
    Pixels(Patches),
    /// Of a stem's features, on a grid so many times as coarse.
    Features(Conv, usize),
}

/// Each patch as a row, times one matrix.
#[derive(Debug)]
pub(super) struct Patches {
    patch: PatchConfig,
    channels: usize,
    project: Linear,
}

const NAME: &str = "block12.patch_embed.proj";

impl Embed {
    pub fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Self> {
        let Some(&channels) = config.stem.channels.last() else {
            return Patches::new(config, weights).map(Self::Pixels);
        };
        let (patch, reduction) = (&config.patch, config.stem.reduction());
        let [size, stride, padding] =
            [patch.size, patch.stride, patch.padding].map(|pixels| pixels / reduction);
        let sizes = [channels, patch.width];
        let conv = Conv::take(weights, NAME, sizes, square(size, stride, padding))?;
        Some(Self::Features(conv.rectified(), reduction))
    }

    /// Channels of the images or features.
    pub fn channels(&self) -> usize {
        match self {
            Self::Pixels(patches) => patches.channels,
            Self::Features(conv, _) => conv.inputs(),
        }
    }

    /// `wide` is a buffer of any length.
    ///
    /// # Shapes
    /// - grid: images `[batch, channels, padded height, padded width]`, or a stem's features
    ///   `[batch, padded height / reduction, padded width / reduction, channels]`
    /// - tokens: `[batch * rows * cols, patch width]`
    pub fn forward(&self, grid: &[f32], shape: Shape, wide: &mut Vec<f32>, tokens: &mut [f32]) {
        match self {
            Self::Pixels(patches) => patches.forward(grid, shape, wide, tokens),
            Self::Features(conv, reduction) => {
                let [height, width] = shape.padded.map(|side| side / reduction);
                let size = conv::Shape {
                    batch: shape.batch,
                    height,
                    width,
                };
                let features = shape.batch * height * width * conv.inputs();
                conv.forward(&grid[..features], size, Act::None, None, tokens);
            }
        }
    }
}

impl Patches {
    fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Self> {
        let patch = &config.patch;
        let (width, size) = (patch.width, patch.size);
        let shape = weights.shape(&format!("{NAME}.weight"))?;
        let channels = *shape.get(1).filter(|channels| **channels > 0)?;
        let weight = weights.take(&format!("{NAME}.weight"), &[width, channels, size, size])?;
        let bias = weights.take(&format!("{NAME}.bias"), &[width])?;
        let inputs = channels * size * size;
        Some(Self {
            patch: patch.clone(),
            channels,
            project: Linear::new(&weight, [inputs, width], Some(bias)),
        })
    }

    /// # Shapes
    /// - images: `[batch, channels, padded height, padded width]`
    /// - tokens: `[batch * rows * cols, patch width]`
    fn forward(&self, images: &[f32], shape: Shape, patches: &mut Vec<f32>, tokens: &mut [f32]) {
        let inputs = self.channels * self.patch.size * self.patch.size;
        let image = self.channels * shape.padded[0] * shape.padded[1];
        let patches = room(patches, shape.tokens() * inputs);
        for (image, tokens) in (images.chunks_exact(image))
            .zip(tokens.chunks_exact_mut(shape.tokens() * self.patch.width))
        {
            (patches
                .par_chunks_exact_mut(shape.grid[1] * inputs)
                .enumerate())
            .for_each(|(row, patches)| self.cut(image, shape, row, patches));
            (self.project).forward(patches, None, Act::None, tokens);
        }
    }

    /// The patches of a row of the grid, `[cols, channels, size, size]`; 0 outside the
    /// image.
    fn cut(&self, image: &[f32], shape: Shape, row: usize, patches: &mut [f32]) {
        let PatchConfig {
            size,
            stride,
            padding,
            ..
        } = self.patch;
        let [height, width] = shape.padded;
        for channel in 0..self.channels {
            for line in 0..size {
                let y = (row * stride + line)
                    .checked_sub(padding)
                    .filter(|y| *y < height);
                let pixels = y.map(|y| &image[(channel * height + y) * width..][..width]);
                for (col, patch) in patches
                    .chunks_exact_mut(self.channels * size * size)
                    .enumerate()
                {
                    let to = &mut patch[(channel * size + line) * size..][..size];
                    // The pixels from `first` to `end` of the padded line that exist.
                    let left = col * stride;
                    let first = padding.saturating_sub(left).min(size);
                    let end = (padding + width).saturating_sub(left).clamp(first, size);
                    match pixels {
                        Some(pixels) if first < end => {
                            let from = left + first - padding;
                            to[..first].fill(0.0);
                            to[first..end].copy_from_slice(&pixels[from..from + end - first]);
                            to[end..].fill(0.0);
                        }
                        _ => to.fill(0.0),
                    }
                }
            }
        }
    }
}
