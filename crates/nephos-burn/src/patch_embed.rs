//! From an image to a grid of tokens.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, assert_shape, s};

use crate::compute::Compute;
use nephos::config::PatchConfig;

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
        if crate::device::is_gpu(&images.device()) && self.tiles() {
            return self.embed_tiles(images, compute);
        }
        let grid = compute.conv2d(&self.proj, images); // [B, width, rows, cols]
        let [_, _, rows, cols] = grid.dims();
        let tokens = grid.flatten::<3>(2, 3).swap_dims(1, 2); // [B, N, width]
        (compute.to_f32(tokens), [rows, cols])
    }

    /// Whether patches lie side by side.
    fn tiles(&self) -> bool {
        let layer = &self.proj;
        layer.stride == layer.kernel_size && layer.dilation == [1, 1] && layer.groups == 1
    }

    /// [`PatchEmbed::forward`] of patches that lie side by side, as one product of matrices,
    /// the kernels of which GPUs have most of.
    fn embed_tiles(&self, images: Tensor<4>, compute: Compute) -> (Tensor<3>, [usize; 2]) {
        let [batch, channels, height, width] = images.dims();
        let [size, pad] = [self.proj.kernel_size[0], self.padding];
        let [rows, cols] = [height, width].map(|side| (side + 2 * pad - size) / size + 1);
        let tiles = tile(compute.to_compute_dtype(images), [rows, cols], size, pad);
        // Rows of a multiple of 16 numbers, as tensor cores read them.
        let numbers = channels * size * size;
        let aligned = numbers.next_multiple_of(16);
        let fill = |rows: Tensor<2>| match aligned - numbers {
            0 => rows,
            more => {
                let zeros = Tensor::zeros([rows.dims()[0], more], &rows.device());
                Tensor::cat(
                    vec![
                        compute.to_compute_dtype(rows),
                        compute.to_compute_dtype(zeros),
                    ],
                    1,
                )
            }
        };
        let weight = self.proj.weight.val().flatten::<2>(1, 3); // [width, numbers]
        let tokens = compute.product(
            fill(tiles),
            fill(weight).transpose(),
            self.proj.bias.as_ref().map(|bias| bias.val()),
        ); // [B * N, width]
        let tokens = compute
            .to_f32(tokens)
            .reshape([batch as i32, (rows * cols) as i32, -1]);
        (tokens, [rows, cols])
    }
}

/// The pixels of patches side by side, of which the first begins `pad` pixels before the
/// image; what is not of the image is zero.
///
/// # Shapes
/// - images: `[B, channels, H, W]`
/// - output: `[B * rows * cols, channels * size * size]`
fn tile(images: Tensor<4>, [rows, cols]: [usize; 2], size: usize, pad: usize) -> Tensor<2> {
    let [batch, channels, height, width] = images.dims();
    let (tall, wide) = (rows * size, cols * size);
    let [below, right] =
        [(tall, height), (wide, width)].map(|(all, side)| all.saturating_sub(pad + side));
    let padded = images.pad([(pad, below), (pad, right)], 0.0).slice([
        s![..],
        s![..],
        s![..tall],
        s![..wide],
    ]);
    padded
        .reshape([batch, channels, rows, size, cols, size])
        .permute([0, 2, 4, 1, 3, 5])
        .reshape([batch * rows * cols, channels * size * size])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;
    use nephos::config::Precision;

    #[test]
    fn tiles_are_what_the_convolution_reads() {
        let device = Device::flex();
        for precision in [Precision::F32, Precision::Bf16] {
            for (size, padding, [height, width]) in [
                (4, 0, [12, 8]),
                (5, 2, [19, 23]),
                (5, 1, [14, 11]),
                (19, 5, [60, 47]),
            ] {
                let config = PatchConfig {
                    size,
                    stride: size,
                    padding,
                    width: 6,
                };
                let layer = PatchEmbed::new(&config, 3, 1, &device);
                let shape = [2, 3, height, width];
                let images = Tensor::<4>::random(shape, Distribution::Default, &device);
                let compute = Compute::from(precision);
                let (expected, grid) = layer.forward(images.clone(), compute);
                let (tiles, own) = layer.embed_tiles(images, compute);
                assert_eq!(own, grid);
                let tolerance = match precision {
                    Precision::F32 => 1e-5,
                    _ => 2e-2,
                };
                (tiles.into_data())
                    .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(tolerance));
            }
        }
    }
}
