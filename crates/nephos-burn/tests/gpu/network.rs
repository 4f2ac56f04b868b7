//! A small network of the reference's kind: scores, gradients and training.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array3};
use nephos::config::{Config, Precision};
use nephos::data::Dataset;
use nephos::device::Backend;
use nephos::raster::DType;
use nephos::samples::SampleSource;
use nephos::train::{BatchReport, TrainObserver, Trainer};
use nephos_burn::tensors::{collect, collect_gradients};
use nephos_burn::{BurnBackend, Segmenter};

use super::{check, check_from, cpu, gpu, values, wide};

/// Pixels along each side of an image: 4 × 4 patches of 12 pixels.
const SIDE: usize = 48;

fn config() -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.image_size = SIDE;
    model.patch.size = 12;
    model.patch.stride = 12;
    model.patch.padding = 0;
    model.patch.width = 16;
    model.encoder.depth = 1;
    model.encoder.heads = 2;
    model.encoder.feed_forward = 32;
    model.encoder.dropout = 0.0;
    model.graph.width = 24;
    model.graph.heads = 2;
    model.graph.dropout = 0.0;
    model.decoder.width = 20;
    config.train.batch_size = 2;
    config.train.epochs = 1;
    config.train.optimizer.lr = 1e-3;
    config
}

/// A network on the CPU; the generator it draws from is the process's.
fn segmenter(config: &Config) -> Segmenter {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let device = cpu();
    device.seed(7);
    Segmenter::new(&config.model, config.channels(), &device)
}

/// Reflectances that look random.
fn pixel(place: usize) -> f32 {
    ((place as u32).wrapping_mul(0x9e37_79b9) >> 8) as f32 / (1u32 << 24) as f32
}

fn images(device: &Device) -> Tensor<4> {
    let shape = [2, 3, SIDE, SIDE];
    let pixels: Vec<f32> = (0..shape.iter().product()).map(pixel).collect();
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

#[test]
fn scores_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let model = segmenter(&config());
    let expected = values(model.forward(images(&cpu())));
    let ours = values(model.to_device(&gpu).forward(images(&gpu)));
    let off = check("scores", &ours, &wide(&expected), 1e-4);
    println!("scores: {off:.1e}");
}

#[test]
fn gradients_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let model = segmenter(&config());
    let [expected, ours] = [cpu(), gpu].map(|device| {
        let device = device.autodiff();
        let model = model.clone().to_device(&device).train();
        let scores = model.forward(images(&device));
        let loss = (scores.clone() * scores.detach().cos()).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        collect_gradients(&model, &gradients).unwrap()
    });
    assert_eq!(ours.len(), expected.len());
    for ((name, _, ours), (_, _, expected)) in ours.iter().zip(&expected) {
        // The gradient by a key's bias is zero but for rounding.
        if !name.contains("in_proj_bias") {
            // Those by scores of attention are what is left of terms that cancel.
            let least = if name.ends_with("a.weight") {
                0.1
            } else {
                1e-6
            };
            let off = check_from(least, name, ours, &wide(expected), 1e-3);
            println!("{name}: {off:.1e}");
        }
    }
}

/// Images with labels in stripes.
struct Noise;

impl SampleSource for Noise {
    fn len(&self) -> usize {
        6
    }

    fn name(&self, index: usize) -> String {
        format!("noise{index}")
    }

    fn shape(&self, _index: usize) -> nephos::Result<[usize; 3]> {
        Ok([3, SIDE, SIDE])
    }

    fn dtype(&self, _index: usize) -> nephos::Result<DType> {
        Ok(DType::F32)
    }

    fn channel_names(&self, _index: usize) -> nephos::Result<Option<Vec<String>>> {
        let config = Config::default();
        Ok(Some(config.data.bands))
    }

    fn read(&self, index: usize, channels: &[usize]) -> nephos::Result<Array3<f32>> {
        let value = |(band, y, x): (usize, usize, usize)| {
            5000.0 * pixel(((index * 3 + channels[band]) * SIDE + y) * SIDE + x)
        };
        Ok(Array3::from_shape_fn((channels.len(), SIDE, SIDE), value))
    }

    fn read_raw(&self, index: usize) -> nephos::Result<(DType, [usize; 3], Vec<u8>)> {
        let values = self.read(index, &[0, 1, 2])?;
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Ok((DType::F32, self.shape(index)?, bytes))
    }

    fn read_label(&self, index: usize) -> nephos::Result<Option<Array2<i64>>> {
        let label = |(y, x): (usize, usize)| ((y / 7 + x / 5 + index) % 4) as i64;
        Ok(Some(Array2::from_shape_fn((SIDE, SIDE), label)))
    }
}

#[derive(Default)]
struct Losses(Vec<f32>);

impl TrainObserver for Losses {
    fn batch(&mut self, report: &BatchReport) {
        self.0.push(report.loss as f32);
    }
}

/// The losses of three steps from the same weights.
fn train(config: &Config, device: Device) -> nephos::Result<Vec<f32>> {
    let device = nephos::device::Device::of(Arc::new(BurnBackend::new(device)));
    let samples = Dataset::from_source(Arc::new(Noise), Path::new("noise"), &config.data)?;
    let folder = tempfile::tempdir().expect("a folder for the run");
    let mut losses = Losses::default();
    Trainer::new(config.clone(), folder.path().join("run"), device)
        .init(Some(collect(&segmenter(config))?))
        .run(&samples, None, &mut losses)?;
    Ok(losses.0)
}

#[test]
fn training_goes_the_way_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let config = config();
    let [expected, ours] = [cpu(), gpu].map(|device| train(&config, device).unwrap());
    assert_eq!(expected.len(), 3);
    assert!(expected[2] < expected[0], "training learns: {expected:?}");
    let off = check("losses", &ours, &wide(&expected), 1e-4);
    println!("losses {ours:?}: {off:.1e}");
}

/// Masks of dropout are the device's own: only the size of the loss is the CPU's.
#[test]
fn training_with_dropout() {
    let Some(gpu) = gpu() else { return };
    let mut config = config();
    config.model.encoder.dropout = 0.1;
    config.model.graph.dropout = 0.1;
    let [expected, ours] = [cpu(), gpu].map(|device| train(&config, device).unwrap());
    check("losses", &ours, &wide(&expected), 0.2);
}

/// Layers of 16 bits over masters of 32, or an error that says that the device has none.
#[test]
fn layers_of_sixteen_bits() {
    let Some(gpu) = gpu() else { return };
    let mut config = config();
    let expected = train(&config, gpu.clone()).unwrap();
    for precision in [Precision::Bf16, Precision::F16] {
        config.train.precision = precision;
        if !BurnBackend::new(gpu.clone()).supports(precision) {
            println!(
                "SKIPPED: the device does no arithmetic in {}",
                precision.name()
            );
            assert!(train(&config, gpu.clone()).is_err());
            continue;
        }
        let ours = train(&config, gpu.clone()).unwrap();
        let off = check("losses", &ours, &wide(&expected), 0.02);
        println!("{precision:?} losses {ours:?}: {off:.1e}");
    }
}
