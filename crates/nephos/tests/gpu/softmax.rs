//! Softmax with dropout: weights and gradients.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution, FloatDType, Tensor, TensorData};
use nephos::kernel::softmax::weigh;

use super::{check, cpu, gpu, values, wide};

/// Scores that look random, of rows long and short.
fn scores(shape: [usize; 4], scale: f32, device: &Device) -> Tensor<4> {
    let mut state = 0x9e37_79b9u32;
    let numbers = (0..shape.iter().product()).map(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        scale * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
    });
    Tensor::from_data(
        TensorData::new(numbers.collect::<Vec<f32>>(), shape),
        device,
    )
}

/// What `weights` makes of the scores, and the gradient of a sum of its cosines.
fn run(scores: Tensor<4>, weights: impl Fn(Tensor<4>) -> Tensor<4>) -> [Vec<f32>; 2] {
    let scores = scores.require_grad();
    let out = weights(scores.clone());
    let probe = out.clone().detach().mul_scalar(9.0).cos();
    let gradients = (out.clone() * probe).sum().backward();
    [values(out), values(scores.grad(&gradients).unwrap())]
}

#[test]
fn softmax_without_dropout_is_that_of_tensors() {
    let Some(gpu) = gpu() else { return };
    let (gpu, cpu) = (gpu.autodiff(), cpu().autodiff());
    for (shape, scale) in [
        ([1, 1, 1, 1], 1.0),
        ([2, 3, 5, 7], 4.0),
        ([1, 2, 40, 40], 80.0),
        ([2, 1, 3, 729], 10.0),
    ] {
        let expected = run(scores(shape, scale, &cpu), |scores| softmax(scores, 3));
        let ours = run(scores(shape, scale, &gpu), |scores| {
            weigh(scores, 0.0, FloatDType::F32)
        });
        for ((what, ours), expected) in ["weights", "gradient"].iter().zip(ours).zip(expected) {
            let off = check(&format!("{what} {shape:?}"), &ours, &wide(&expected), 1e-5);
            println!("{what} {shape:?}: {off:.1e}");
        }
    }
}

/// What is dropped is read off the weights; the rest and the gradient follow from it.
#[test]
fn dropout_is_of_its_rate_and_its_gradient_of_the_same_mask() {
    let Some(gpu) = gpu() else { return };
    let (gpu, cpu) = (gpu.autodiff(), cpu().autodiff());
    let (shape, rate) = ([2, 4, 100, 150], 0.1);
    let ours = run(scores(shape, 3.0, &gpu), |scores| {
        weigh(scores, rate, FloatDType::F32)
    });
    let mask: Vec<f32> = (ours[0].iter())
        .map(|&weight| {
            if weight == 0.0 {
                0.0
            } else {
                1.0 / (1.0 - rate)
            }
        })
        .collect();
    let count = mask.len() as f64;
    let dropped = mask.iter().filter(|&&m| m == 0.0).count() as f64;
    let rate = f64::from(rate);
    let deviation = (dropped - rate * count) / (rate * (1.0 - rate) * count).sqrt();
    assert!(deviation.abs() < 4.8, "{dropped} of {count} dropped");
    let expected = run(scores(shape, 3.0, &cpu), |scores| {
        let device = scores.device();
        softmax(scores, 3) * Tensor::from_data(TensorData::new(mask.clone(), shape), &device)
    });
    for ((what, ours), expected) in ["weights", "gradient"].iter().zip(ours).zip(expected) {
        let off = check(what, &ours, &wide(&expected), 1e-5);
        println!("{what} with dropout: {off:.1e}");
    }
}

#[test]
fn a_seed_decides_what_is_dropped() {
    let Some(gpu) = gpu() else { return };
    let once = |seed| {
        gpu.seed(seed);
        values(weigh(
            scores([1, 2, 30, 30], 1.0, &gpu),
            0.5,
            FloatDType::F32,
        ))
    };
    assert!(once(3) == once(3), "the same seed");
    assert!(once(3) != once(4), "another seed");
}

#[test]
fn scores_of_sixteen_bits_are_weighed_in_f32() {
    let Some(gpu) = gpu() else { return };
    let gpu = gpu.autodiff();
    for (format, tolerance) in [(FloatDType::F16, 4e-3), (FloatDType::BF16, 3e-2)] {
        if !gpu.clone().inner().supports_dtype(format) {
            println!("SKIPPED: the device has no {format:?}");
            continue;
        }
        let narrow = Tensor::<4>::random([2, 2, 50, 73], Distribution::Normal(0.0, 3.0), &gpu);
        let narrow = narrow.cast(format);
        let plain = |scores: Tensor<4>| softmax(scores.cast(FloatDType::F32), 3);
        let expected = run(narrow.clone().cast(FloatDType::F32), plain);
        let ours = run(narrow.cast(FloatDType::F32), |scores| {
            weigh(scores.cast(format), 0.0, format).cast(FloatDType::F32)
        });
        for ((what, ours), expected) in ["weights", "gradient"].iter().zip(ours).zip(expected) {
            let off = check(what, &ours, &wide(&expected), tolerance);
            println!("{what} in {format:?}: {off:.1e}");
        }
    }
}
