//! Upsampling in stages, with the stem's detail.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::compute::Compute;
use crate::residual::{ResidualBlock, conv3x3};

/// Doubles the grid and joins what the stem saw at that resolution.
#[derive(Module, Debug)]
pub struct UpStage {
    reduce: Conv2d,
    join: Conv2d,
    block: Option<ResidualBlock>,
}

impl UpStage {
    /// A stage from `inputs` to `width` features; `detail` is the width of the
    /// stem's features, 0 where there are none to join.
    pub(crate) fn new(
        inputs: usize,
        detail: usize,
        width: usize,
        residual: bool,
        device: &Device,
    ) -> Self {
        Self {
            reduce: Conv2dConfig::new([inputs, width], [1, 1])
                .with_padding(PaddingConfig2d::Explicit(0, 0, 0, 0))
                .init(device),
            join: conv3x3(width + detail, width, 1, device),
            block: residual.then(|| ResidualBlock::new(width, device)),
        }
    }

    /// # Shapes
    /// - x: `[B, H, W, inputs]`
    /// - detail: `[B, 2H, 2W, detail]`
    /// - output: `[B, 2H, 2W, width]`, f32, not negative
    ///
    /// # Panics
    /// The stage was made for detail and there is none, or the reverse.
    pub(crate) fn forward(
        &self,
        x: Tensor<4>,
        detail: Option<Tensor<4>>,
        compute: Compute,
    ) -> Tensor<4> {
        // Reducing before doubling gives the same as after, at a quarter of the cost.
        let joined = self.join(x, detail, compute); // [B, 2H, 2W, width]
        match &self.block {
            Some(block) => block.forward(joined, compute),
            None => relu(joined),
        }
    }

    fn join(&self, x: Tensor<4>, detail: Option<Tensor<4>>, compute: Compute) -> Tensor<4> {
        let x = double(compute.convolve(&self.reduce, x));
        let x = match detail {
            Some(detail) => Tensor::cat(vec![x, detail], 3), // [B, 2H, 2W, width + detail]
            None => x,
        };
        compute.convolve(&self.join, x)
    }
}

/// Each cell four times. A convolution follows, which smooths (Odena et al. 2016,
/// doi:10.23915/distill.00003).
///
/// # Shapes
/// - x: `[B, H, W, channels]`
/// - output: `[B, 2H, 2W, channels]`
pub(crate) fn double(x: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    x.reshape([batch, height, 1, width, 1, channels])
        .expand([batch, height, 2, width, 2, channels])
        .reshape([batch, 2 * height, 2 * width, channels])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn doubling_repeats_each_cell() {
        let device = Device::flex();
        let cells = TensorData::new(vec![1.0f32, 2.0, 3.0, 4.0], [1, 2, 2, 1]);
        let doubled = double(Tensor::from_data(cells, &device));
        let values: Vec<f32> = doubled.into_data().try_into_vec().unwrap();
        let rows = [
            1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 3.0, 3.0, 4.0, 4.0,
        ];
        assert_eq!(values, rows);
    }
}
