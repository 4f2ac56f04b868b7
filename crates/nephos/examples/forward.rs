//! Times the reference model on one image of 509 × 509 pixels, or, with the
//! argument `train`, one training step on a batch of four.
//!
//! ```text
//! cargo run --release --example forward [train]
//! ```

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Distribution, Tensor};
use nephos::config::{Config, Precision};
use nephos::model::Segmenter;

fn main() -> nephos::Result<()> {
    let config = Config::default();
    let side = config.model.image_size;
    let training = std::env::args().nth(1).as_deref() == Some("train");
    let device = match training {
        true => nephos::device::select("cpu")?.autodiff(),
        false => nephos::device::select("cpu")?,
    };
    device.seed(config.seed);
    let segmenter = Segmenter::new(&config.model, config.channels(), &device);
    println!("{} parameters", segmenter.num_params());
    let batch = if training { config.train.batch_size } else { 1 };
    let shape = [batch, config.channels(), side, side];
    for round in 1..=4 {
        let images = Tensor::random(shape, Distribution::Default, &device);
        let start = Instant::now();
        let logits = segmenter.forward_with(images, Precision::F32);
        let dims = logits.dims();
        if training {
            let gradients = logits.square().mean().backward();
            drop(gradients);
        } else {
            drop(logits.into_data());
        }
        println!("round {round}: {dims:?} in {:.2?}", start.elapsed());
    }
    Ok(())
}
