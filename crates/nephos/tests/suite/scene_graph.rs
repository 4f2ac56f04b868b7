//! The graph over a whole scene, against the network on the scene as one image.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array3, ArrayView2, ArrayView3, Axis};
use nephos::Result;
use nephos::config::{Affinity, Config, PatchConfig, PositionKind};
use nephos::model::Segmenter;
use nephos::predict::{Network, Progress, RowSink, RunOptions, RunStats, run_scene_graph};
use nephos::scene::{Georeference, MemoryScene};

use crate::tiny;

/// Probabilities and classes, row by row.
#[derive(Default)]
struct Kept {
    classes: Vec<u8>,
    probabilities: Vec<f32>,
}

impl RowSink for Kept {
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
    segmenter: &Segmenter,
    reflectance: &Array3<f32>,
    options: &RunOptions,
) -> (Kept, RunStats) {
    let network = Network::in_parts(segmenter.clone(), &Device::flex());
    let mut kept = Kept::default();
    let stats = run_scene_graph(
        &network,
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

/// The network's own answer, `[rows][class][col]`.
fn whole(segmenter: &Segmenter, image: &Array3<f32>) -> Vec<f32> {
    let shape = [1, 3, image.dim().1, image.dim().2];
    let data = TensorData::new(image.iter().copied().collect::<Vec<f32>>(), shape);
    let scores = segmenter.forward(Tensor::<4>::from_data(data, &Device::flex()));
    let probabilities = burn::tensor::activation::softmax(scores, 1);
    let [_, classes, height, width] = probabilities.dims();
    let rows = probabilities
        .reshape([classes, height, width])
        .swap_dims(0, 1);
    rows.into_data().try_into_vec().unwrap()
}

#[test]
fn one_window_over_all_is_the_network_on_the_whole_scene() {
    let (height, width) = (130, 70);
    let image = waves(height, width);
    for config in [tiny::config(), with_stem()] {
        let segmenter = tiny::segmenter(&config, 5, &Device::flex());
        let options = RunOptions {
            // Strips of few rows, so that their joints are tested.
            batch_pixels: 1,
            probabilities: true,
            ..RunOptions::new([height, width])
        };
        let (kept, stats) = run(&config, &segmenter, &image, &options);
        assert_eq!((stats.windows, stats.valid), (1, (height * width) as u64));
        let expected = whole(&segmenter, &image);
        assert_eq!(kept.probabilities.len(), expected.len());
        for (pixel, (found, expected)) in kept.probabilities.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs();
            assert!(off < 1e-5, "{pixel}: {found} is not {expected}");
        }
    }
}

#[test]
fn windows_change_little_and_pixels_without_data_stay_so() {
    let config = with_stem();
    let segmenter = tiny::segmenter(&config, 6, &Device::flex());
    let mut image = waves(160, 96);
    image.slice_mut(ndarray::s![1, .., 40..]).fill(f32::NAN);
    let options = RunOptions {
        probabilities: true,
        ..RunOptions::new([64, 64])
    };
    let (kept, stats) = run(&config, &segmenter, &image, &options);
    assert!(stats.windows > 1);
    assert_eq!((stats.valid, stats.no_data), (160 * 40, 160 * 56));
    for (index, class) in kept.classes.iter().enumerate() {
        assert_eq!(*class == 255, index % 96 >= 40, "pixel {index}");
    }
    image.fill(f32::NAN);
    let (kept, stats) = run(&config, &segmenter, &image, &options);
    assert_eq!((stats.windows, stats.valid), (0, 0));
    assert!(kept.classes.iter().all(|class| *class == 255));
}
