//! Upsampling in stages, with the stem's detail.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::compute::Compute;
use super::residual::{ResidualBlock, conv3x3};

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
    pub(super) fn new(
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
    /// - x: `[B, inputs, H, W]`
    /// - detail: `[B, detail, 2H, 2W]`
    /// - output: `[B, width, 2H, 2W]`, f32
    ///
    /// # Panics
    /// The stage was made for detail and there is none, or the reverse.
    pub(super) fn forward(
        &self,
        x: Tensor<4>,
        detail: Option<Tensor<4>>,
        compute: Compute,
    ) -> Tensor<4> {
        // Reducing before doubling gives the same as after, at a quarter of the cost.
        let x = double(compute.wide(compute.conv2d(&self.reduce, x)));
        let x = match detail {
            Some(detail) => Tensor::cat(vec![x, detail], 1), // [B, width + detail, 2H, 2W]
            None => x,
        };
        let x = compute.wide(compute.conv2d(&self.join, x)); // [B, width, 2H, 2W]
        match &self.block {
            Some(block) => block.forward(x, compute),
            None => x,
        }
    }
}

/// Each cell four times. A convolution follows, which smooths (Odena et al. 2016,
/// doi:10.23915/distill.00003).
///
/// # Shapes
/// - x: `[B, channels, H, W]`
/// - output: `[B, channels, 2H, 2W]`
pub(super) fn double(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch * channels, height, 1, width, 1])
        .expand([batch * channels, height, 2, width, 2])
        .reshape([batch, channels, 2 * height, 2 * width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn doubling_repeats_each_cell() {
        let device = Device::flex();
        let cells = TensorData::new(vec![1.0f32, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
        let doubled = double(Tensor::from_data(cells, &device));
        let values: Vec<f32> = doubled.into_data().try_into_vec().unwrap();
        let rows = [
            1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 3.0, 3.0, 4.0, 4.0,
        ];
        assert_eq!(values, rows);
    }
}
