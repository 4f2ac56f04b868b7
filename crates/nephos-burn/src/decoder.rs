//! From tokens to a map of classes.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::compute::Compute;
use crate::interpolate::bilinear;
use crate::upsample::UpStage;
use nephos::config::ModelConfig;

/// A convolution on the grid of tokens, stages that double the grid, a classifier
/// of each cell, and bilinear upsampling of the scores to the pixels.
///
/// Without stages it is the published decoder.
///
/// The published model upsamples first and classifies each pixel. Both orders
/// give the same scores, because the weights of bilinear upsampling sum to one
/// and so commute with a 1×1 convolution and its bias; this one upsamples
/// `classes` channels instead of `width`.
#[derive(Module, Debug)]
pub struct Decoder {
    conv1: Conv2d,
    stages: Vec<UpStage>,
    conv_out: Conv2d,
    align_corners: bool,
    skip: bool,
}

impl Decoder {
    /// A decoder of the graph's nodes and, as `config` asks, of the patch
    /// embeddings and the detail of images of `channels` channels.
    pub fn new(config: &ModelConfig, channels: usize, device: &Device) -> Self {
        let decoder = &config.decoder;
        let skip = if decoder.skip { config.patch.width } else { 0 };
        let pad = decoder.kernel / 2;
        let inputs = std::iter::once(decoder.width).chain(decoder.stages.iter().copied());
        let last = *decoder.stages.last().unwrap_or(&decoder.width);
        Self {
            conv1: Conv2dConfig::new(
                [config.graph_width() + skip, decoder.width],
                [decoder.kernel; 2],
            )
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .init(device),
            stages: (inputs.zip(&decoder.stages).enumerate())
                .map(|(stage, (inputs, &width))| {
                    let detail = config.detail_width(stage, channels).unwrap_or(0);
                    UpStage::new(inputs, detail, width, decoder.residual, device)
                })
                .collect(),
            conv_out: Conv2dConfig::new([last, config.classes], [1, 1])
                .with_padding(PaddingConfig2d::Explicit(0, 0, 0, 0))
                .init(device),
            align_corners: decoder.align_corners,
            skip: decoder.skip,
        }
    }

    /// Class scores of each cell, `2^stages` cells a token along each side.
    ///
    /// # Shapes
    /// - nodes: `[B, rows * cols, graph width]`
    /// - embeddings: `[B, rows * cols, patch width]`
    /// - detail: one a stage, `[B, rows * 2^stage, cols * 2^stage, width]`, stages
    ///   counted from 1, where the stem has features of that size or the
    ///   image has it
    /// - output: `[B, classes, rows * 2^stages, cols * 2^stages]`, f32
    ///
    /// # Panics
    /// Detail other than the configuration's.
    pub fn classify(
        &self,
        nodes: Tensor<3>,
        embeddings: Tensor<3>,
        detail: Vec<Option<Tensor<4>>>,
        [rows, cols]: [usize; 2],
        compute: Compute,
    ) -> Tensor<4> {
        assert_eq!(detail.len(), self.stages.len(), "detail for each stage");
        let tokens = if self.skip {
            Tensor::cat(vec![nodes, embeddings], 2) // [B, N, graph width + patch width]
        } else {
            nodes
        };
        let [batch, _, width] = tokens.dims();
        let grid = tokens.reshape([batch, rows, cols, width]);
        let mut features = relu(compute.convolve(&self.conv1, grid)); // [B, rows, cols, width]
        for (stage, detail) in self.stages.iter().zip(detail) {
            features = stage.forward(features, detail, compute); // [B, 2 rows, 2 cols, width]
        }
        let scores = compute.convolve(&self.conv_out, features); // [B, rows, cols, classes]
        scores.permute([0, 3, 1, 2])
    }

    /// Upsamples class scores to the pixels of the image.
    ///
    /// # Shapes
    /// - coarse: `[B, classes, rows, cols]`
    /// - output: `[B, classes, height, width]` for `size = [height, width]`
    pub fn upsample(&self, coarse: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        bilinear(coarse, size, self.align_corners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn classifying_commutes_with_upsampling() {
        let device = Device::flex();
        let compute = Compute::from(nephos::config::Precision::F32);
        for align_corners in [false, true] {
            let mut config = ModelConfig::default();
            config.decoder.width = 6;
            config.decoder.align_corners = align_corners;
            let decoder = Decoder::new(&config, 3, &device);
            let features = Tensor::random([2, 6, 3, 5], Distribution::Default, &device);
            let ours = decoder.upsample(
                compute.conv2d(&decoder.conv_out, features.clone()),
                [17, 31],
            );
            let published = compute.conv2d(
                &decoder.conv_out,
                bilinear(features, [17, 31], align_corners),
            );
            (ours.into_data())
                .assert_approx_eq::<f32>(&published.into_data(), Tolerance::absolute(1e-5));
        }
    }
}
