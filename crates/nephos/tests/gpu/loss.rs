//! Losses and their gradients, of which some are kernels.

use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use nephos::config::{LossConfig, LossKind};
use nephos::train::Loss;
use nephos_kernel::loss::either;

use super::{check, cpu, gpu, values, wide};

const SHAPE: [usize; 4] = [2, 4, 9, 13];

/// Classes, sets of classes, and pixels of which nothing is known.
fn labels(device: &Device) -> Tensor<3, Int> {
    let [batch, classes, height, width] = SHAPE;
    let codes = (0..batch * height * width).map(|pixel| match pixel % 7 {
        0 => 255,
        1 => i32::from(either(&[0, 2])),
        2 => i32::from(either(&[1, 2, 3])),
        _ => (pixel * pixel % classes) as i32,
    });
    let codes: Vec<i32> = codes.collect();
    Tensor::from_data(TensorData::new(codes, [batch, height, width]), device)
}

#[test]
fn losses_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let logits = Tensor::<4>::random(SHAPE, Distribution::Normal(0.0, 4.0), &cpu()).into_data();
    for kind in [
        LossKind::CrossEntropy,
        LossKind::Focal,
        LossKind::Dice,
        LossKind::CrossEntropyDice,
    ] {
        for (smoothing, weights) in [
            (0.0, vec![]),
            (0.1, vec![]),
            (0.0, vec![1.0, 2.0, 0.5, 3.0]),
        ] {
            let config = LossConfig {
                kind,
                class_weights: weights,
                label_smoothing: smoothing,
                ..LossConfig::default()
            };
            let [expected, ours] = [cpu(), gpu.clone()].map(|device| {
                let device = device.autodiff();
                let logits = Tensor::<4>::from_data(logits.clone(), &device).require_grad();
                let loss = Loss::new(&config, SHAPE[1], &device);
                let loss = loss.forward(logits.clone(), labels(&device));
                let gradients = loss.backward();
                [values(loss), values(logits.grad(&gradients).unwrap())]
            });
            for ((what, ours), expected) in ["loss", "gradient"].iter().zip(ours).zip(expected) {
                let off = check(
                    &format!("{what}, {config:?}"),
                    &ours,
                    &wide(&expected),
                    1e-5,
                );
                println!("{what}, {kind:?}: {off:.1e}");
            }
        }
    }
}

#[test]
fn no_labels_no_loss() {
    let Some(gpu) = gpu() else { return };
    let device = gpu.autodiff();
    let [batch, classes, height, width] = SHAPE;
    for kind in [LossKind::CrossEntropy, LossKind::Focal] {
        let config = LossConfig {
            kind,
            ..LossConfig::default()
        };
        let logits = Tensor::<4>::ones(SHAPE, &device).require_grad();
        let labels = Tensor::<3, Int>::full([batch, height, width], 255, &device);
        let loss = Loss::new(&config, classes, &device).forward(logits.clone(), labels);
        let gradients = loss.backward();
        assert_eq!(values(loss), [0.0], "{kind:?}");
        let gradient = values(logits.grad(&gradients).unwrap());
        assert!(gradient.iter().all(|&g| g == 0.0), "{kind:?}");
    }
}
