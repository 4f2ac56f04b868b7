//! Where the forward pass of the reference model spends its time, for
//! `bench/peers/run.py stages`.
//!
//! ```text
//! cargo run --release --example bench_stages WEIGHTS IMAGES
//! ```
//!
//! WEIGHTS is a state dict of the reference model, IMAGES a safetensors file with
//! `images` `[B, 3, H, W]`. An answer to `time` carries `stages` beside the seconds:
//! the seconds of each stage, in the order in which they first come.

mod protocol;

use std::path::Path;
use std::time::Instant;

use nephos::config::Config;
use nephos::engine::{Engine, Scratch};
use nephos::weights;
use nephos_kernel::pool;
use serde_json::{Map, Value, json};

fn main() -> nephos::Result<()> {
    let [weights, images] = protocol::arguments("bench_stages WEIGHTS IMAGES");
    let config = Config::default().model;
    let weights = weights::read(Path::new(&weights))?.into_iter().collect();
    let engine = Engine::new(&config, weights).expect("weights of the reference model");
    let (shape, images) = protocol::tensor(Path::new(&images), "images")?;
    let [batch, _, height, width]: [usize; 4] = shape.try_into().expect("images have four axes");
    let mut logits = vec![0.0; batch * config.classes * height * width];
    let mut scratch = Scratch::default();

    protocol::ready();
    while let Some(request) = protocol::request() {
        assert_eq!(request, protocol::Request::Time, "stages have no output");
        let mut stages = Map::new();
        let start = Instant::now();
        let mut last = start;
        let mut watch = |stage| {
            let now = Instant::now();
            let seconds = (now - last).as_secs_f64();
            last = now;
            let sum = stages.entry(format!("{stage:?}")).or_insert(json!(0.0));
            *sum = json!(sum.as_f64().unwrap_or(0.0) + seconds);
        };
        let sizes = [batch, height, width];
        pool::with_spinning_workers(|| {
            engine.forward_watched(&images, sizes, &mut scratch, &mut logits, &mut watch);
        });
        let seconds = start.elapsed().as_secs_f64();
        let stages = Value::Object(stages);
        protocol::answer(&json!({ "seconds": seconds, "stages": stages }));
    }
    Ok(())
}
