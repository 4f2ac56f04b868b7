//! Losses, gradients and steps of the optimiser.

use std::collections::BTreeMap;

use ndarray::Array4;
use nephos::config::{Config, LossKind, OptimizerKind, Precision};
use nephos::device::Device;
use nephos::network::{BatchLoss, Learner, Target, TrainingBatch};
use nephos::weights::NamedTensor;

use crate::changes::{CHANGES, config};
use crate::{devices, difference, generator, images, labels, number, weights};

/// The loss of change `index`.
fn with_loss(mut config: Config, index: usize) -> Config {
    let loss = &mut config.loss;
    loss.kind = [
        LossKind::CrossEntropy,
        LossKind::Focal,
        LossKind::Dice,
        LossKind::CrossEntropyDice,
    ][index % 4];
    if index % 8 < 4 {
        loss.label_smoothing = 0.1;
        loss.class_weights = (0..config.model.classes).map(|c| 0.5 + c as f32).collect();
    }
    let optimizer = &mut config.train.optimizer;
    (optimizer.kind, optimizer.weight_decay) = match index % 2 {
        0 => (OptimizerKind::Adam, 0.01),
        _ => (OptimizerKind::Adamw, 0.1),
    };
    // Adam divides by the size of a gradient: where that is all rounding it must not count.
    optimizer.eps = 0.01;
    optimizer.layer_decay = 0.8;
    config
}

fn learner(device: &Device, config: &Config, seed: u64) -> Box<dyn Learner> {
    device.learner(config, Some(weights(config, seed))).unwrap()
}

fn accumulate(learner: &mut dyn Learner, config: &Config, sizes: [usize; 3]) -> BatchLoss {
    let labels = labels(config, sizes);
    let batch = TrainingBatch {
        images: images(config, sizes),
        target: Target::Labels(&labels),
        scale: 2.0,
        seed: 1,
        each: true,
    };
    learner.accumulate(batch).unwrap()
}

fn by_name(tensors: Vec<NamedTensor>) -> BTreeMap<String, Vec<f32>> {
    tensors
        .into_iter()
        .map(|(name, _, values)| (name, values))
        .collect()
}

/// Holds the gradients of two learners to each other.
fn compare_gradients(what: &str, [ours, theirs]: [&dyn Learner; 2]) {
    let [ours, theirs] = [ours, theirs].map(|learner| by_name(learner.gradients().unwrap()));
    let names =
        |gradients: &BTreeMap<String, Vec<f32>>| gradients.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs), "{what}");
    let all = theirs
        .values()
        .flatten()
        .fold(0.0f32, |most, x| most.max(x.abs()));
    for (name, ours) in &ours {
        let (off, largest) = difference(ours, &theirs[name]);
        // A gradient may be nothing but rounding.
        let bound = 1e-3 * largest.max(1e-5 * all);
        assert!(
            off <= bound,
            "{what}, {name}: off by {off:e} of {largest:e}"
        );
    }
}

/// Holds the parameters of two learners to each other, and how often each was updated.
fn compare_parameters(what: &str, learners: [&dyn Learner; 2]) {
    let [ours, theirs] = learners.map(|learner| learner.parameters().unwrap().into_owned());
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(
            (&ours.name, &ours.shape),
            (&theirs.name, &theirs.shape),
            "{what}"
        );
        let (off, _) = difference(&ours.values, &theirs.values);
        assert!(off <= 1e-5, "{what}, {}: off by {off:e}", ours.name);
    }
    let [ours, theirs] = learners.map(|learner| {
        let moments = learner.moments().unwrap().into_owned().into_iter();
        moments
            .map(|moments| Some(moments?.updates))
            .collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs, "{what}");
}

#[test]
fn losses_gradients_and_steps_agree() {
    let _held = generator();
    for (index, config) in CHANGES.iter().map(config).enumerate() {
        let config = with_loss(config, index);
        let what = format!("change {index}, {:?}", config.loss.kind);
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-5 * b.abs(), "{what}: {a} {b}");
        let learners = devices().map(|device| learner(&device, &config, index as u64));
        let [mut engine, mut burns] = learners;
        for step in 0..2 {
            let what = format!("{what}, step {step}");
            for sizes in [[3, 64, 64], [1, 70, 101]] {
                let [ours, theirs] = [&mut engine, &mut burns]
                    .map(|learner| accumulate(&mut **learner, &config, sizes));
                close(ours.loss, theirs.loss);
                assert_eq!((ours.each.len(), theirs.each.len()), (sizes[0], sizes[0]));
                ours.each
                    .iter()
                    .zip(theirs.each)
                    .for_each(|(a, b)| close(*a, b));
                compare_gradients(&format!("{what}, {sizes:?}"), [&*engine, &*burns]);
            }
            let [ours, theirs] =
                [&mut engine, &mut burns].map(|learner| learner.gradient_norm().unwrap());
            close(ours, theirs);
            for learner in [&mut engine, &mut burns] {
                learner.step(0.25, 1e-3).unwrap();
            }
            compare_parameters(&what, [&*engine, &*burns]);
        }
    }
}

#[test]
fn gradients_of_the_reference_agree() {
    let _held = generator();
    let mut config = Config::default();
    config.model.encoder.dropout = 0.0;
    config.model.graph.dropout = 0.0;
    let sizes = [1, config.model.image_size, config.model.image_size];
    let [mut engine, mut burns] = devices().map(|device| learner(&device, &config, 1));
    let [ours, theirs] =
        [&mut engine, &mut burns].map(|learner| accumulate(&mut **learner, &config, sizes).loss);
    assert!((ours - theirs).abs() < 1e-5 * theirs, "{ours} {theirs}");
    compare_gradients("the reference", [&*engine, &*burns]);
}

#[test]
fn reconstruction_agrees() {
    let _held = generator();
    for index in [0, 19, 20] {
        let config = config(&CHANGES[index]);
        let sizes = [2, 70, 101];
        let shape = (sizes[0], config.model.classes, sizes[1], sizes[2]);
        let truth =
            Array4::from_shape_fn(shape, |(i, c, y, x)| number(i + 7 * c + 31 * y + 1009 * x));
        let counts = truth.mapv(|x| f32::from(u8::from(x > 0.6)));
        let target = Target::Reconstruction {
            truth: &truth,
            counts: &counts,
        };
        let [mut engine, mut burns] = devices().map(|device| learner(&device, &config, 3));
        let [ours, theirs] = [&mut engine, &mut burns].map(|learner| {
            let batch = TrainingBatch {
                images: images(&config, sizes),
                target,
                scale: 1.0,
                seed: 1,
                each: true,
            };
            learner.accumulate(batch).unwrap()
        });
        assert!((ours.loss - theirs.loss).abs() < 1e-5 * theirs.loss);
        assert_eq!((ours.each.len(), theirs.each.len()), (2, 2));
        compare_gradients(&format!("change {index}"), [&*engine, &*burns]);
    }
}

/// Relative to the Euclidean norm of the second.
fn distance(ours: &BTreeMap<String, Vec<f32>>, theirs: &BTreeMap<String, Vec<f32>>) -> f64 {
    let (mut off, mut norm) = (0.0, 0.0);
    for (name, theirs) in theirs {
        for (a, b) in ours[name].iter().zip(theirs) {
            off += f64::from(a - b).powi(2);
            norm += f64::from(*b).powi(2);
        }
    }
    (off / norm).sqrt()
}

#[test]
fn gradients_of_16_bits_are_near_those_of_32() {
    for (index, config) in CHANGES.iter().map(config).enumerate() {
        let of = |precision| {
            let mut config = config.clone();
            config.train.precision = precision;
            let mut learner = learner(&Device::cpu(), &config, 3);
            let loss = accumulate(&mut *learner, &config, [2, 64, 64]).loss;
            (loss, by_name(learner.gradients().unwrap()))
        };
        let (loss, gradients) = of(Precision::F32);
        for precision in [Precision::Bf16, Precision::F16] {
            let what = format!("change {index}, {precision:?}");
            let (narrow, of_narrow) = of(precision);
            assert!(narrow != loss, "{what}");
            assert!(
                (narrow - loss).abs() < 0.05 * loss,
                "{what}: {narrow} {loss}"
            );
            let off = distance(&of_narrow, &gradients);
            assert!(off > 1e-6 && off < 0.05, "{what}: off by {off}");
        }
    }
}
