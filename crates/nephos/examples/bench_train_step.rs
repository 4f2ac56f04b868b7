//! The reference model's training step, for `bench/peers/run.py train`: what
//! `nephos train` does from one batch to the next, its loader included.
//!
//! ```text
//! cargo run --release --example bench_train_step WEIGHTS SAMPLE DROPOUT
//! ```
//!
//! WEIGHTS is a state dict of the reference model; SAMPLE a `.npy` file
//! `[1, 4, H, W]` of red, green, blue as the model takes them and the label;
//! DROPOUT the rate everywhere, or `default` for the model's own. An answer to
//! `time` carries the `loss` beside the seconds. The batch is that one sample
//! every time.

mod protocol;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nephos::config::Config;
use nephos::data::{Dataset, Subset};
use nephos::device::Device;
use nephos::train::{BatchReport, TrainObserver, Trainer};
use nephos::weights::{self, Bundle};
use serde_json::json;

/// More steps than anyone waits for.
const STEPS: usize = 100_000;

/// Lets the trainer do one step a request.
struct Turns {
    started: Instant,
}

impl TrainObserver for Turns {
    fn should_stop(&mut self) -> bool {
        match protocol::request() {
            Some(protocol::Request::Time) => {
                self.started = Instant::now();
                false
            }
            Some(protocol::Request::Output(path)) => {
                panic!("{}: a training step has no output", path.display())
            }
            None => true,
        }
    }

    fn batch(&mut self, report: &BatchReport) {
        let seconds = self.started.elapsed().as_secs_f64();
        protocol::answer(&json!({ "seconds": seconds, "loss": report.loss }));
    }
}

fn main() -> nephos::Result<()> {
    let [weights, sample, dropout] = protocol::arguments("bench_train_step WEIGHTS SAMPLE DROPOUT");
    let mut config = Config::default();
    config.data.channels = ["red", "green", "blue", "label"].map(String::from).to_vec();
    config.data.label_channel = 3;
    config.data.scale = 1.0;
    config.train.batch_size = 1;
    config.train.epochs = 1;
    if dropout != "default" {
        let rate: f64 = dropout.parse().expect("DROPOUT is a number or `default`");
        config.model.encoder.dropout = rate;
        config.model.graph.dropout = rate;
    }
    let (weights, sample) = (Path::new(&weights), Path::new(&sample));
    let tensors = weights::read(weights)?;
    let bundle = Bundle::from_tensors(config.clone(), tensors, weights)?;
    let source = Arc::from(nephos::samples::open(sample)?);
    let repeated = Arc::new(Subset::new(source, vec![0; STEPS])?);
    let samples = Dataset::from_source(repeated, sample, &config.data)?;

    let folder = std::env::temp_dir().join(format!("nephos-bench-{}", std::process::id()));
    let trainer = Trainer::new(config, &folder, Device::cpu()).init(Some(bundle.tensors));
    protocol::ready();
    let mut turns = Turns {
        started: Instant::now(),
    };
    let outcome = trainer.run(&samples, None, &mut turns);
    std::fs::remove_dir_all(&folder).map_err(|e| nephos::Error::io(&folder, e))?;
    outcome.map(|_| ())
}
