//! The network as its users meet it.

use burn::module::Module;
use burn::tensor::{Device, Tensor, Tolerance};
use nephos::config::{Affinity, Config, NormOrder, PositionKind, Precision};
use nephos::model::Segmenter;
use nephos::model::weights::collect;

use crate::tiny;

#[test]
fn the_same_seed_gives_the_same_weights() {
    let config = tiny::config();
    let weights = |seed| collect(&tiny::segmenter(&config, seed, &Device::flex()));
    assert_eq!(weights(7), weights(7));
    assert_ne!(weights(7), weights(8));
}

#[test]
fn images_of_any_size_give_a_score_for_each_pixel() {
    let device = Device::flex();
    let segmenter = tiny::segmenter(&tiny::config(), 1, &device);
    for (height, width) in [(64, 64), (10, 10), (33, 100), (101, 47)] {
        let logits = segmenter.forward(tiny::images(2, height, width, &device));
        assert_eq!(logits.dims(), [2, 4, height, width]);
    }
}

#[test]
#[should_panic(expected = "9 x 64 pixels is smaller than one patch")]
fn an_image_smaller_than_a_patch_panics() {
    let device = Device::flex();
    let segmenter = tiny::segmenter(&tiny::config(), 1, &device);
    assert_eq!(tiny::config().model.grid(9, 64), None);
    segmenter.forward(tiny::images(1, 9, 64, &device));
}

/// Every combination that changes the path through the network.
fn variants() -> Vec<Config> {
    let mut variants = vec![tiny::config()];
    for position in [PositionKind::Learned, PositionKind::Sincos] {
        let mut config = tiny::config();
        config.model.encoder.position = position;
        config.model.encoder.norm = NormOrder::Pre;
        config.model.encoder.final_norm = true;
        config.model.graph.heads = 4;
        config.model.graph.affinity = Affinity::Bias;
        config.model.decoder.skip = false;
        config.model.decoder.align_corners = false;
        variants.push(config);
    }
    let mut bare = tiny::config();
    bare.model.graph.layers = 0;
    bare.model.encoder.depth = 0;
    bare.model.decoder.kernel = 1;
    variants.push(bare);
    let mut detailed = tiny::config();
    let model = &mut detailed.model;
    model.stem.channels = vec![4, 6];
    (model.patch.size, model.patch.stride, model.patch.padding) = (8, 8, 0);
    model.encoder.position = PositionKind::Conditional;
    model.encoder.taps = vec![0, 1];
    model.decoder.align_corners = false;
    model.decoder.stages = vec![8, 6, 4];
    variants.push(detailed.clone());
    // The same with its parts switched off one by one.
    let model = &mut detailed.model;
    (model.decoder.detail, model.decoder.residual) = (false, false);
    model.encoder.taps.clear();
    variants.push(detailed.clone());
    detailed.model.stem.channels.clear();
    variants.push(detailed);
    for config in &variants {
        config.validate().unwrap();
    }
    variants
}

#[test]
fn images_of_a_batch_do_not_see_each_other() {
    let device = Device::flex();
    for config in variants() {
        let segmenter = tiny::segmenter(&config, 3, &device);
        let images = tiny::images(3, 70, 52, &device);
        let together = segmenter.forward(images.clone());
        for i in 0..3 {
            let alone = segmenter.forward(images.clone().narrow(0, i, 1));
            (alone.into_data()).assert_approx_eq::<f32>(
                &together.clone().narrow(0, i, 1).into_data(),
                Tolerance::absolute(1e-5),
            );
        }
    }
}

#[test]
fn training_without_dropout_computes_what_prediction_does() {
    let device = Device::flex().autodiff();
    for config in variants() {
        let segmenter = tiny::segmenter(&config, 3, &device);
        let images = tiny::images(2, 64, 64, &Device::flex());
        let trained = segmenter.forward(Tensor::from_data(images.to_data(), &device));
        let predicted = segmenter.valid().forward(images);
        (trained.into_data())
            .assert_approx_eq::<f32>(&predicted.into_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn dropout_acts_in_training_only() {
    let device = Device::flex().autodiff();
    let mut config = tiny::config();
    config.model.encoder.dropout = 0.5;
    config.model.graph.dropout = 0.5;
    let segmenter = tiny::segmenter(&config, 3, &device);
    let images = tiny::images(1, 64, 64, &device);
    let trained = || segmenter.forward(images.clone()).into_data();
    assert_ne!(trained(), trained());
    let (valid, images) = (segmenter.valid(), tiny::images(1, 64, 64, &Device::flex()));
    let predicted = || valid.forward(images.clone()).into_data();
    assert_eq!(predicted(), predicted());
    // A network of a device that records nothing, as one read from a file.
    let segmenter = tiny::segmenter(&config, 3, &Device::flex());
    let predicted = || segmenter.forward(images.clone()).into_data();
    assert_eq!(predicted(), predicted());
}

#[test]
fn narrow_formats_stay_near_f32_and_train() {
    let device = Device::flex().autodiff();
    let segmenter = tiny::segmenter(&tiny::config(), 3, &device);
    let images = tiny::images(2, 64, 64, &device);
    let (exact, exact_gradients) = logits_and_gradients(&segmenter, &images, Precision::F32);
    // One unit in the last place of bf16 is 2⁻⁸, of f16 2⁻¹¹; a dozen layers
    // add up to a few of them.
    for (precision, bound) in [(Precision::Bf16, 0.05), (Precision::F16, 0.01)] {
        let (logits, gradients) = logits_and_gradients(&segmenter, &images, precision);
        let error = distance(&exact, &logits);
        assert!(error > 0.0, "{precision:?} must not be f32");
        assert!(error < bound, "{precision:?}: logits off by {error}");
        let error = distance(&exact_gradients, &gradients);
        assert!(error < bound, "{precision:?}: gradients off by {error}");
        let inference = segmenter
            .valid()
            .forward_with(images.clone().inner(), precision);
        let inference: Vec<f32> = inference.into_data().try_into_vec().unwrap();
        let error = distance(&exact, &inference);
        assert!(error < bound, "{precision:?}: prediction off by {error}");
    }
}

/// Logits, and the gradients of their squares' mean, each as one vector; both
/// are f32 whatever the precision.
fn logits_and_gradients(
    segmenter: &Segmenter,
    images: &Tensor<4>,
    precision: Precision,
) -> (Vec<f32>, Vec<f32>) {
    let logits = segmenter.forward_with(images.clone(), precision);
    let gradients = logits.clone().square().mean().backward();
    let gradients = nephos::model::weights::collect_gradients(segmenter, &gradients);
    (
        logits.into_data().try_into_vec().unwrap(),
        gradients.into_iter().flat_map(|(_, _, v)| v).collect(),
    )
}

/// Length of the difference relative to the length of `a`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let length =
        |v: &mut dyn Iterator<Item = f32>| v.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    length(&mut a.iter().zip(b).map(|(a, b)| a - b)) / length(&mut a.iter().copied())
}

#[test]
fn explanations_have_the_shape_of_the_grid() {
    let device = Device::flex();
    let mut config = tiny::config();
    config.model.graph.heads = 2;
    let segmenter = tiny::segmenter(&config, 3, &device);
    let explanation = segmenter.explain(tiny::images(2, 64, 80, &device)).unwrap();
    let (rows, cols) = explanation.grid;
    assert_eq!(config.model.grid(64, 80), Some((rows, cols)));
    let count = rows * cols;
    assert_eq!(explanation.affinity.dims(), [2, count, count]);
    assert_eq!(explanation.attention.len(), 2);
    for attention in explanation.attention {
        assert_eq!(attention.dims(), [2, 2, count, count]);
    }
}
