//! Convolutions of images on the CPU, recorded as one step each in training.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use nephos_kernel::patches::Patches;

use super::record::{Operation, input, record};
use super::slices::{FlexTensor, in_order, numbers};

/// A convolution with a square kernel of `size`, `stride` pixels apart, with `padding`
/// pixels of zeros around the image.
///
/// # Shapes
/// - images: `[B, channels, H, W]`
/// - weight: `[width, channels, size, size]`
/// - bias: `[width]`
/// - output: `[B, width, rows, cols]`
///
/// # Panics
/// Tensors of other shapes, or not of f32 on the CPU.
pub(crate) fn conv2d(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    [stride, padding]: [usize; 2],
) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let patches = Patches {
        batch,
        channels,
        image: [height, width],
        size: weight.dims()[2],
        stride,
        padding,
    };
    let [rows, cols] = patches.grid();
    let shape = [batch, bias.dims()[0], rows, cols];
    let conv = Conv(patches);
    if super::is_recorded(&images.device()) {
        return record(conv, [input(images), input(weight), input(bias)], shape);
    }
    let plain = |tensor: FlexTensor| in_order(tensor);
    let inputs = [
        plain(
            images
                .try_into_primitive::<Flex>()
                .expect("a tensor on the CPU"),
        ),
        plain(
            weight
                .try_into_primitive::<Flex>()
                .expect("a tensor on the CPU"),
        ),
        plain(
            bias.try_into_primitive::<Flex>()
                .expect("a tensor on the CPU"),
        ),
    ];
    let (output, ()) = conv.forward(inputs.each_ref().map(numbers));
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(output, shape)))
}

#[derive(Debug)]
struct Conv(Patches);

impl Conv {
    /// Cells of an image's output.
    fn cells(&self) -> usize {
        let [rows, cols] = self.0.grid();
        rows * cols
    }
}

impl Operation<3> for Conv {
    type Saved = ();

    fn forward(&self, [images, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        let cells = self.0.forward(images, weight, bias); // [B · cells, width]
        (transpose_each(&cells, self.cells(), bias.len()), ())
    }

    fn backward(
        &self,
        [images, weight, bias]: [&[f32]; 3],
        _saved: &(),
        gradient: &[f32],
        [of_images, ..]: [bool; 3],
    ) -> [Vec<f32>; 3] {
        let gradient = transpose_each(gradient, bias.len(), self.cells()); // [B · cells, width]
        let of_images = match of_images {
            true => self.0.images_backward(weight, &gradient),
            false => Vec::new(),
        };
        let [of_weight, of_bias] = self.0.weights_backward(images, &gradient);
        [of_images, of_weight, of_bias]
    }
}

/// Each of the `[rows, cols]` matrices that follow one another in `values`, transposed.
fn transpose_each(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    /// Rows and columns of a block whose lines stay in cache.
    const SIDE: usize = 16;
    let mut transposed = vec![0.0; values.len()];
    let matrices = values.chunks_exact(rows * cols);
    for (from, to) in matrices.zip(transposed.chunks_exact_mut(rows * cols)) {
        for top in (0..rows).step_by(SIDE) {
            for left in (0..cols).step_by(SIDE) {
                for row in top..rows.min(top + SIDE) {
                    for col in left..cols.min(left + SIDE) {
                        to[col * rows + row] = from[row * cols + col];
                    }
                }
            }
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, Tolerance, module};

    #[test]
    fn convolutions_and_gradients_are_those_of_burn() {
        let device = Device::flex().autodiff();
        for (stride, padding) in [(1, 1), (2, 1), (1, 0)] {
            let random =
                |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &device);
            let images = random([2, 3, 7, 10]).require_grad();
            let weight = random([20, 3, 3, 3]).require_grad();
            let bias = Tensor::<1>::random([20], Distribution::Default, &device).require_grad();
            let ours = conv2d(
                images.clone(),
                weight.clone(),
                bias.clone(),
                [stride, padding],
            );
            let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
            let plain = module::conv2d(images.clone(), weight.clone(), Some(bias.clone()), options);
            let probe = random(plain.dims());
            let same = |a: Tensor<1>, b: Tensor<1>| {
                (a.into_data()).assert_approx_eq::<f32>(&b.into_data(), Tolerance::absolute(1e-4));
            };
            let [ours, plain] = [ours, plain].map(|out| {
                let gradients = (out.clone() * probe.clone()).sum().backward();
                let of = |x: &Tensor<4>| x.grad(&gradients).unwrap().flatten::<1>(0, 3);
                let of_bias = bias.grad(&gradients).unwrap();
                [
                    out.inner().flatten::<1>(0, 3),
                    of(&images),
                    of(&weight),
                    of_bias,
                ]
            });
            for (ours, plain) in ours.into_iter().zip(plain) {
                same(ours, plain);
            }
            // Without autodiff.
            let inner = conv2d(
                images.clone().inner(),
                weight.clone().inner(),
                bias.clone().inner(),
                [stride, padding],
            );
            let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
            let plain = module::conv2d(images.inner(), weight.inner(), Some(bias.inner()), options);
            same(inner.flatten::<1>(0, 3), plain.flatten::<1>(0, 3));
        }
    }
}
