//! SegFormer-B0.

mod attention;
mod block;
mod head;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use self::block::Block;
use self::head::Head;
use super::layers::{Shape, convolve};
use super::tokens::{from_grid, to_grid};
use crate::compute::Compute;

/// One stage of the encoder.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Side of the patches, and the distance between them.
    patch: usize,
    stride: usize,
    width: usize,
    heads: usize,
    /// Tokens along a side that one key summarises.
    reduction: usize,
}

/// B0 (Xie et al. 2021, doi:10.48550/arXiv.2105.15203, table 6).
const STAGES: [Size; 4] = [
    Size {
        patch: 7,
        stride: 4,
        width: 32,
        heads: 1,
        reduction: 8,
    },
    Size {
        patch: 3,
        stride: 2,
        width: 64,
        heads: 2,
        reduction: 4,
    },
    Size {
        patch: 3,
        stride: 2,
        width: 160,
        heads: 5,
        reduction: 2,
    },
    Size {
        patch: 3,
        stride: 2,
        width: 256,
        heads: 8,
        reduction: 1,
    },
];

/// Blocks of a stage.
const DEPTH: usize = 2;

/// Share of the images for which the last block's parts are left out in training;
/// earlier blocks in proportion.
const DROP_PATH: f64 = 0.1;

/// SegFormer-B0 (Xie et al. 2021): a transformer of four resolutions and a light
/// decoder, in the form of Hugging Face's `transformers`.
#[derive(Module, Debug)]
pub struct SegFormer {
    stages: Vec<Stage>,
    head: Head,
}

impl SegFormer {
    pub(super) fn new(channels: usize, classes: usize, device: &Device) -> Self {
        let inputs = std::iter::once(channels).chain(STAGES.iter().map(|size| size.width));
        Self {
            stages: (inputs.zip(STAGES).enumerate())
                .map(|(index, (inputs, size))| Stage::new(index, inputs, size, device))
                .collect(),
            head: Head::new(&STAGES.map(|size| size.width), classes, device),
        }
    }

    /// Class scores at a quarter of the resolution.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`, sides multiples of 32
    /// - output: `[B, classes, H / 4, W / 4]`, f32
    pub(super) fn forward(&self, images: Tensor<4>, compute: Compute) -> Tensor<4> {
        let mut x = images;
        let mut features = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            x = stage.forward(x, compute);
            features.push(x.clone());
        }
        self.head.forward(features, compute)
    }
}

/// Patches that overlap, blocks, a norm.
#[derive(Module, Debug)]
struct Stage {
    patches: Conv2d,
    patch_norm: LayerNorm,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Stage {
    fn new(index: usize, inputs: usize, size: Size, device: &Device) -> Self {
        let patches = Shape::dense(inputs, size.width, size.patch).stride(size.stride);
        let norm = || LayerNormConfig::new(size.width).init(device);
        let last = (STAGES.len() * DEPTH - 1) as f64;
        Self {
            patches: patches.init(true, normal(), device),
            patch_norm: norm(),
            blocks: (0..DEPTH)
                .map(|block| {
                    let drop = DROP_PATH * (index * DEPTH + block) as f64 / last;
                    Block::new(size, drop, device)
                })
                .collect(),
            norm: norm(),
        }
    }

    fn forward(&self, x: Tensor<4>, compute: Compute) -> Tensor<4> {
        let x = convolve(&self.patches, x, compute);
        let [_, _, rows, cols] = x.dims();
        let mut x = self.patch_norm.forward(from_grid(x)); // [B, N, width]
        for block in &self.blocks {
            x = block.forward(x, [rows, cols], compute);
        }
        to_grid(self.norm.forward(x), [rows, cols])
    }
}

/// Initial weights of all layers but the norms.
fn normal() -> burn::module::Initializer {
    burn::module::Initializer::Normal {
        mean: 0.0,
        std: 0.02,
    }
}

/// A linear layer with [`normal`] weights and a bias of zeros.
fn linear(inputs: usize, outputs: usize, device: &Device) -> burn::nn::Linear {
    use burn::module::Initializer;
    let layer = burn::nn::LinearConfig::new(inputs, outputs)
        .with_initializer(normal())
        .init(device);
    burn::nn::Linear {
        bias: Some(Initializer::Zeros.init([outputs], device)),
        ..layer
    }
}
