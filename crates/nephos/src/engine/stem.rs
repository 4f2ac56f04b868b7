//! Local detail before the patches.

use nephos_kernel::conv;
use rayon::prelude::*;

use super::packed::{Shape, room};
use super::pyramid::Level;
use super::weights::Weights;
use crate::config::ModelConfig;
use crate::mirror::mirrored;

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
        channels_last(images, shape, self.channels, self.mu, pixels);
        for (index, level) in self.levels.iter().enumerate() {
            let (from, to) = features.grids.split_at_mut(index + 1);
            let from = &from[index][..cells(size) * level.inputs()];
            let to = room(&mut to[0], cells(size) / 4 * level.outputs());
            size = level.forward(from, size, wide, to);
        }
    }
}

/// The images with their channels last, companded, [`mirrored`] below and to the right.
///
/// # Shapes
/// - images: `[batch, channels, height, width]`
/// - to: `[batch, padded height, padded width, channels]`
pub(crate) fn channels_last(
    images: &[f32],
    shape: Shape,
    channels: usize,
    mu: Option<f32>,
    to: &mut [f32],
) {
    let ([height, width], [rows, cols]) = (shape.pixels, shape.padded);
    let plane = height * width;
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
                    let pixels = match mu {
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

/// What companded inputs ([`StemConfig::mu`](crate::config::StemConfig::mu)) are multiplied by:
/// inputs from 0 to 1 then lie around 0, as a fresh convolution wants them.
pub const GAIN: f32 = 4.0;

/// What is taken off companded inputs.
pub const SHIFT: f32 = 2.0;

/// Numbers companded by the μ-law.
///
/// # Panics
/// The slices differ in length.
fn compand(from: &[f32], to: &mut [f32], mu: f32) {
    nephos_kernel::logarithm::compand(from, to, mu, GAIN / mu.ln_1p(), SHIFT);
}
