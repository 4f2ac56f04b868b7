//! The network on a CPU: inference and training agree, and gradients are slopes.

use std::path::Path;

use ndarray::{Array3, Array4, ArrayView4, Axis, s};
use nephos::config::{Activation, Affinity, Config, LossKind, NormOrder, PositionKind, Precision};
use nephos::device::Device;
use nephos::engine::{Engine, Scratch};
use nephos::network::{Target, TrainingBatch};
use nephos::weights::NamedTensor;

use crate::tiny;

/// A change of a configuration.
type Change = fn(&mut Config);

/// One change each, of all that changes the path through the network, and two of all
/// at once.
const CHANGES: &[Change] = &[
    |_| (),
    |c| c.model.encoder.norm = NormOrder::Pre,
    |c| c.model.encoder.activation = Activation::Gelu,
    |c| c.model.encoder.final_norm = true,
    |c| c.model.encoder.position = PositionKind::Learned,
    |c| c.model.encoder.position = PositionKind::Sincos,
    |c| c.model.encoder.depth = 0,
    |c| c.model.encoder.heads = 32,
    |c| c.model.graph.layers = 0,
    |c| c.model.graph.heads = 4,
    |c| c.model.graph.affinity = Affinity::Bias,
    |c| {
        c.model.graph.width = c.model.patch.width;
        c.model.graph.residual = true;
    },
    |c| c.model.decoder.skip = false,
    |c| c.model.decoder.kernel = 1,
    |c| c.model.decoder.kernel = 5,
    |c| {
        c.model.patch.padding = 0;
        c.model.patch.stride = 11;
        c.model.patch.width = 36;
        c.model.classes = 3;
    },
    |c| {
        c.model.encoder.position = PositionKind::Learned;
        c.model.encoder.norm = NormOrder::Pre;
        c.model.encoder.norm_eps = 0.05;
        c.model.encoder.final_norm = true;
        c.model.graph.heads = 3;
        c.model.graph.affinity = Affinity::Bias;
        c.model.decoder.skip = false;
        c.model.decoder.align_corners = false;
    },
    |c| c.model.encoder.position = PositionKind::Conditional,
    |c| c.model.encoder.taps = vec![0, c.model.encoder.depth],
    |c| {
        stem_and_stages(c);
        c.model.encoder.taps = vec![1];
        c.model.encoder.position = PositionKind::Conditional;
        c.model.graph.affinity = Affinity::Bias;
    },
    |c| {
        stem_and_stages(c);
        c.model.stem.mu = Some(30.0);
    },
    |c| {
        stem_and_stages(c);
        c.model.decoder.residual = false;
        c.model.decoder.skip = false;
    },
    |c| {
        stem_and_stages(c);
        c.model.decoder.detail = false;
        c.model.decoder.stages = vec![9];
    },
    |c| {
        stem_and_stages(c);
        c.model.decoder.stages = vec![];
    },
    |c| {
        stem_and_stages(c);
        c.model.stem.channels = vec![];
    },
];

/// With a stem before the patches and decoder stages to full resolution.
fn stem_and_stages(c: &mut Config) {
    c.model.decoder.align_corners = false;
    c.model.stem.channels = vec![5, 7];
    c.model.patch.size = 8;
    c.model.patch.stride = 8;
    c.model.patch.padding = 0;
    c.model.decoder.stages = vec![9, 17, 6];
}

/// Weights whose affinity counts: fresh ones have a scale of 0.
fn weights(config: &Config, seed: u64) -> Vec<NamedTensor> {
    let mut weights = tiny::bundle(config, seed).tensors;
    for (name, _, values) in &mut weights {
        if name.ends_with("affinity_scale") {
            values.fill(1.5);
        }
    }
    weights
}

fn engine(config: &Config, seed: u64) -> Engine {
    let weights = weights(config, seed).into_iter().collect();
    Engine::new(&config.model, weights).expect("weights of the configuration")
}

fn run(engine: &Engine, images: ArrayView4<'_, f32>, scratch: &mut Scratch) -> Vec<f32> {
    let (batch, _, height, width) = images.dim();
    let pixels: Vec<f32> = images.iter().copied().collect();
    let mut logits = vec![f32::NAN; batch * engine.classes() * height * width];
    engine.forward(&pixels, [batch, height, width], scratch, &mut logits);
    logits
}

/// Classes in blocks, some pixels unlabelled, some of either of two classes.
fn labels(batch: usize, height: usize, width: usize, classes: usize) -> Array3<u8> {
    let set = nephos_kernel::loss::either(&[0, 1]);
    Array3::from_shape_fn((batch, height, width), |(image, row, col)| {
        match (image * 5 + row / 7 + col / 9) % (classes + 2) {
            class if class < classes => class as u8,
            rest if rest == classes => 255,
            _ => set,
        }
    })
}

#[test]
fn training_computes_what_prediction_does() {
    for (index, change) in CHANGES.iter().enumerate() {
        let mut config = tiny::config();
        change(&mut config);
        config.loss.kind = LossKind::CrossEntropyDice;
        config.validate().unwrap();
        let (model, weights) = (&config.model, weights(&config, index as u64));
        let device = Device::cpu();
        let origin = Path::new("here");
        let network = device.network(model, 3, weights.clone(), origin).unwrap();
        for (batch, height, width) in [(1, 64, 64), (3, 70, 101), (2, 16, 33)] {
            let images = tiny::images(batch, height, width);
            let labels = labels(batch, height, width, model.classes);
            let logits = network.forward(images.clone()).unwrap();
            let logits: Vec<f32> = logits.iter().copied().collect();
            let codes: Vec<u8> = labels.iter().copied().collect();
            let size = [height, width];
            let target =
                nephos_kernel::loss::Target::new(&logits, &codes, model.classes, size, size, false);
            let expected = nephos::loss::objective(&config.loss).evaluate(&target).loss;
            let mut losses = Vec::new();
            let mut gradients = Vec::new();
            for checkpointing in [false, true] {
                config.train.checkpointing = checkpointing;
                let mut learner = device.learner(&config, Some(weights.clone())).unwrap();
                let batch = TrainingBatch {
                    images: images.clone(),
                    target: Target::Labels(&labels),
                    scale: 1.0,
                    seed: 7,
                    each: false,
                };
                losses.push(learner.accumulate(batch).unwrap().loss);
                gradients.push(learner.gradients().unwrap());
            }
            let off = (losses[0] - expected).abs();
            assert!(
                off < 1e-5,
                "change {index}: {} is not {expected}",
                losses[0]
            );
            assert_eq!(losses[0], losses[1], "change {index}");
            assert_eq!(gradients[0], gradients[1], "change {index}");
            assert_eq!(gradients[0].len(), weights.len(), "change {index}");
        }
    }
}

#[test]
fn gradients_are_slopes_of_the_loss() {
    let mut config = tiny::config();
    stem_and_stages(&mut config);
    config.model.stem.mu = Some(30.0);
    config.model.encoder.position = PositionKind::Conditional;
    config.model.encoder.taps = vec![1];
    config.model.graph.affinity = Affinity::Bias;
    config.model.graph.dropout = 0.3;
    config.model.encoder.dropout = 0.3;
    config.validate().unwrap();
    let images = tiny::images(3, 32, 40);
    let labels = labels(3, 32, 40, config.model.classes);
    let weights = weights(&config, 3);
    let loss = |weights: Vec<NamedTensor>| {
        let mut learner = Device::cpu().learner(&config, Some(weights)).unwrap();
        let batch = TrainingBatch {
            images: images.clone(),
            target: Target::Labels(&labels),
            scale: 1.0,
            seed: 11,
            each: false,
        };
        let loss = learner.accumulate(batch).unwrap().loss;
        (loss, learner.gradients().unwrap())
    };
    let (_, gradients) = loss(weights.clone());
    // Along the gradient of each tensor the loss changes by its squared length.
    for (place, (name, _, gradient)) in gradients.iter().enumerate() {
        let length = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        if length < 1e-4 {
            continue;
        }
        let moved = |step: f32| {
            let mut weights = weights.clone();
            let values = weights[place].2.iter_mut().zip(gradient);
            values.for_each(|(weight, g)| *weight += step * g / length);
            loss(weights).0
        };
        let slope = (moved(2e-3) - moved(-2e-3)) / 4e-3;
        let off = (slope - f64::from(length)).abs();
        // Steps cross kinks of ReLUs.
        assert!(
            off < 0.1 * f64::from(length) + 1e-3,
            "{name}: a slope of {slope}, a gradient of {length}"
        );
    }
}

#[test]
fn narrow_formats_stay_near_f32() {
    let mut config = tiny::config();
    let (images, weights) = (tiny::images(2, 64, 64), weights(&config, 3));
    let labels = labels(2, 64, 64, config.model.classes);
    let mut of = |precision| -> Vec<f32> {
        config.train.precision = precision;
        let mut learner = Device::cpu()
            .learner(&config, Some(weights.clone()))
            .unwrap();
        let batch = TrainingBatch {
            images: images.clone(),
            target: Target::Labels(&labels),
            // Numbers of half precision would vanish.
            scale: 1024.0,
            seed: 7,
            each: false,
        };
        learner.accumulate(batch).unwrap();
        let gradients = learner.gradients().unwrap().into_iter();
        gradients.flat_map(|(_, _, values)| values).collect()
    };
    let exact = of(Precision::F32);
    let length = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    // One unit in the last place of bf16 is 2⁻⁸, of f16 2⁻¹¹; a dozen layers
    // add up to a few of them, and some ReLUs switch.
    for (precision, bound) in [(Precision::Bf16, 0.05), (Precision::F16, 0.03)] {
        let other = of(precision);
        let difference: Vec<f32> = exact.iter().zip(&other).map(|(a, b)| a - b).collect();
        let error = length(&difference) / length(&exact);
        assert!(error > 0.0, "{precision:?} must not be f32");
        assert!(error < bound, "{precision:?}: gradients off by {error}");
    }
}

#[test]
fn dropout_is_a_function_of_the_seed() {
    let mut config = tiny::config();
    config.model.encoder.dropout = 0.5;
    config.model.graph.dropout = 0.5;
    let (images, labels) = (tiny::images(2, 64, 64), labels(2, 64, 64, 4));
    let loss = |seed| {
        let mut learner = Device::cpu().learner(&config, None).unwrap();
        let batch = TrainingBatch {
            images: images.clone(),
            target: Target::Labels(&labels),
            scale: 1.0,
            seed,
            each: false,
        };
        learner.accumulate(batch).unwrap().loss
    };
    assert_eq!(loss(1), loss(1));
    assert_ne!(loss(1), loss(2));
}

#[test]
fn hidden_numbers_are_reconstructed_by_their_mean_distance() {
    let mut config = tiny::config();
    stem_and_stages(&mut config);
    config.model.classes = 3;
    let images = tiny::images(2, 36, 40);
    let (truth, counts) = (
        Array4::from_elem((2, 3, 36, 40), 0.5),
        Array4::from_shape_fn((2, 3, 36, 40), |(_, _, row, col)| ((row + col) % 2) as f32),
    );
    let weights = weights(&config, 5);
    let network = Device::cpu().network(&config.model, 3, weights.clone(), Path::new("here"));
    let scores = network.unwrap().forward(images.clone()).unwrap();
    let distance = ((scores - &truth).mapv(f32::abs) * &counts).sum() / counts.sum();
    let mut learner = Device::cpu().learner(&config, Some(weights)).unwrap();
    let batch = TrainingBatch {
        images,
        target: Target::Reconstruction {
            truth: &truth,
            counts: &counts,
        },
        scale: 1.0,
        seed: 1,
        each: true,
    };
    let result = learner.accumulate(batch).unwrap();
    assert!(
        (result.loss - f64::from(distance)).abs() < 1e-5,
        "{result:?} {distance}"
    );
    assert_eq!(result.each.len(), 2);
    let before = result.loss;
    learner.step(1.0, 1e-3).unwrap();
    let images = tiny::images(2, 36, 40);
    let batch = TrainingBatch {
        images,
        target: Target::Reconstruction {
            truth: &truth,
            counts: &counts,
        },
        scale: 1.0,
        seed: 1,
        each: false,
    };
    assert!(learner.accumulate(batch).unwrap().loss < before);
}

#[test]
fn an_image_has_the_same_scores_among_others() {
    for change in CHANGES {
        let mut config = tiny::config();
        change(&mut config);
        let engine = engine(&config, 5);
        // More than threads: each then takes images of its own.
        let batch = rayon::current_num_threads() + 3;
        let images = tiny::images(batch, 40, 52);
        let mut scratch = Scratch::default();
        let together = run(&engine, images.view(), &mut scratch);
        let each = together.chunks_exact(together.len() / batch);
        for (index, scores) in each.enumerate() {
            let alone = images.slice(s![index..index + 1, .., .., ..]);
            assert_eq!(scores, run(&engine, alone, &mut scratch), "image {index}");
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_declined() {
    let mut config = tiny::config();
    let weights = || tiny::bundle(&tiny::config(), 1).tensors;
    assert!(Engine::new(&config.model, weights().into_iter().collect()).is_some());
    let mut more = weights();
    more.push(("decoder.another.weight".to_owned(), vec![1], vec![0.0]));
    assert!(Engine::new(&config.model, more.into_iter().collect()).is_none());
    assert!(Engine::new(&config.model, weights().into_iter().skip(1).collect()).is_none());
    config.model.decoder.width += 1;
    assert!(Engine::new(&config.model, weights().into_iter().collect()).is_none());
}

#[test]
#[should_panic(expected = "smaller than one patch")]
fn an_image_smaller_than_a_patch_panics() {
    let engine = engine(&tiny::config(), 1);
    engine.forward(
        &[0.0; 3 * 9 * 64],
        [1, 9, 64],
        &mut Scratch::default(),
        &mut [0.0; 4 * 9 * 64],
    );
}

#[test]
fn nan_weights_give_nan_scores() {
    let config = tiny::config();
    let mut weights = weights(&config, 1);
    weights[0].2[0] = f32::NAN;
    let engine = Engine::new(&config.model, weights.into_iter().collect()).unwrap();
    let images = Array4::from_elem((1, 3, 64, 64), 0.5);
    let logits = run(&engine, images.view(), &mut Scratch::default());
    assert!(logits.iter().any(|score| !score.is_finite()));
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let weights = |seed| tiny::bundle(&tiny::config(), seed).tensors;
    assert_eq!(weights(7), weights(7));
    assert_ne!(weights(7), weights(8));
}

#[test]
fn explanations_have_the_shape_of_the_grid() {
    let mut config = tiny::config();
    config.model.graph.heads = 2;
    let weights = weights(&config, 3);
    let network = Device::cpu().network(&config.model, 3, weights, Path::new("here"));
    let image = tiny::images(1, 64, 80).index_axis_move(Axis(0), 0);
    let explanation = network.unwrap().explain(image).unwrap();
    let (rows, cols) = explanation.grid;
    assert_eq!(config.model.grid(64, 80), Some((rows, cols)));
    let count = rows * cols;
    assert_eq!(explanation.affinity.dim(), (count, count));
    assert_eq!(explanation.attention.len(), 2);
    for attention in explanation.attention {
        assert_eq!(attention.dim(), (2, count, count));
        for sum in attention.sum_axis(Axis(2)) {
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        }
    }
}
