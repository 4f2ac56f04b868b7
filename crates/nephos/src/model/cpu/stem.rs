//! Local detail before the patches.

use nephos_kernel::conv;
use rayon::prelude::*;

use super::pyramid::Level;
use super::weights::Weights;
use super::{Shape, room};
use crate::config::ModelConfig;
use crate::mirror::mirrored;
use crate::model::stem::compand;

/// The levels, finest first.
#[derive(Debug)]
pub(super) struct Stem {
    levels: Vec<Level>,
    channels: usize,
    mu: Option<f32>,
}

/// What the levels put out, channels-last, before their last ReLU.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// The image, padded to whole patches, then each level.
    pub grids: Vec<Vec<f32>>,
}

impl Stem {
    /// `None` inside where the network has none.
    pub fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Option<Self>> {
        let widths = &config.stem.channels;
        if widths.is_empty() {
            return Some(None);
        }
        let channels = *weights.shape("stem.levels.0.down.weight")?.get(1)?;
        let inputs = std::iter::once(channels).chain(widths.iter().copied());
        let levels = (inputs.zip(widths).enumerate())
            .map(|(index, (inputs, &width))| Level::take(weights, index, [inputs, width]))
            .collect::<Option<_>>()?;
        let mu = config.stem.mu;
        Some(Some(Self {
            levels,
            channels,
            mu,
        }))
    }

    /// Channels of the images.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn forward(
        &self,
        images: &[f32],
        shape: Shape,
        wide: &mut Vec<f32>,
        features: &mut Features,
    ) {
        features.grids.resize_with(self.levels.len() + 1, Vec::new);
        let mut size = conv::Shape {
            batch: shape.batch,
            height: shape.padded[0],
            width: shape.padded[1],
        };
        let cells = |size: conv::Shape| size.batch * size.height * size.width;
        let pixels = room(&mut features.grids[0], cells(size) * self.channels);
        self.channels_last(images, shape, pixels);
        for (index, level) in self.levels.iter().enumerate() {
            let (from, to) = features.grids.split_at_mut(index + 1);
            let from = &from[index][..cells(size) * level.inputs()];
            let to = room(&mut to[0], cells(size) / 4 * level.outputs());
            size = level.forward(from, size, wide, to);
        }
    }

    /// The images with their channels last, companded, [`mirrored`] below and to the right.
    fn channels_last(&self, images: &[f32], shape: Shape, to: &mut [f32]) {
        let ([height, width], [rows, cols]) = (shape.pixels, shape.padded);
        let (plane, channels) = (height * width, self.channels);
        (to.par_chunks_exact_mut(cols * channels))
            .enumerate()
            .for_each_init(
                || vec![0.0; 2 * cols],
                |room, (line, to)| {
                    let (image, row) = (line / rows, mirrored((line % rows) as isize, height));
                    let (seen, companded) = room.split_at_mut(cols);
                    for channel in 0..channels {
                        let first = (image * channels + channel) * plane + row * width;
                        let line = &images[first..first + width];
                        seen[..width].copy_from_slice(line);
                        for (col, seen) in seen.iter_mut().enumerate().skip(width) {
                            *seen = line[mirrored(col as isize, width)];
                        }
                        let pixels = match self.mu {
                            None => &*seen,
                            Some(mu) => {
                                compand(seen, companded, mu);
                                &*companded
                            }
                        };
                        let to = to[channel..].iter_mut().step_by(channels);
                        to.zip(pixels).for_each(|(to, x)| *to = *x);
                    }
                },
            );
    }
}
