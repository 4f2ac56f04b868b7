//! The decoder of SegFormer.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Tensor};

use super::super::batch_norm::Activation;
use super::super::layers::{ConvNorm, Shape, convolve};
use super::super::tokens::{from_grid, to_grid};
use super::{linear, normal};
use crate::compute::Compute;
use crate::interpolate::bilinear;

/// Features of the decoder.
const WIDTH: usize = 256;

/// Brings the features of all stages to one width and one grid, and mixes them.
#[derive(Module, Debug)]
pub struct Head {
    projections: Vec<Linear>,
    fuse: ConvNorm,
    dropout: Dropout,
    classify: Conv2d,
}

impl Head {
    pub(super) fn new(widths: &[usize], classes: usize, device: &Device) -> Self {
        let fuse = Shape::dense(widths.len() * WIDTH, WIDTH, 1);
        Self {
            projections: (widths.iter())
                .map(|width| linear(*width, WIDTH, device))
                .collect(),
            fuse: ConvNorm::new(fuse, Activation::Relu, device),
            dropout: DropoutConfig::new(0.1).init(),
            classify: Shape::dense(WIDTH, classes, 1).init(true, normal(), device),
        }
    }

    /// # Shapes
    /// - features: `[B, width, rows, cols]` each, finest first
    /// - output: `[B, classes, rows, cols]` of the finest, f32
    pub(super) fn forward(&self, features: Vec<Tensor<4>>, compute: Compute) -> Tensor<4> {
        let size = match features.first() {
            Some(finest) => [finest.dims()[2], finest.dims()[3]],
            None => panic!("features of at least one stage"),
        };
        // The coarsest comes first.
        let features = (self.projections.iter().zip(features).rev())
            .map(|(projection, features)| {
                let [_, _, rows, cols] = features.dims();
                let tokens = compute.to_f32(compute.linear(projection, from_grid(features)));
                bilinear(to_grid(tokens, [rows, cols]), size, false)
            })
            .collect();
        let x = self.fuse.forward(Tensor::cat(features, 1), compute);
        convolve(&self.classify, self.dropout.forward(x), compute)
    }
}
