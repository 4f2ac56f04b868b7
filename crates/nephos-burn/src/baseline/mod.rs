//! Published architectures to compare with, trained and used like the others
//! (`model.kind`): U-Net and DeepLabV3+ with MobileNetV2 as their encoder, and
//! SegFormer-B0. Each gives the outputs of a known PyTorch implementation for the same
//! weights; they start from random ones.

mod batch_norm;
mod deeplab;
mod layers;
mod mobilenet;
mod segformer;
mod tokens;
mod unet;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::compute::Compute;
use crate::interpolate::bilinear;
use crate::pad::{crop, pad};
use deeplab::DeepLabV3Plus;
use nephos::config::{ModelConfig, ModelKind};
use segformer::SegFormer;
use unet::UNet;

/// A published architecture.
#[derive(Module, Debug)]
pub struct Baseline {
    network: Architecture,
    #[module(skip)]
    config: ModelConfig,
}

// One network is alive at a time: its size on the stack does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
enum Architecture {
    UNet(UNet),
    DeepLabV3Plus(DeepLabV3Plus),
    SegFormer(SegFormer),
}

impl Baseline {
    /// The network that the configuration names; `None` where that is no baseline.
    /// Weights are drawn only when first used.
    pub(crate) fn unset(config: &ModelConfig, channels: usize, device: &Device) -> Option<Self> {
        let classes = config.classes;
        let network = match config.kind {
            ModelKind::GraphTransformer => return None,
            ModelKind::Unet => Architecture::UNet(UNet::new(channels, classes, device)),
            ModelKind::Deeplabv3plus => {
                Architecture::DeepLabV3Plus(DeepLabV3Plus::new(channels, classes, device))
            }
            ModelKind::Segformer => {
                Architecture::SegFormer(SegFormer::new(channels, classes, device))
            }
        };
        Some(Self {
            network,
            config: config.clone(),
        })
    }

    /// What the network is.
    pub(crate) fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Class scores of every cell of the network's last grid.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`, padded here
    /// - output: `[B, classes, rows, cols]`, f32
    pub(crate) fn forward_coarse(&self, images: Tensor<4>, compute: Compute) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let images = pad(images, self.config.padded(height, width));
        match &self.network {
            Architecture::UNet(network) => network.forward(images, compute),
            Architecture::DeepLabV3Plus(network) => network.forward(images, compute),
            Architecture::SegFormer(network) => network.forward(images, compute),
        }
    }

    /// Brings the scores of [`Baseline::forward_coarse`] to the pixels of the image.
    ///
    /// # Shapes
    /// - coarse: `[B, classes, rows, cols]`
    /// - output: `[B, classes, height, width]` for `size = [height, width]`
    pub(crate) fn upsample(&self, coarse: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let padded = self.config.padded(size[0], size[1]);
        crop(bilinear(coarse, padded, self.config.aligns_corners()), size)
    }
}
