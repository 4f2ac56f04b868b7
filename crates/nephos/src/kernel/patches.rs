//! The patch embedding in training, as one step of autodiff.

use burn::tensor::Tensor;
use nephos_kernel::patches::Patches;

use super::record::{Operation, input, record};

/// One token a patch of `size` pixels, `stride` apart, with `padding` pixels of zeros
/// around the image.
///
/// # Shapes
/// - images: `[B, channels, H, W]`
/// - weight: `[width, channels, size, size]`
/// - bias: `[width]`
/// - output: `[B, rows * cols, width]` and the grid `[rows, cols]`
///
/// # Panics
/// Tensors of other shapes or devices than [`is_recorded`](super::is_recorded) takes, or
/// an image smaller than a patch.
pub(crate) fn embed(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    [size, stride, padding]: [usize; 3],
) -> (Tensor<3>, [usize; 2]) {
    let [batch, channels, height, width] = images.dims();
    let patches = Patches {
        batch,
        channels,
        image: [height, width],
        size,
        stride,
        padding,
    };
    let [rows, cols] = patches.grid();
    let shape = [batch, rows * cols, bias.dims()[0]];
    let inputs = [input(images), input(weight), input(bias)];
    (record(Embed(patches), inputs, shape), [rows, cols])
}

#[derive(Debug)]
struct Embed(Patches);

impl Operation<3> for Embed {
    type Saved = ();

    fn forward(&self, [images, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        (self.0.forward(images, weight, bias), ())
    }

    fn backward(
        &self,
        [images, weight, _]: [&[f32]; 3],
        _saved: &(),
        gradient: &[f32],
        [of_images, ..]: [bool; 3],
    ) -> [Vec<f32>; 3] {
        let of_images = if of_images {
            self.0.images_backward(weight, gradient)
        } else {
            Vec::new()
        };
        let [of_weight, of_bias] = self.0.weights_backward(images, gradient);
        [of_images, of_weight, of_bias]
    }
}
