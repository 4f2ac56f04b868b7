//! Images of another size than a network takes.

use burn::tensor::{Device, Int, Tensor, TensorData, s};

use nephos::mirror::mirrored;

/// The image, [`mirrored`] below and to the right, up to `size`.
///
/// # Shapes
/// - images: `[B, channels, H, W]`
/// - output: `[B, channels, rows, cols]` for `size = [rows, cols]`
pub(crate) fn pad(images: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let device = images.device();
    let stretched = |images: Tensor<4>, axis: usize, from: usize, to: usize| match from == to {
        true => images,
        false => images.select(axis, places(from, to, &device)),
    };
    let images = stretched(images, 2, height, size[0]);
    stretched(images, 3, width, size[1])
}

/// The places of `from` that `to` places show.
fn places(from: usize, to: usize, device: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = (0..to as isize)
        .map(|at| mirrored(at, from) as i32)
        .collect();
    Tensor::from_data(TensorData::new(places, [to]), device)
}

/// The first `size` rows and columns.
pub(crate) fn crop(x: Tensor<4>, [rows, cols]: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    if [rows, cols] == [height, width] {
        return x;
    }
    x.slice([s![..], s![..], s![..rows], s![..cols]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_padded_below_and_to_the_right() {
        let device = Device::flex();
        let image = Tensor::<4>::from_floats([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]], &device);
        let padded = pad(image.clone(), [3, 5]);
        let expected = Tensor::<4>::from_floats(
            [[[
                [1.0, 2.0, 3.0, 2.0, 1.0],
                [4.0, 5.0, 6.0, 5.0, 4.0],
                [1.0, 2.0, 3.0, 2.0, 1.0],
            ]]],
            &device,
        );
        assert_eq!(padded.clone().into_data(), expected.into_data());
        assert_eq!(crop(padded, [2, 3]).into_data(), image.into_data());
    }
}
