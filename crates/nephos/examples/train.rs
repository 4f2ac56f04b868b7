//! Trains `tiny` further on one's own labelled samples, and predicts a scene with the result.
//!
//! ```text
//! cargo run --release --example train SAMPLES RUN [SCENE MASK.tif]
//! ```

use std::path::Path;

use nephos::train::{EpochRecord, TrainObserver};
use nephos::{Config, Device, Error, Model, Trainer, data, weights};

/// Prints a line per epoch.
struct Lines;

impl TrainObserver for Lines {
    fn epoch_finished(&mut self, record: &EpochRecord, best: bool) {
        let mark = if best { " (best so far)" } else { "" };
        println!("epoch {}: mIoU {:?}{mark}", record.epoch, record.val_miou);
    }
}

fn main() -> nephos::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [samples, run, rest @ ..] = &arguments[..] else {
        return Err(Error::usage("expected SAMPLES RUN [SCENE MASK.tif]"));
    };
    let set = [
        format!("data.train={samples}"),
        "data.val_fraction=0.2".to_owned(),
        "train.epochs=3".to_owned(),
        "train.optimizer.lr=5e-4".to_owned(),
    ];
    let config = Config::open(Path::new("tiny"), &set)?;
    let (train, val) = data::open_training(&config)?;
    let (start, _) = weights::initial(&config, Path::new("tiny"))?;
    Trainer::new(config, run, Device::cpu())
        .init(Some(start))
        .run(&train, val.as_ref(), &mut Lines)?;
    if let [scene, mask] = rest {
        let model = Model::load(Path::new(run).join("best.nephos"))?;
        let summary = model.predict(&nephos::open(scene)?)?.write(mask)?;
        println!("{mask}: {summary}");
    }
    Ok(())
}
