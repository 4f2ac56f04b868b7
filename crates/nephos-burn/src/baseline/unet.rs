//! U-Net.

use burn::module::{Initializer, Module};
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::batch_norm::Activation;
use super::layers::{ConvNorm, Shape, convolve};
use super::mobilenet::{CHANNELS, MobileNetV2};
use crate::compute::Compute;
use crate::upsample::double;

/// Features after each doubling of the grid.
const WIDTHS: [usize; 5] = [256, 128, 64, 32, 16];

/// U-Net (Ronneberger et al. 2015, doi:10.48550/arXiv.1505.04597) with MobileNetV2 as
/// its encoder, in the form of `segmentation_models_pytorch`.
#[derive(Module, Debug)]
pub struct UNet {
    encoder: MobileNetV2,
    blocks: Vec<UpBlock>,
    head: Conv2d,
}

impl UNet {
    pub(super) fn new(channels: usize, classes: usize, device: &Device) -> Self {
        let mut inputs = CHANNELS[4];
        let skips = CHANNELS.iter().rev().skip(1).chain([&0]);
        let blocks = (WIDTHS.iter().zip(skips))
            .map(|(&width, skip)| {
                let block = UpBlock::new(inputs + skip, width, device);
                inputs = width;
                block
            })
            .collect();
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        Self {
            encoder: MobileNetV2::new(channels, false, device),
            blocks,
            head: Shape::dense(inputs, classes, 3).init(true, xavier, device),
        }
    }

    /// Class scores of every pixel.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`, sides multiples of 32
    /// - output: `[B, classes, H, W]`, f32
    pub(super) fn forward(&self, images: Tensor<4>, compute: Compute) -> Tensor<4> {
        let [half, quarter, eighth, sixteenth, mut x] = self.encoder.forward(images, compute);
        let skips = [
            Some(sixteenth),
            Some(eighth),
            Some(quarter),
            Some(half),
            None,
        ];
        for (block, skip) in self.blocks.iter().zip(skips) {
            x = block.forward(x, skip, compute);
        }
        convolve(&self.head, x, compute)
    }
}

/// Doubles the grid, joins the encoder's features, convolves twice.
#[derive(Module, Debug)]
struct UpBlock {
    conv1: ConvNorm,
    conv2: ConvNorm,
}

impl UpBlock {
    fn new(inputs: usize, width: usize, device: &Device) -> Self {
        let layer = |inputs| {
            let shape = Shape::dense(inputs, width, 3);
            ConvNorm::new(shape, Activation::Relu, device)
        };
        Self {
            conv1: layer(inputs),
            conv2: layer(width),
        }
    }

    fn forward(&self, x: Tensor<4>, skip: Option<Tensor<4>>, compute: Compute) -> Tensor<4> {
        let x = double(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]);
        let x = match skip {
            Some(skip) => Tensor::cat(vec![x, skip], 1),
            None => x,
        };
        self.conv2.forward(self.conv1.forward(x, compute), compute)
    }
}
