//! The network without tensors against the network with them.

use burn::tensor::{Device, Tensor, TensorData};
use nephos::config::{Activation, Affinity, Config, NormOrder, PositionKind};
use nephos::model::Segmenter;
use nephos::model::cpu::{Engine, Scratch};
use nephos::model::weights::{apply, collect};

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
        pyramid(c);
        c.model.encoder.taps = vec![1];
        c.model.encoder.position = PositionKind::Conditional;
        c.model.graph.affinity = Affinity::Bias;
    },
    |c| {
        pyramid(c);
        c.model.stem.mu = Some(30.0);
    },
    |c| {
        pyramid(c);
        c.model.decoder.residual = false;
        c.model.decoder.skip = false;
    },
    |c| {
        pyramid(c);
        c.model.decoder.detail = false;
        c.model.decoder.stages = vec![9];
    },
    |c| {
        pyramid(c);
        c.model.decoder.stages = vec![];
    },
];

/// Local detail before the patches, and up to the pixels again.
fn pyramid(c: &mut Config) {
    c.model.decoder.align_corners = false;
    c.model.stem.channels = vec![5, 7];
    c.model.patch.size = 8;
    c.model.patch.stride = 8;
    c.model.patch.padding = 0;
    c.model.decoder.stages = vec![9, 17, 6];
}

/// A network whose affinity counts: fresh ones have a scale of 0.
fn segmenter(config: &Config, seed: u64) -> Segmenter {
    let segmenter = tiny::segmenter(config, seed, &Device::flex());
    let mut weights = collect(&segmenter);
    for (name, _, values) in &mut weights {
        if name.ends_with("affinity_scale") {
            values.fill(1.5);
        }
    }
    apply(segmenter, weights, "here".as_ref()).unwrap()
}

fn engine(segmenter: &Segmenter) -> Engine {
    let weights = collect(segmenter).into_iter().collect();
    Engine::new(segmenter.config(), weights).expect("the engine knows the configuration")
}

fn run(engine: &Engine, images: &Tensor<4>, scratch: &mut Scratch) -> Vec<f32> {
    let [batch, _, height, width] = images.dims();
    let pixels: Vec<f32> = images.to_data().try_into_vec().unwrap();
    let mut logits = vec![f32::NAN; batch * engine.classes() * height * width];
    engine.forward(&pixels, [batch, height, width], scratch, &mut logits);
    logits
}

fn distance(ours: &[f32], theirs: Tensor<4>) -> f32 {
    let theirs: Vec<f32> = theirs.into_data().try_into_vec().unwrap();
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(&theirs);
    pairs.fold(0.0, |most, (a, b)| {
        assert!(a.is_finite() && b.is_finite());
        most.max((a - b).abs())
    })
}

#[test]
fn the_engine_computes_what_the_network_does() {
    for (index, change) in CHANGES.iter().enumerate() {
        let mut config = tiny::config();
        change(&mut config);
        config.validate().unwrap();
        let segmenter = segmenter(&config, index as u64);
        let engine = engine(&segmenter);
        let mut scratch = Scratch::default();
        // The same scratch for other sizes, larger and smaller.
        for (batch, height, width) in [(1, 64, 64), (3, 70, 101), (1, 16, 33), (2, 64, 64)] {
            let images = tiny::images(batch, height, width, &Device::flex());
            let ours = run(&engine, &images, &mut scratch);
            let error = distance(&ours, segmenter.forward(images));
            assert!(
                error < 1e-5,
                "change {index}, {batch} x {height} x {width}: {error:e}"
            );
        }
    }
}

#[test]
fn an_image_has_the_same_scores_among_others() {
    for change in CHANGES {
        let mut config = tiny::config();
        change(&mut config);
        let segmenter = segmenter(&config, 5);
        let engine = engine(&segmenter);
        // More than threads: each then takes images of its own.
        let batch = rayon::current_num_threads() + 3;
        let images = tiny::images(batch, 40, 52, &Device::flex());
        let mut scratch = Scratch::default();
        let together = run(&engine, &images, &mut scratch);
        let each = together.chunks_exact(together.len() / batch);
        for (index, scores) in each.enumerate() {
            let alone = images.clone().narrow(0, index, 1);
            assert_eq!(scores, run(&engine, &alone, &mut scratch), "image {index}");
        }
    }
}

#[test]
fn the_reference_model_at_its_full_size() {
    let config = Config::default();
    let segmenter = tiny::segmenter(&config, 1, &Device::flex());
    let images = tiny::images(1, 509, 509, &Device::flex());
    let ours = run(&engine(&segmenter), &images, &mut Scratch::default());
    let error = distance(&ours, segmenter.forward(images));
    assert!(error < 1e-5, "logits differ by {error:e}");
}

#[test]
fn what_the_engine_does_not_know_it_declines() {
    let mut config = tiny::config();
    let weights = || collect(&tiny::segmenter(&tiny::config(), 1, &Device::flex()));
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
    let engine = engine(&segmenter(&tiny::config(), 1));
    engine.forward(
        &[0.0; 3 * 9 * 64],
        [1, 9, 64],
        &mut Scratch::default(),
        &mut [0.0; 4 * 9 * 64],
    );
}

#[test]
fn weights_that_are_no_numbers_reach_the_scores() {
    let config = tiny::config();
    let mut weights = collect(&segmenter(&config, 1));
    weights[0].2[0] = f32::NAN;
    let engine = Engine::new(&config.model, weights.into_iter().collect()).unwrap();
    let data = TensorData::new(vec![0.5f32; 3 * 64 * 64], [1, 3, 64, 64]);
    let images = Tensor::from_data(data, &Device::flex());
    let logits = run(&engine, &images, &mut Scratch::default());
    assert!(logits.iter().any(|score| !score.is_finite()));
}
