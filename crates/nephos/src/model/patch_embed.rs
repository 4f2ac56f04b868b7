//! From an image to a grid of tokens.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, assert_shape};

use super::compute::Compute;
use crate::config::PatchConfig;

/// A strided convolution that makes one token of each patch (Dosovitskiy et al.
/// 2021, doi:10.48550/arXiv.2010.11929).
#[derive(Module, Debug)]
pub struct PatchEmbed {
    proj: Conv2d,
    channels: usize,
    padding: usize,
}

impl PatchEmbed {
    /// A layer for images of `channels` channels, or for a stem's features on a
    /// grid `reduction` times as coarse as the image.
    pub fn new(config: &PatchConfig, channels: usize, reduction: usize, device: &Device) -> Self {
        let [size, stride, pad] =
            [config.size, config.stride, config.padding].map(|pixels| pixels / reduction);
        Self {
            proj: Conv2dConfig::new([channels, config.width], [size, size])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .init(device),
            channels,
            padding: pad,
        }
    }

    /// Embeds each patch.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, rows, cols, width]` as tokens `[B, rows * cols, width]` in
    ///   row-major order, f32, and the grid `(rows, cols)`
    ///
    /// # Panics
    /// The image has another number of channels, or is smaller than one patch.
    pub fn forward(&self, images: Tensor<4>, compute: Compute) -> (Tensor<3>, [usize; 2]) {
        assert_shape!(images, [_, self.channels, _, _]);
        let [_, _, height, width] = images.dims();
        assert!(
            height.min(width) + 2 * self.padding >= self.proj.kernel_size[0],
            "an image of {height} x {width} pixels is smaller than one patch"
        );
        #[cfg(feature = "flex")]
        if compute.is_recorded(&images.device()) {
            let (weight, bias) = super::compute::conv_tensors(&self.proj);
            let sides = [self.proj.kernel_size[0], self.proj.stride[0], self.padding];
            return crate::kernel::patches::embed(images, weight, bias, sides);
        }
        let grid = compute.conv2d(&self.proj, images); // [B, width, rows, cols]
        let [_, _, rows, cols] = grid.dims();
        let tokens = grid.flatten::<3>(2, 3).swap_dims(1, 2); // [B, N, width]
        (compute.wide(tokens), [rows, cols])
    }
}
