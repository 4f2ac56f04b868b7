//! How tokens learn where they are.

use burn::module::{Initializer, Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::compute::Compute;
use crate::interpolate::bilinear;
use nephos::config::{ModelConfig, PositionKind};
use nephos::engine::sincos;

/// Standard deviation of a fresh learned embedding (Dosovitskiy et al. 2021).
const INITIAL_STD: f64 = 0.02;

/// Adds a position to each token.
#[derive(Module, Debug)]
pub struct Position {
    /// One vector a place of the configured grid, `[1, width, rows, cols]`; only
    /// where positions are learned.
    embedding: Option<Param<Tensor<4>>>,
    /// Conditional positional encoding, a depthwise convolution over the neighbours; only where positions are
    /// conditional.
    conditional: Option<Conv2d>,
    /// Whether the fixed sines and cosines are added.
    sincos: bool,
}

impl Position {
    /// Positions as `config` asks.
    ///
    /// # Panics
    /// The configuration was not validated: its image is smaller than a patch.
    pub fn new(config: &ModelConfig, device: &Device) -> Self {
        let kind = config.encoder.position;
        let (rows, cols) = config
            .grid(config.image_size, config.image_size)
            .expect("a validated configuration has a grid");
        let shape = [1, config.patch.width, rows, cols];
        let init = Initializer::Normal {
            mean: 0.0,
            std: INITIAL_STD,
        };
        Self {
            embedding: (kind == PositionKind::Learned).then(|| init.init(shape, device)),
            conditional: (kind == PositionKind::Conditional).then(|| {
                let width = config.patch.width;
                Conv2dConfig::new([width, width], [3, 3])
                    .with_groups(width)
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                    .init(device)
            }),
            sincos: kind == PositionKind::Sincos,
        }
    }

    /// Adds to each token the vector of its place; learned vectors are
    /// interpolated where the grid is not the configured one.
    ///
    /// # Shapes
    /// - tokens, output: `[B, rows * cols, width]`
    pub(crate) fn forward(
        &self,
        tokens: Tensor<3>,
        [rows, cols]: [usize; 2],
        compute: Compute,
    ) -> Tensor<3> {
        if let Some(embedding) = &self.embedding {
            // Edge-aligned: a grid twice as fine covers the same ground.
            let grid = bilinear(embedding.val(), [rows, cols], false); // [1, width, rows, cols]
            tokens + grid.flatten::<3>(2, 3).swap_dims(1, 2)
        } else if self.sincos {
            let width = tokens.dims()[2];
            let positions = TensorData::new(sincos(rows, cols, width), [1, rows * cols, width]);
            let device = tokens.device();
            tokens + Tensor::from_data(positions, &device)
        } else if let Some(conv) = &self.conditional {
            let [batch, _, width] = tokens.dims();
            let grid = (tokens.clone().swap_dims(1, 2)).reshape([batch, width, rows, cols]);
            let near = compute.to_f32(compute.conv2d(conv, grid)); // [B, width, rows, cols]
            tokens + near.flatten::<3>(2, 3).swap_dims(1, 2)
        } else {
            tokens
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nephos::config::Precision;

    fn config(kind: PositionKind) -> ModelConfig {
        let mut config = ModelConfig {
            image_size: 32,
            ..ModelConfig::default()
        };
        config.patch.size = 8;
        config.patch.stride = 8;
        config.patch.padding = 0;
        config.patch.width = 8;
        config.encoder.position = kind;
        config
    }

    #[test]
    fn learned_positions_stretch_to_a_finer_grid() {
        let device = Device::flex();
        let position = Position::new(&config(PositionKind::Learned), &device);
        let places = |rows: usize, cols: usize| {
            let tokens = Tensor::zeros([1, rows * cols, 8], &device);
            let positions = position.forward(tokens, [rows, cols], Compute::from(Precision::F32));
            positions.reshape([rows as i32, cols as i32, 8])
        };
        // The finer grid's corner lies outside the coarse grid's first centre and
        // takes its value.
        let (coarse, fine) = (places(4, 4), places(8, 8));
        let corner = |t: Tensor<3>| t.slice([0..1, 0..1]).into_data();
        corner(coarse).assert_eq(&corner(fine), true);
    }

    #[test]
    fn fixed_positions_differ_and_are_bounded() {
        let device = Device::flex();
        let position = Position::new(&config(PositionKind::Sincos), &device);
        let tokens = position.forward(
            Tensor::zeros([1, 12, 8], &device),
            [3, 4],
            Compute::from(Precision::F32),
        );
        let values: Vec<f32> = tokens.into_data().try_into_vec().unwrap();
        assert!(values.iter().all(|v| v.abs() <= 1.0));
        let places: Vec<&[f32]> = values.chunks(8).collect();
        for (i, a) in places.iter().enumerate() {
            assert!(
                places[..i].iter().all(|b| a != b),
                "place {i} is not unique"
            );
        }
    }
}
