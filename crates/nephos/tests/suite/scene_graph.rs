//! The graph over a whole scene, against the network on the scene as one image.

use ndarray::{Array3, ArrayView2, ArrayView3, Axis};
use nephos::config::{Affinity, Config, PatchConfig, PositionKind};
use nephos::engine::CpuNetwork;
use nephos::network::Forward;
use nephos::predict::{Progress, RowSink, RunOptions, RunStats, run_scene_graph};
use nephos::raster::{Georeference, Window};
use nephos::scene::{MemoryScene, SceneInfo};
use nephos::{GraphScope, Model, PredictOptions, Result, Scene};

use crate::tiny;

/// Probabilities and classes, row by row.
#[derive(Default)]
struct RowCollector {
    classes: Vec<u8>,
    probabilities: Vec<f32>,
}

impl RowSink for RowCollector {
    fn rows(
        &mut self,
        first: usize,
        classes: ArrayView2<'_, u8>,
        probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        assert_eq!(first * classes.ncols(), self.classes.len());
        self.classes.extend(classes.iter());
        for row in probabilities.unwrap().axis_iter(Axis(1)) {
            self.probabilities.extend(row.iter());
        }
        Ok(())
    }
}

fn scene_of(reflectance: &Array3<f32>) -> MemoryScene {
    let names: Vec<String> = (0..3).map(|band| format!("band{band}")).collect();
    MemoryScene::new(
        "made up",
        &names,
        reflectance.clone(),
        Georeference::default(),
    )
    .unwrap()
}

fn waves(height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(band, row, col)| {
        0.5 + 0.4 * (band as f32 + row as f32 / 7.0 + col as f32 / 5.0).sin()
    })
}

/// A model with a stem and stages, without an affinity.
fn with_stem() -> Config {
    let mut config = tiny::config();
    let model = &mut config.model;
    model.stem.channels = vec![4, 6];
    model.patch = PatchConfig {
        size: 8,
        stride: 8,
        padding: 0,
        width: 16,
    };
    model.encoder.position = PositionKind::Conditional;
    model.encoder.taps = vec![0, 1];
    model.graph.affinity = Affinity::None;
    model.decoder.align_corners = false;
    model.decoder.stages = vec![8, 6];
    config.validate().unwrap();
    config
}

fn run(
    config: &Config,
    network: &CpuNetwork,
    reflectance: &Array3<f32>,
    options: &RunOptions,
) -> (RowCollector, RunStats) {
    let mut kept = RowCollector::default();
    let stats = run_scene_graph(
        network,
        &config.model,
        &scene_of(reflectance),
        &[0, 1, 2],
        1.0,
        options,
        &mut kept,
        &|_: &Progress| (),
    )
    .unwrap();
    (kept, stats)
}

/// The network's own probabilities, `[rows][class][col]`.
fn whole(network: &CpuNetwork, image: &Array3<f32>) -> Vec<f32> {
    let scores = network.forward(image.clone().insert_axis(Axis(0))).unwrap();
    let mut scores = scores.index_axis_move(Axis(0), 0); // [classes, height, width]
    for mut pixel in scores.lanes_mut(Axis(0)) {
        let most = pixel.fold(f32::NEG_INFINITY, |most, x| most.max(*x));
        pixel.mapv_inplace(|x| (x - most).exp());
        let sum = pixel.sum();
        pixel.mapv_inplace(|x| x / sum);
    }
    scores.permuted_axes([1, 0, 2]).iter().copied().collect()
}

fn network(config: &Config, seed: u64) -> CpuNetwork {
    let tensors = tiny::bundle(config, seed).tensors;
    CpuNetwork::new(&config.model, 3, tensors, "here".as_ref()).unwrap()
}

#[test]
fn one_window_over_all_is_the_network_on_the_whole_scene() {
    let (height, width) = (130, 70);
    let image = waves(height, width);
    for config in [tiny::config(), with_stem()] {
        let network = network(&config, 5);
        let options = RunOptions {
            // Strips of few rows, so that their joints are tested.
            batch_pixels: 1,
            probabilities: true,
            ..RunOptions::new([height, width])
        };
        let (kept, stats) = run(&config, &network, &image, &options);
        assert_eq!((stats.windows, stats.valid), (1, (height * width) as u64));
        let expected = whole(&network, &image);
        assert_eq!(kept.probabilities.len(), expected.len());
        for (pixel, (found, expected)) in kept.probabilities.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs();
            assert!(off < 1e-5, "{pixel}: {found} is not {expected}");
        }
    }
}

#[test]
fn windows_change_little_and_no_data_stays() {
    let config = with_stem();
    let network = network(&config, 6);
    let mut image = waves(160, 96);
    image.slice_mut(ndarray::s![1, .., 40..]).fill(f32::NAN);
    let options = RunOptions {
        probabilities: true,
        ..RunOptions::new([64, 64])
    };
    let (kept, stats) = run(&config, &network, &image, &options);
    assert!(stats.windows > 1);
    assert_eq!((stats.valid, stats.no_data), (160 * 40, 160 * 56));
    for (index, class) in kept.classes.iter().enumerate() {
        assert_eq!(*class == 255, index % 96 >= 40, "pixel {index}");
    }
    image.fill(f32::NAN);
    let (kept, stats) = run(&config, &network, &image, &options);
    assert_eq!((stats.windows, stats.valid), (0, 0));
    assert!(kept.classes.iter().all(|class| *class == 255));
}

/// A scene of which nothing may be read.
struct Unread(SceneInfo);

impl Scene for Unread {
    fn info(&self) -> &SceneInfo {
        &self.0
    }

    fn read(&self, _bands: &[usize], _window: Window) -> Result<Array3<f32>> {
        panic!("nothing is to be read")
    }
}

#[test]
fn a_scene_too_large_for_an_affinity_is_refused_before_it_is_read() {
    let names = ["blue", "green", "red"].map(str::to_owned);
    let scene = MemoryScene::new(
        "s",
        &names,
        Array3::zeros((3, 1, 1)),
        Georeference::default(),
    );
    let mut info = scene.unwrap().info().clone();
    info.size = [2056, 2048];
    let options = PredictOptions {
        graph: GraphScope::Scene,
        ..PredictOptions::default()
    };
    let model = Model::load("tiny").unwrap();
    let scene = Unread(info);
    let error = model
        .predict_with(&scene, &options)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("65792 patches") && error.contains("2048 × 2048 pixels"),
        "{error}"
    );
}
