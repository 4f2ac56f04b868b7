//! From images to tokens.

use nephos_kernel::conv_blocks::Conv;
use nephos_kernel::gemm::Act;
use nephos_kernel::patches::Patches;
use nephos_kernel::scratch::Buffer;
use nephos_kernel::stage::Stage;

use super::gradients::Gradients;
use super::layers::Pass;
use super::shape::{Shape, padded};
use super::stem::Features;
use super::weights::Source;
use crate::config::ModelConfig;

/// The patch embedding: a strided convolution that makes one token of each patch (Dosovitskiy et
/// al. 2021, doi:10.48550/arXiv.2010.11929).
#[derive(Debug)]
pub(super) enum Embed<'a> {
    /// Of images.
    Pixels(Patches<'a>),
    /// Of a stem's features, on a grid so many times as coarse.
    Features(Conv<'a>, usize),
}

const NAME: &str = "patch_embed.proj";

impl<'a> Embed<'a> {
    /// For images of so many channels.
    pub fn new(config: &ModelConfig, channels: usize, source: &mut Source<'a>) -> Option<Self> {
        let patch = &config.patch;
        let Some(&inputs) = config.stem.channels.last() else {
            return Some(Self::Pixels(Patches {
                project: source.unfolded(NAME, [channels, patch.width], patch.size)?,
                channels,
                size: patch.size,
                stride: patch.stride,
                padding: patch.padding,
            }));
        };
        let reduction = config.stem.reduction();
        let window = [patch.size, patch.stride, patch.padding].map(|pixels| pixels / reduction);
        let conv = source.conv(NAME, [inputs, patch.width], window)?;
        Some(Self::Features(conv.with_input_relu(), reduction))
    }

    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - tokens: `[batch * rows * cols, patch width]`
    pub fn forward(
        &self,
        images: &[f32],
        features: &Features,
        shape: Shape,
        pass: &mut Pass<'_>,
    ) -> Buffer {
        let tokens = match self {
            Self::Pixels(patches) => {
                let images = padded(images, shape);
                patches.forward(&images, shape.batch, shape.padded, pass.scratch)
            }
            Self::Features(conv, reduction) => {
                let size = shape.reduced(*reduction);
                let mut tokens = pass.scratch.take(conv.numbers(size));
                conv.forward(features.last(), size, Act::None, None, &mut tokens);
                tokens
            }
        };
        (pass.watch)(Stage::Embed);
        tokens
    }

    /// The gradient by a stem's features; none without a stem.
    pub fn backward(
        &self,
        images: &[f32],
        features: &Features,
        shape: Shape,
        gradient: &[f32],
        gradients: &mut Gradients,
    ) -> Option<Vec<f32>> {
        let (of_features, pair) = match self {
            Self::Pixels(patches) => {
                let (images, size) = (padded(images, shape), shape.padded);
                (
                    None,
                    patches.weights_backward(&images, shape.batch, size, gradient),
                )
            }
            Self::Features(conv, reduction) => {
                let size = shape.reduced(*reduction);
                let [of_grid, weight, bias] = conv.backward(features.last(), size, gradient, true);
                (Some(of_grid), [weight, bias])
            }
        };
        gradients.add_pair(NAME, pair);
        of_features
    }
}
