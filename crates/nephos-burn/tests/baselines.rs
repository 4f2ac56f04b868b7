//! The baselines against known PyTorch implementations: outputs for the same weights,
//! which both sides draw from the same integers (`tests/parity/baselines/generate.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use nephos::config::{ModelConfig, ModelKind, Precision};
use nephos::weights::{NamedTensor, read};
use nephos_burn::Segmenter;
use nephos_burn::tensors::{apply, collect, collect_gradients};

const CHANNELS: usize = 4;

/// Every so many rows and columns of the logits are kept.
const STEP: usize = 3;

fn golden() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/baselines");
    let tensors = read(&path.join("golden.safetensors")).unwrap();
    (tensors.into_iter())
        .map(|(name, shape, values)| (name, (shape, values)))
        .collect()
}

/// Numbers in [-1, 1): a hash of the integers from `first` on.
fn numbers(first: u64, count: usize) -> impl Iterator<Item = f64> {
    (first..first + count as u64).map(|index| {
        let mut x = index.wrapping_mul(0x9E37_79B1) & 0xFFFF_FFFF;
        for (shift, factor) in [(15, 0x85EB_CA77u64), (13, 0xC2B2_AE3D)] {
            x ^= x >> shift;
            x = x.wrapping_mul(factor) & 0xFFFF_FFFF;
        }
        x ^= x >> 16;
        x as f64 / 2f64.powi(31) - 1.0
    })
}

fn config(kind: ModelKind) -> ModelConfig {
    ModelConfig {
        kind,
        image_size: 64,
        ..ModelConfig::default()
    }
}

/// The network with the weights of the script.
fn network(kind: ModelKind, device: &Device) -> Segmenter {
    let network = Segmenter::new(&config(kind), CHANNELS, device);
    let mut tensors = collect(&network).unwrap();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut first = 0;
    for (name, shape, values) in &mut tensors {
        let drawn = numbers(first, values.len());
        first += values.len() as u64;
        let fan_in: usize = shape[1..].iter().product();
        for (value, drawn) in values.iter_mut().zip(drawn) {
            *value = if shape.len() > 1 {
                drawn * (6.0 / fan_in as f64).sqrt()
            } else if name.ends_with("running_var") {
                1.0 + 0.5 * drawn
            } else if name.ends_with("weight") {
                1.0 + 0.3 * drawn
            } else {
                0.1 * drawn
            } as f32;
        }
    }
    apply(network, tensors, &PathBuf::from("generate.py")).unwrap()
}

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let count = shape.iter().product();
    let values: Vec<f32> = numbers(1_000_000_000, count)
        .map(|x| (x * 0.5 + 0.5) as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Every [`STEP`]th row and column.
fn kept(logits: Tensor<4>) -> Vec<f32> {
    let [_, _, height, width] = logits.dims();
    let values: Vec<f32> = logits.into_data().try_into_vec_as().unwrap();
    let row = |(y, line): (usize, &[f32])| match y % height % STEP {
        0 => line.iter().step_by(STEP).copied().collect(),
        _ => Vec::new(),
    };
    values.chunks(width).enumerate().flat_map(row).collect()
}

/// Compares our numbers with golden ones, relative to the largest.
fn check(what: &str, ours: &[f32], golden: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), golden.len(), "{what}");
    let largest = golden.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    for (index, (ours, golden)) in ours.iter().zip(golden).enumerate() {
        let difference = (ours - golden).abs();
        assert!(
            difference <= tolerance * largest,
            "{what}, number {index}: {ours}, not {golden}; the largest is {largest}"
        );
    }
}

#[test]
fn outputs_are_those_of_known_implementations() {
    let golden = golden();
    let device = Device::flex();
    for (kind, size) in [
        (ModelKind::Unet, [50, 70]),
        (ModelKind::Deeplabv3plus, [64, 640]),
    ] {
        let network = network(kind, &device);
        // The implementations are given images that are padded with zeros to whole cells.
        let whole = size.map(|side: usize| side.next_multiple_of(32));
        let images = images([1, CHANNELS, size[0], size[1]], &device);
        let padded = images.pad([(0, whole[0] - size[0]), (0, whole[1] - size[1])], 0.0);
        let logits = network.forward(padded);
        let logits = logits.slice([0..1, 0..4, 0..size[0], 0..size[1]]);
        check(kind.name(), &kept(logits), &golden[kind.name()].1, 1e-4);
    }
    let network = network(ModelKind::Segformer, &device);
    let images = images([1, CHANNELS, 96, 64], &device);
    let coarse = network.forward_coarse(images, Precision::F32);
    let coarse: Vec<f32> = coarse.into_data().try_into_vec_as().unwrap();
    check("segformer", &coarse, &golden["segformer"].1, 1e-4);
}

#[test]
fn a_step_of_training_is_that_of_the_known_implementation() {
    let golden = golden();
    let device = Device::flex().autodiff();
    let network = network(ModelKind::Unet, &device);
    let logits = network.forward(images([2, CHANNELS, 64, 64], &device));
    let shape = logits.dims();
    let probe: Vec<f32> = numbers(2_000_000_000, shape.iter().product())
        .map(|x| x as f32)
        .collect();
    let probe = Tensor::<4>::from_data(TensorData::new(probe, shape), &device);
    let train = kept(logits.clone());
    check("logits in training", &train, &golden["unet/train"].1, 1e-3);
    let gradients = (logits * probe).sum().backward();
    let gradients = GradientsParams::from_grads(gradients, &network);
    let mut gradients = collect_gradients(&network, &gradients).unwrap();
    gradients.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = &golden["unet/gradients"].1;
    assert_eq!(expected.len(), 2 * gradients.len());
    let largest = expected.iter().step_by(2).fold(0.0f32, |a, b| a.max(*b));
    for ((name, _, gradient), expected) in gradients.iter().zip(expected.chunks(2)) {
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
        let probe = numbers(3_000_000_000, gradient.len());
        let product: f64 = gradient
            .iter()
            .zip(probe)
            .map(|(g, p)| f64::from(*g) * p)
            .sum();
        // What rounding does to PyTorch's own f32 is half of that.
        let bound = 0.03 * f64::from(expected[0].max(1e-3 * largest));
        for (ours, golden) in [(norm.sqrt(), expected[0]), (product, expected[1])] {
            let difference = (ours - f64::from(golden)).abs();
            assert!(
                difference < bound,
                "gradient of {name}: {ours}, not {golden}"
            );
        }
    }
    // Running statistics, as a bundle would have them.
    let state: BTreeMap<String, NamedTensor> = (collect(&network.valid()).unwrap().into_iter())
        .map(|tensor| (tensor.0.clone(), tensor))
        .collect();
    let mut statistics = 0;
    for (name, (_, golden)) in &golden {
        if let Some(name) = name.strip_prefix("unet/state/") {
            check(name, &state[name].2, golden, 1e-4);
            statistics += 1;
        }
    }
    assert_eq!(statistics, 6);
}
