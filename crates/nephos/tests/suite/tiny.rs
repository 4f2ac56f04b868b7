//! A network of the reference's kind that is small enough for every test.

use ndarray::Array4;
use nephos::config::Config;
use nephos::weights::{Bundle, Parameters, Summary};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A configuration with every part of the reference, small.
pub fn config() -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.image_size = 64;
    model.patch.size = 16;
    model.patch.stride = 16;
    model.patch.padding = 3;
    model.patch.width = 32;
    model.encoder.depth = 2;
    model.encoder.heads = 4;
    model.encoder.feed_forward = 64;
    model.encoder.dropout = 0.0;
    model.graph.width = 48;
    model.graph.dropout = 0.0;
    model.decoder.width = 40;
    config
}

/// A model with weights drawn from `seed`.
pub fn bundle(config: &Config, seed: u64) -> Bundle {
    Bundle {
        tensors: Parameters::draw(&config.model, config.channels(), seed).into_torch(),
        summary: Summary::default(),
        config: config.clone(),
    }
}

/// `[batch, 3, height, width]` of numbers in [0, 1] that look random.
pub fn images(batch: usize, height: usize, width: usize) -> Array4<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64((batch * 10_000 + height * 100 + width) as u64);
    Array4::from_shape_simple_fn((batch, 3, height, width), || rng.random())
}
