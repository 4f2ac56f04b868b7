//! DeepLabV3+.

use burn::module::{Initializer, Module};
use burn::nn::conv::Conv2d;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};

use super::batch_norm::Activation;
use super::layers::{ConvNorm, SeparableConv, Shape, convolve};
use super::mobilenet::{CHANNELS, MobileNetV2};
use crate::compute::Compute;
use crate::interpolate::bilinear;

/// Features of the decoder, and of the encoder's fine features in it.
const WIDTH: usize = 256;
const FINE: usize = 48;

/// Pixels between the taps of the pyramid's convolutions.
const RATES: [usize; 3] = [12, 24, 36];

/// DeepLabV3+ (Chen et al. 2018, doi:10.48550/arXiv.1802.02611) with MobileNetV2 at
/// output stride 16 as its encoder, in the form of `segmentation_models_pytorch`.
#[derive(Module, Debug)]
pub struct DeepLabV3Plus {
    encoder: MobileNetV2,
    pyramid: Pyramid,
    refine: SeparableConv,
    fine: ConvNorm,
    fuse: SeparableConv,
    head: Conv2d,
}

impl DeepLabV3Plus {
    pub(super) fn new(channels: usize, classes: usize, device: &Device) -> Self {
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let fine = Shape::dense(CHANNELS[1], FINE, 1);
        Self {
            encoder: MobileNetV2::new(channels, true, device),
            pyramid: Pyramid::new(CHANNELS[4], device),
            refine: SeparableConv::new(WIDTH, WIDTH, 1, device),
            fine: ConvNorm::new(fine, Activation::Relu, device),
            fuse: SeparableConv::new(FINE + WIDTH, WIDTH, 1, device),
            head: Shape::dense(WIDTH, classes, 1).init(true, xavier, device),
        }
    }

    /// Class scores at a quarter of the resolution.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`, sides multiples of 32
    /// - output: `[B, classes, H / 4, W / 4]`, f32
    pub(super) fn forward(&self, images: Tensor<4>, compute: Compute) -> Tensor<4> {
        let [_, quarter, .., last] = self.encoder.forward(images, compute);
        let [_, _, rows, cols] = quarter.dims();
        let context = self.pyramid.forward(last, compute);
        let context = self.refine.forward(context, compute);
        let context = bilinear(context, [rows, cols], true); // [B, WIDTH, H / 4, W / 4]
        let fine = self.fine.forward(quarter, compute);
        let x = self
            .fuse
            .forward(Tensor::cat(vec![context, fine], 1), compute);
        convolve(&self.head, x, compute)
    }
}

/// Atrous spatial pyramid pooling: the same features seen at several distances.
#[derive(Module, Debug)]
struct Pyramid {
    point: ConvNorm,
    atrous: Vec<SeparableConv>,
    pooled: ConvNorm,
    project: ConvNorm,
    dropout: Dropout,
}

impl Pyramid {
    fn new(inputs: usize, device: &Device) -> Self {
        let point =
            |inputs| ConvNorm::new(Shape::dense(inputs, WIDTH, 1), Activation::Relu, device);
        Self {
            point: point(inputs),
            atrous: RATES
                .map(|rate| SeparableConv::new(inputs, WIDTH, rate, device))
                .into(),
            pooled: point(inputs),
            project: point((2 + RATES.len()) * WIDTH),
            dropout: DropoutConfig::new(0.5).init(),
        }
    }

    fn forward(&self, x: Tensor<4>, compute: Compute) -> Tensor<4> {
        let [batch, _, rows, cols] = x.dims();
        let mut views = vec![self.point.forward(x.clone(), compute)];
        views.extend((self.atrous.iter()).map(|atrous| atrous.forward(x.clone(), compute)));
        let pooled = self.pooled.forward(x.mean_dims(&[2, 3]), compute);
        views.push(pooled.expand([batch, WIDTH, rows, cols]));
        let x = self.project.forward(Tensor::cat(views, 1), compute);
        self.dropout.forward(x)
    }
}
