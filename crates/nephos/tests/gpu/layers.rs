//! Layer normalisation and dropout: outputs and gradients.

use burn::tensor::module::layer_norm;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use nephos::kernel::drop::dropped;
use nephos::kernel::norm::normalise;

use super::{check, cpu, gpu, values, wide};

/// Numbers that look random, uniform in [-1, 1].
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(draw).collect()
}

fn tensor<const D: usize>(seed: u32, shape: [usize; D], device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    Tensor::from_data(TensorData::new(numbers(seed, count), shape), device)
}

#[test]
fn norms_are_those_of_tensors() {
    let Some(gpu) = gpu() else { return };
    for (shape, offset) in [
        ([1, 1, 4], 0.0),
        ([2, 3, 16], 0.0),
        ([1, 33, 100], 50.0),
        ([3, 70, 256], -3.0),
    ] {
        let [expected, ours] = [cpu(), gpu.clone()].map(|device| {
            let device = device.autodiff();
            let x = (tensor(1, shape, &device) + offset).require_grad();
            let gamma = (tensor(2, [shape[2]], &device) + 1.0).require_grad();
            let beta = tensor(3, [shape[2]], &device).require_grad();
            let out = match nephos::kernel::is_gpu(&device) {
                true => normalise(x.clone(), gamma.clone(), beta.clone(), 1e-5),
                false => layer_norm(x.clone(), gamma.clone(), Some(beta.clone()), 1e-5),
            };
            let gradients = (out.clone() * tensor(4, shape, &device)).sum().backward();
            [
                values(out),
                values(x.grad(&gradients).unwrap()),
                values(gamma.grad(&gradients).unwrap()),
                values(beta.grad(&gradients).unwrap()),
            ]
        });
        let names = ["output", "gradient by x", "by gamma", "by beta"];
        for ((name, ours), expected) in names.iter().zip(ours).zip(expected) {
            let what = format!("{name} of {shape:?}");
            let off = check(&what, &ours, &wide(&expected), 1e-4);
            println!("{what}: {off:.1e}");
        }
    }
}

#[test]
fn dropout_keeps_its_rate_and_its_mask() {
    let Some(gpu) = gpu() else { return };
    let device = gpu.autodiff();
    let shape = [3, 100, 70];
    let numbers = numbers(5, 3 * 100 * 70);
    let x = tensor(5, shape, &device).require_grad();
    let out = dropped(x.clone(), 0.3, FloatDType::F32);
    let gradients = out.clone().sum().backward();
    let (out, by_x) = (values(out), values(x.grad(&gradients).unwrap()));
    let zeros = by_x.iter().filter(|&&g| g == 0.0).count() as f64;
    let count = numbers.len() as f64;
    let deviation = (zeros - 0.3 * count) / (0.3 * 0.7 * count).sqrt();
    assert!(deviation.abs() < 4.8, "{zeros} of {count} dropped");
    for ((x, out), by_x) in numbers.iter().zip(out).zip(by_x) {
        assert!(by_x == 0.0 || (by_x - 1.0 / 0.7).abs() < 1e-6, "{by_x}");
        assert!((out - x * by_x).abs() < 1e-6, "{x} {out} {by_x}");
    }
}

#[test]
fn dropout_changes_formats() {
    let Some(gpu) = gpu() else { return };
    if !gpu.supports_dtype(FloatDType::F16) {
        println!("SKIPPED: the device has no f16");
        return;
    }
    let device = gpu.autodiff();
    let x = tensor(6, [4, 50], &device).require_grad();
    let out = dropped(x.clone().cast(FloatDType::F16), 0.5, FloatDType::F32);
    let gradients = out.clone().sum().backward();
    let by_x = values(x.grad(&gradients).unwrap());
    for ((x, out), by_x) in numbers(6, 200).iter().zip(values(out)).zip(by_x) {
        assert!(by_x == 0.0 || by_x == 2.0, "{by_x}");
        assert!((out - x * by_x).abs() < 2e-3, "{x} {out} {by_x}");
    }
}
