//! Times the reference model on a device: forward pass and training step (forward, loss,
//! backward, Adam), batch 4 and 32, in each number format the device computes in. One
//! line of JSON each, with the median of ten goes after three, and the seconds of the
//! first, in which kernels are compiled and tuned.
//!
//! ```text
//! cargo run --release -p nephos-burn --features vulkan,autotune --example gpu_time vulkan:0 \
//!     [BATCH…] [f32|f16|bf16…]
//! ```
//!
//! `bench/peers/gpu_torch.py` prints the same lines for PyTorch on the same card.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int, Tensor};
use nephos::config::{Config, Precision};
use nephos::device::Backend;
use nephos_burn::{BurnBackend, Loss, Optimizer, Segmenter};

const WARM: usize = 3;
const TIMED: usize = 10;

/// What the loss is multiplied by where gradients have 16 bits of little range.
const SCALE: f64 = 1024.0;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let spec = arguments.next().unwrap_or_else(|| "vulkan:0".to_owned());
    let (mut batches, mut formats) = (Vec::new(), Vec::new());
    for argument in arguments {
        match argument.as_str() {
            "f32" => formats.push(Precision::F32),
            "f16" => formats.push(Precision::F16),
            "bf16" => formats.push(Precision::Bf16),
            batch => batches.push(batch.parse().expect("BATCH is a number")),
        }
    }
    if batches.is_empty() {
        batches = vec![4, 32];
    }
    if formats.is_empty() {
        formats = vec![Precision::F32, Precision::F16, Precision::Bf16];
    }
    let device = find(&spec).unwrap_or_else(|| panic!("this build or machine has no {spec}"));
    for precision in formats {
        if !BurnBackend::new(device.clone()).supports(precision) {
            eprintln!("{spec} does no arithmetic in {}", precision.name());
            continue;
        }
        for &batch in &batches {
            report(
                "forward",
                precision,
                batch,
                forward(&device, precision, batch),
            );
            for rate in [0.1, 0.0] {
                let what = format!("train, dropout {rate}");
                report(
                    &what,
                    precision,
                    batch,
                    train(&device, precision, batch, rate),
                );
            }
        }
    }
}

/// The device of that kind and number.
fn find(spec: &str) -> Option<Device> {
    let (kind, index) = spec.split_once(':').unwrap_or((spec, "0"));
    let found = nephos_burn::devices(kind)?;
    found.into_iter().nth(index.parse().ok()?)
}

fn report(what: &str, precision: Precision, batch: usize, Times { first, median }: Times) {
    println!(
        "{}",
        serde_json::json!({
            "what": what,
            "precision": precision,
            "batch": batch,
            "seconds": median,
            "images_per_second": batch as f64 / median,
            "first": first,
        })
    );
}

/// Seconds of the first go, and the median of those timed.
struct Times {
    first: f64,
    median: f64,
}

/// Times goes; each ends with a number read from the device, which is then idle.
fn time(mut go: impl FnMut() -> f32) -> Times {
    let all: Vec<f64> = (0..WARM + TIMED)
        .map(|_| {
            let started = Instant::now();
            assert!(go().is_finite(), "a result that is not finite");
            started.elapsed().as_secs_f64()
        })
        .collect();
    let mut timed = all[WARM..].to_vec();
    timed.sort_by(f64::total_cmp);
    Times {
        first: all[0],
        median: (timed[(TIMED - 1) / 2] + timed[TIMED / 2]) / 2.0,
    }
}

fn images(config: &Config, batch: usize, device: &Device) -> Tensor<4> {
    let side = config.model.image_size;
    let shape = [batch, config.channels(), side, side];
    Tensor::random(shape, Distribution::Default, device)
}

fn forward(device: &Device, precision: Precision, batch: usize) -> Times {
    let config = Config::default();
    let model = Segmenter::new(&config.model, config.channels(), device);
    let images = images(&config, batch, device);
    time(|| {
        let scores = model.forward_with(images.clone(), precision);
        scores.mean().into_scalar()
    })
}

fn train(device: &Device, precision: Precision, batch: usize, dropout: f64) -> Times {
    let mut config = Config::default();
    config.model.encoder.dropout = dropout;
    config.model.graph.dropout = dropout;
    let device = device.clone().autodiff();
    let mut model = Some(Segmenter::new(&config.model, config.channels(), &device).train());
    let images = images(&config, batch, &device);
    let [_, _, height, width] = images.dims();
    let labels = Tensor::<3>::random(
        [batch, height, width],
        Distribution::Uniform(0.0, 4.0),
        &device,
    );
    let labels: Tensor<3, Int> = labels.int().clamp(0, 3);
    let loss = Loss::new(&config.loss, config.model.classes, &device);
    let scale = match precision {
        Precision::F16 => SCALE,
        Precision::F32 | Precision::Bf16 => 1.0,
    };
    let depth = config.model.encoder.depth;
    let mut optimizer = Optimizer::new(&config.train.optimizer, depth);
    time(|| {
        let current = model.take().expect("each step leaves a network");
        let scores = current.forward_with(images.clone(), precision);
        let loss = loss.forward(scores, labels.clone());
        let gradients = (loss.clone() * scale).backward();
        let gradients = GradientsParams::from_grads(gradients, &current);
        let lr = config.train.optimizer.lr;
        model = Some(optimizer.step(current, gradients, 1.0 / scale, lr));
        device.sync().expect("the step ran");
        loss.into_scalar()
    })
}
