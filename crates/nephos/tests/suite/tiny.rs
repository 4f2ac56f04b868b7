//! A network of the reference's kind that is small enough for every test.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Distribution, Tensor};
use nephos::config::Config;
use nephos::model::Segmenter;

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

/// The device's one generator, held while drawing: tests run side by side.
static GENERATOR: Mutex<()> = Mutex::new(());

/// A network with weights drawn from `seed`.
pub fn segmenter(config: &Config, seed: u64, device: &Device) -> Segmenter {
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    Segmenter::new(&config.model, config.channels(), device)
}

/// `[batch, 3, height, width]` of numbers in [0, 1].
pub fn images(batch: usize, height: usize, width: usize, device: &Device) -> Tensor<4> {
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    Tensor::random([batch, 3, height, width], Distribution::Default, device)
}
