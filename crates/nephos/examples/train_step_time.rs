//! Times training steps on random images, as `nephos train` does them: batch, forward,
//! loss, backward, optimiser. Prints a line of JSON a step, and one at the end with
//! the median and the peak memory of the process.
//!
//! ```text
//! cargo run --release --example train_step_time [STEPS [BATCH [SIDE [CONFIG.toml]]]]
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ndarray::{Array2, Array3};
use nephos::Result;
use nephos::config::Config;
use nephos::dataset::Dataset;
use nephos::scene::{DType, SampleSource};
use nephos::train::{BatchReport, TrainObserver, Trainer};

/// Images of noise with labels in stripes.
struct Noise {
    samples: usize,
    bands: Vec<String>,
    side: usize,
}

impl SampleSource for Noise {
    fn len(&self) -> usize {
        self.samples
    }

    fn name(&self, index: usize) -> String {
        format!("noise{index}")
    }

    fn shape(&self, _index: usize) -> Result<[usize; 3]> {
        Ok([self.bands.len(), self.side, self.side])
    }

    fn dtype(&self, _index: usize) -> Result<DType> {
        Ok(DType::F32)
    }

    fn channel_names(&self, _index: usize) -> Result<Option<Vec<String>>> {
        Ok(Some(self.bands.clone()))
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let value = |(band, y, x): (usize, usize, usize)| {
            let place = ((index * 31 + channels[band]) * self.side + y) * self.side + x;
            ((place as u32).wrapping_mul(0x9e37_79b9) >> 8) as f32 * 3e-4
        };
        let shape = (channels.len(), self.side, self.side);
        Ok(Array3::from_shape_fn(shape, value))
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let all: Vec<usize> = (0..self.bands.len()).collect();
        let values = self.read(index, &all)?;
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Ok((DType::F32, self.shape(index)?, bytes))
    }

    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        let label = |(y, x): (usize, usize)| ((y / 37 + x / 53 + index) % 4) as i64;
        Ok(Some(Array2::from_shape_fn((self.side, self.side), label)))
    }
}

/// Times the steps; the first ones warm up.
struct Clock {
    last: Instant,
    seconds: Vec<f64>,
}

impl TrainObserver for Clock {
    fn batch(&mut self, report: &BatchReport) {
        let seconds = self.last.elapsed().as_secs_f64();
        println!(
            r#"{{"step": {}, "seconds": {seconds:.4}, "loss": {:.6}}}"#,
            report.step, report.loss
        );
        self.seconds.push(seconds);
        self.last = Instant::now();
    }
}

/// The most memory the process has held, in MB, where the system tells.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        let argument = arguments.next().map(|text| text.parse());
        argument.map_or(default, |number| number.expect("a number"))
    };
    let (steps, batch, side) = (number(8), number(1), number(509));
    let mut config = match arguments.next() {
        Some(path) => Config::load(Path::new(&path), &[])?,
        None => Config::default(),
    };
    config.train.batch_size = batch;
    config.train.epochs = 1;
    let source = Noise {
        samples: steps * batch,
        bands: config.data.bands.clone(),
        side,
    };
    let dataset = Dataset::from_source(Arc::new(source), Path::new("noise"), &config.data)?;
    let folder = tempfile::tempdir().expect("a folder for the run");
    let device = nephos::device::select("cpu")?;
    let mut clock = Clock {
        last: Instant::now(),
        seconds: Vec::new(),
    };
    Trainer::new(config, folder.path().join("run"), device).run(&dataset, None, &mut clock)?;

    let warm = clock.seconds.len().min(2);
    let mut seconds = clock.seconds.split_off(warm);
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN);
    println!(
        r#"{{"median_seconds": {median:.4}, "peak_megabytes": {:.1}}}"#,
        peak_megabytes().unwrap_or(f64::NAN)
    );
    Ok(())
}
