//! Local detail before the patches.

use nephos_kernel::conv_blocks::{Block, Conv};
use nephos_kernel::gemm::Act;
use nephos_kernel::scratch::{Buffer, Scratch};
use nephos_kernel::stage::Stage;
use rayon::prelude::*;

use super::gradients::{Gradients, add};
use super::layers::Pass;
use super::shape::Shape;
use super::weights::Source;
use crate::config::ModelConfig;
use crate::mirror::mirrored;

/// A light convolutional stem: each level halves the grid (Xiao et al. 2021,
/// doi:10.48550/arXiv.2106.14881).
#[derive(Debug)]
pub(super) struct Stem<'a> {
    /// Of each level, finest first, a halving convolution and a residual block.
    levels: Vec<(Conv<'a>, Block<'a>)>,
    channels: usize,
    mu: Option<f32>,
    /// Whether anything reads the grids.
    used: bool,
    /// Whether a stage of the decoder joins the image.
    joins_image: bool,
}

/// The grids of a stem, channels-last, and what its backward pass needs beside them.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// The image, padded to whole patches, empty where nothing reads it any more, then the
    /// pre-activation of each level; nothing without a stem and stages.
    pub grids: Vec<Buffer>,
    levels: Vec<LevelSaved>,
}

#[derive(Debug)]
struct LevelSaved {
    halved: Buffer,
    /// What the block saved; empty where it is computed again.
    hidden: Buffer,
}

impl Features {
    /// The grid of the last level.
    pub fn last(&self) -> &[f32] {
        self.grids.last().map_or(&[], |grid| grid)
    }

    /// Gives the grids back.
    pub fn give(self, scratch: &mut Scratch) {
        self.grids.into_iter().for_each(|grid| scratch.give(grid));
    }
}

fn name(level: usize, part: &str) -> String {
    format!("stem.levels.{level}.{part}")
}

impl<'a> Stem<'a> {
    /// For images of so many channels.
    pub fn new(config: &ModelConfig, channels: usize, source: &mut Source<'a>) -> Option<Self> {
        let widths = &config.stem.channels;
        let inputs = std::iter::once(channels).chain(widths.iter().copied());
        let level = |(index, (inputs, &width)): (usize, (usize, &usize))| {
            let down = source.conv(&name(index, "down"), [inputs, width], [3, 2, 1])?;
            let down = if index == 0 {
                down
            } else {
                down.with_input_relu()
            };
            Some((down, source.block(&name(index, "block"), width)?))
        };
        Some(Self {
            levels: (inputs.zip(widths).enumerate())
                .map(level)
                .collect::<Option<_>>()?,
            channels,
            mu: config.stem.mu.filter(|_| !widths.is_empty()),
            used: !widths.is_empty() || !config.decoder.stages.is_empty(),
            joins_image: (0..config.decoder.stages.len())
                .any(|stage| config.detail_level(stage) == Some(0)),
        })
    }

    /// Whether it has no levels.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn forward(
        &self,
        images: &[f32],
        shape: Shape,
        pass: &mut Pass<'_>,
        saves: bool,
    ) -> Features {
        let (mut features, recomputes) = (Features::default(), pass.checkpointing);
        if !self.used {
            return features;
        }
        let [rows, cols] = shape.padded;
        let mut pixels = (pass.scratch).take(shape.batch * rows * cols * self.channels);
        channels_last(images, shape, self.channels, self.mu, &mut pixels);
        features.grids.push(pixels);
        for (level, (down, block)) in self.levels.iter().enumerate() {
            let (size, half) = (shape.reduced(1 << level), shape.reduced(2 << level));
            let mut halved = pass.scratch.take(down.numbers(size));
            down.forward(&features.grids[level], size, Act::None, None, &mut halved);
            if level == 0 && !saves && !self.joins_image {
                pass.scratch.give(std::mem::take(&mut features.grids[0]));
            }
            let mut hidden = Buffer::default();
            let place = (saves && !recomputes).then_some(&mut hidden);
            let out = block.forward(&halved, half, place, pass.scratch);
            features.grids.push(out);
            match saves {
                true => features.levels.push(LevelSaved { halved, hidden }),
                false => pass.scratch.give(halved),
            }
        }
        if !self.levels.is_empty() {
            (pass.watch)(Stage::Stem);
        }
        features
    }

    /// From the gradients by the output of each level, which are empty where there is none.
    pub fn backward(
        &self,
        features: Features,
        mut by_level: Vec<Vec<f32>>,
        shape: Shape,
        gradients: &mut Gradients,
    ) {
        let Features { grids, levels } = features;
        for (level, saved) in levels.into_iter().enumerate().rev() {
            let (down, block) = &self.levels[level];
            let of_out = std::mem::take(&mut by_level[level]);
            if of_out.is_empty() {
                continue;
            }
            let (size, half) = (shape.reduced(1 << level), shape.reduced(2 << level));
            let by = block.backward(&saved.halved, half, &saved.hidden, &of_out);
            let [of_input, weight, bias] = down.backward(&grids[level], size, &by.x, level > 0);
            gradients.add_block(&name(level, "block"), by);
            gradients.add_pair(&name(level, "down"), [weight, bias]);
            if level > 0 {
                add(&mut by_level[level - 1], of_input);
            }
        }
    }
}

/// The images with their channels last, companded, [`mirrored`] below and to the right.
///
/// # Shapes
/// - images: `[batch, channels, height, width]`
/// - to: `[batch, padded height, padded width, channels]`
fn channels_last(images: &[f32], shape: Shape, channels: usize, mu: Option<f32>, to: &mut [f32]) {
    let ([height, width], [rows, cols]) = (shape.pixels, shape.padded);
    let plane = height * width;
    (to.par_chunks_exact_mut(cols * channels))
        .enumerate()
        .for_each_init(
            || vec![0.0; 2 * cols],
            |buffer, (line, to)| {
                let (image, row) = (line / rows, mirrored((line % rows) as isize, height));
                let (seen, companded) = buffer.split_at_mut(cols);
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
/// inputs from 0 to 1 are then centred on 0, as initial weights expect.
pub const GAIN: f32 = 4.0;

/// What is subtracted from companded inputs.
pub const SHIFT: f32 = 2.0;

/// Numbers companded by the μ-law.
///
/// # Panics
/// The slices differ in length.
fn compand(from: &[f32], to: &mut [f32], mu: f32) {
    nephos_kernel::logarithm::compand(from, to, mu, GAIN / mu.ln_1p(), SHIFT);
}
