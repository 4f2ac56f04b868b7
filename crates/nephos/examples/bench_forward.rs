//! The reference model's forward pass, for `bench/peers/run.py forward`: images in
//! memory to class scores in memory, as `nephos predict` asks for them.
//!
//! ```text
//! cargo run --release --example bench_forward WEIGHTS IMAGES
//! ```
//!
//! WEIGHTS is a state dict of the reference model, IMAGES a safetensors file with
//! `images` `[B, 3, H, W]`; the output is `logits`.

mod protocol;

use std::path::Path;

use ndarray::Array4;
use nephos::config::Config;
use nephos::network::Forward;
use nephos::weights::{self, Bundle};
use nephos::{Device, Model};

fn main() -> nephos::Result<()> {
    let [weights, images] = protocol::arguments("bench_forward WEIGHTS IMAGES");
    let (weights, images) = (Path::new(&weights), Path::new(&images));
    let tensors = weights::read(weights)?;
    let bundle = Bundle::from_tensors(Config::default(), tensors, weights)?;
    let model = Model::new(bundle, &Device::cpu())?;
    let (shape, values) = protocol::tensor(images, "images")?;
    let shape: [usize; 4] = shape.try_into().expect("images have four axes");
    let images = Array4::from_shape_vec(shape, values).expect("a file's shapes fit its values");
    protocol::serve_on(
        || images.clone(),
        |images| model.forward(images).expect("a forward pass"),
        |logits| {
            let shape = logits.shape().to_vec();
            vec![("logits".to_owned(), shape, logits.into_iter().collect())]
        },
    );
    Ok(())
}
