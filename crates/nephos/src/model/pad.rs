//! Images of another size than a network takes.

use burn::tensor::{Tensor, s};

/// The image with zeros below and to the right, up to `size`.
///
/// # Shapes
/// - images: `[B, channels, H, W]`
/// - output: `[B, channels, rows, cols]` for `size = [rows, cols]`
pub(super) fn pad(images: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    if size == [height, width] {
        return images;
    }
    let zeros = Tensor::zeros([batch, channels, size[0], size[1]], &images.device());
    zeros.slice_assign([s![..], s![..], s![..height], s![..width]], images)
}

/// The first `size` rows and columns.
pub(super) fn crop(x: Tensor<4>, [rows, cols]: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    if [rows, cols] == [height, width] {
        return x;
    }
    x.slice([s![..], s![..], s![..rows], s![..cols]])
}
