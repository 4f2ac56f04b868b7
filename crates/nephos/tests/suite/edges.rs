//! Quality of masks near the edge of an image, with the shipped model.
//!
//! The figures, before and after images were filled up with their reflection:
//! `cargo test --release --test suite -- edges --nocapture`

use std::path::Path;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, s};
use nephos::Model;
use nephos::Result;
use nephos::class::IGNORE;
use nephos::config::Config;
use nephos::data::Dataset;
use nephos::data::simulate::Simulator;
use nephos::device::Device;
use nephos::predict::{Decision, RowSink, RunOptions, run, window_for};
use nephos::raster::Georeference;
use nephos::scene::MemoryScene;
use nephos::weights::Bundle;

use crate::outside::images;

/// The model `tiny`, ready.
struct Tiny {
    config: Config,
    model: Model,
}

impl Tiny {
    fn new() -> Self {
        let bundle = Bundle::load(Path::new("tiny")).unwrap();
        let config = bundle.config.clone();
        let model = Model::new(bundle, &Device::cpu()).unwrap();
        Self { config, model }
    }

    /// The mask of an image all of whose pixels are valid.
    fn mask(&self, image: ArrayView3<'_, f32>) -> Array2<u8> {
        let (_, height, width) = image.dim();
        let valid = Array2::from_elem((height, width), true);
        let image = image.to_owned();
        let prediction = self.model.predict_image(&image, &valid);
        prediction.unwrap().classes
    }

    /// The mask up to version 0.1: zeros below and to the right, up to whole
    /// patches.
    fn mask_among_zeros(&self, image: ArrayView3<'_, f32>) -> Array2<u8> {
        let (bands, height, width) = image.dim();
        let whole = [height, width].map(|side| side.next_multiple_of(8));
        let mut padded = Array3::zeros((bands, whole[0], whole[1]));
        padded.slice_mut(s![.., ..height, ..width]).assign(&image);
        let mask = self.mask(padded.view());
        mask.slice(s![..height, ..width]).to_owned()
    }
}

/// Share of pixels for which `counts` holds, near the right and lower edge and in the rest.
#[derive(Default)]
struct Shares([u64; 2], [u64; 2]);

impl Shares {
    /// `band`: how many pixels from those edges are near.
    fn add(
        &mut self,
        size: [usize; 2],
        band: usize,
        counts: impl Fn(usize, usize) -> Option<bool>,
    ) {
        for row in 0..size[0] {
            for col in 0..size[1] {
                let near = row + band >= size[0] || col + band >= size[1];
                if let Some(holds) = counts(row, col) {
                    self.1[usize::from(near)] += 1;
                    self.0[usize::from(near)] += u64::from(holds);
                }
            }
        }
    }

    /// The rest, then near, in per cent.
    fn percent(&self) -> [f64; 2] {
        [0, 1].map(|near| 100.0 * self.0[near] as f64 / self.1[near] as f64)
    }
}

/// Masks before and now.
struct Figures {
    before: Shares,
    after: Shares,
}

impl Figures {
    fn new() -> Self {
        Self {
            before: Shares::default(),
            after: Shares::default(),
        }
    }

    /// Prints both; returns how much higher the share is near the edge, before and now.
    fn print(&self, what: &str, place: &str) -> [f64; 2] {
        for (when, shares) in [("before", &self.before), ("after", &self.after)] {
            let [rest, near] = shares.percent();
            println!("{what}, {when}: {near:.2} % {place}, {rest:.2} % in the rest");
        }
        [&self.before, &self.after].map(|shares| {
            let [rest, near] = shares.percent();
            near - rest
        })
    }
}

/// 24 real images, cut, against the masks of the whole.
#[test]
fn a_cut_image_has_the_same_mask_near_the_cut() {
    let Some(folder) = images("l8biome") else {
        return;
    };
    let tiny = Tiny::new();
    let dataset = Dataset::open(&folder, &tiny.config.data).unwrap();
    assert_eq!(dataset.len(), 24);
    let side = 250;
    let mut differ = Figures::new();
    for index in 0..dataset.len() {
        let image = dataset.get_unlabelled(index).unwrap().image;
        let whole = tiny.mask(image.view());
        let cut = image.slice(s![.., ..side, ..side]);
        let as_it_was = tiny.mask_among_zeros(cut);
        let as_it_is = tiny.mask(cut);
        let other = |mask: &Array2<u8>, row, col| Some(mask[[row, col]] != whole[[row, col]]);
        let size = [side; 2];
        (differ.before).add(size, 16, |row, col| other(&as_it_was, row, col));
        (differ.after).add(size, 16, |row, col| other(&as_it_is, row, col));
    }
    let what = format!("24 real images cut to {side} × {side}, pixels that differ");
    // How much depends on what is beyond an edge is the weights'; that hardly any of it is left,
    // the reflection's.
    let [before, more] = differ.print(&what, "within 16 px of the cut");
    assert!(more <= 0.1 * before, "{more:.2} points more near the cut");
}

/// 60 simulated images against their truth.
#[test]
fn a_small_image_is_scored_as_well_at_its_edge_as_inside() {
    let tiny = Tiny::new();
    for (pixel, side) in [(20.0, 100), (30.0, 101)] {
        let simulator = Simulator {
            pixel,
            ..Simulator::default()
        };
        let mut right = Figures::new();
        for index in 0..60 {
            let scene = simulator.simulate(17, index, side).unwrap();
            // Blue, green, red, nir, swir16, swir22, cirrus; then that none is absent.
            let mut image = Array3::zeros((11, side, side));
            for (channel, band) in [1, 2, 3, 7, 11, 12, 10].into_iter().enumerate() {
                let stored = scene.bands.slice(s![band, .., ..]);
                let input = stored.mapv(|stored| f32::from(stored) / 5000.0);
                image.slice_mut(s![channel, .., ..]).assign(&input);
            }
            let as_it_was = tiny.mask_among_zeros(image.view());
            let as_it_is = tiny.mask(image.view());
            let hit = |mask: &Array2<u8>, row, col| {
                let truth = scene.label[[row, col]];
                (truth != IGNORE).then(|| mask[[row, col]] == truth)
            };
            let size = [side; 2];
            (right.before).add(size, 8, |row, col| hit(&as_it_was, row, col));
            (right.after).add(size, 8, |row, col| hit(&as_it_is, row, col));
        }
        let what = format!("60 simulated images of {side} × {side} at {pixel} m, pixels right");
        let [_, more] = right.print(&what, "in the last 8 px");
        assert!(more >= -3.0, "{more:.2} points at the edge");
    }
}

/// Sides that are no whole patches, down to one pixel: a clear image of one brightness is
/// one class all over, and no pixel is left out.
#[test]
fn images_of_any_size_have_no_border_artefacts() {
    let tiny = Tiny::new();
    let ground = [0.10, 0.12, 0.10, 0.50, 0.40, 0.24, 0.003];
    for [height, width] in [[1, 1], [1, 500], [7, 9], [101, 100], [385, 60], [250, 250]] {
        let image = Array3::from_shape_fn((11, height, width), |(channel, _, _)| {
            ground.get(channel).copied().unwrap_or(0.0)
        });
        let mask = tiny.mask(image.view());
        assert_eq!(mask.dim(), (height, width));
        assert!(mask.iter().all(|class| *class == 0), "{height} × {width}");
    }
}

/// A sample, a scene in windows of any size and grid, and a scene with one graph: what is
/// evaluated, predicted and drawn is one mask, and where the grid of windows is moved out
/// of the scene nothing appears at its edge.
#[test]
fn windows_beyond_the_scene_predict_no_cloud_there() {
    let tiny = Tiny::new();
    let ground = Array3::from_shape_fn((11, 101, 130), |(channel, row, col)| {
        let level = [0.10, 0.12, 0.10, 0.50, 0.40, 0.24, 0.003]
            .get(channel)
            .copied();
        level.map_or(0.0, |level| {
            level * (1.0 + 0.05 * ((row / 9 + col / 7) % 3) as f32)
        })
    });
    let names: Vec<String> = (0..11).map(|channel| format!("{channel}")).collect();
    let scene = MemoryScene::new("clear", &names, ground.clone(), Georeference::default()).unwrap();
    let bands: Vec<usize> = (0..11).collect();
    let model = &tiny.config.model;
    let alone = tiny.mask(ground.view());
    for (window, shift) in [
        (None, 0),
        (Some(100), 0),
        (Some(1), 0),
        (Some(60), 30),
        (None, 50),
    ] {
        let options = RunOptions {
            overlap: model.overlap,
            align: model.alignment(),
            shift,
            decision: Decision::new(&tiny.config.calibration, model.classes),
            ..RunOptions::new(window_for(model, window, 101, 130))
        };
        let mut mask = Mask::default();
        let run = run(
            &tiny.model,
            model.classes,
            &scene,
            &bands,
            1.0,
            &options,
            &mut mask,
            &|_| (),
        );
        run.unwrap();
        let mask = Array2::from_shape_vec((101, 130), mask.0).unwrap();
        if (window, shift) == (None, 0) {
            assert_eq!(mask, alone, "a scene and a sample");
        }
        // Windows of one patch have too little context for a certain class.
        if window != Some(1) {
            let clouds = mask.iter().filter(|class| **class != 0).count();
            assert_eq!(clouds, 0, "window {window:?}, shift {shift}");
        }
    }
}

/// Collects rows.
#[derive(Default)]
struct Mask(Vec<u8>);

impl RowSink for Mask {
    fn rows(
        &mut self,
        _: usize,
        classes: ArrayView2<'_, u8>,
        _: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        self.0.extend(classes.iter());
        Ok(())
    }
}
