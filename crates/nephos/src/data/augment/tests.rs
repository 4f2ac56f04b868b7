//! Labels move with their pixels, ignored pixels stay ignored, and all is a function of
//! seed, epoch and place.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, Array3, Axis, s};
use proptest::prelude::*;

use super::*;
use crate::class::IGNORE;
use crate::config::Config;
use crate::raster::DType;
use crate::samples::SampleSource;

/// Samples of 40 × 40 pixels: red, green, blue, near infrared; the last is the label
/// plus one, a tenth of it.
struct Made;

const SIDE: usize = 40;
const BANDS: [&str; 4] = ["red", "green", "blue", "nir"];

/// A cloud with its shadow and veil on clear ground; the corner is not labelled, and
/// right of it nothing is valid.
fn label(index: usize) -> Array2<i64> {
    Array2::from_shape_fn((SIDE, SIDE), |(row, col)| {
        let shift = index % 4;
        match (
            row.wrapping_sub(10 + shift) < 8,
            col.wrapping_sub(8 + shift) < 18,
        ) {
            (true, true) if col < 16 => 1,
            (true, true) => 2,
            _ if row.wrapping_sub(24) < 6 && col.wrapping_sub(20) < 9 => 3,
            _ if row < 6 && col < 5 => 255,
            _ => 0,
        }
    })
}

impl SampleSource for Made {
    fn len(&self) -> usize {
        6
    }
    fn name(&self, index: usize) -> String {
        format!("made{index}")
    }
    fn shape(&self, _: usize) -> Result<[usize; 3]> {
        Ok([BANDS.len(), SIDE, SIDE])
    }
    fn dtype(&self, _: usize) -> Result<DType> {
        Ok(DType::F32)
    }
    fn channel_names(&self, _: usize) -> Result<Option<Vec<String>>> {
        Ok(Some(BANDS.map(String::from).to_vec()))
    }
    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let label = label(index);
        let mut all = Array3::from_shape_fn((BANDS.len(), SIDE, SIDE), |(band, row, col)| {
            let ground = 0.1 + 0.02 * band as f32 + 0.001 * ((row * 7 + col * 3) % 11) as f32;
            match (band, label[[row, col]]) {
                (3, code) => 0.1 * (code + 1) as f32,
                (_, 1) => 0.7,
                (_, 2) => 0.35,
                (_, 3) => ground * 0.4,
                _ => ground,
            }
        });
        all.slice_mut(s![.., 33.., 35..]).fill(f32::NAN);
        Ok(all.select(Axis(0), channels))
    }
    fn read_raw(&self, _: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        Err(Error::unsupported("made samples", "raw bytes"))
    }
    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        Ok(Some(label(index)))
    }
}

const DATA: &str = "[data]\nscale = 1.0\nquantification = 1.0\nassume_reflectance = true\n\
    bands = ['red', 'green', 'blue', 'nir']\noptional_bands = ['nir', 'green']\n";

fn open(augment: &str) -> (Dataset, Augmenter) {
    let text = format!("{DATA}[data.augment]\n{augment}");
    let data = Config::parse(&text, "t.toml", &[]).unwrap().data;
    let dataset = Dataset::from_source(Arc::new(Made), Path::new("made"), &data).unwrap();
    let augmenter = Augmenter::new(&dataset, &data).unwrap();
    (dataset, augmenter)
}

fn draw(slot: u64) -> AugmentSeed {
    AugmentSeed {
        seed: 3,
        epoch: 1,
        slot,
    }
}

const ALL: &str = "rotate = true\nflip = true\ncrop = 24\nzoom = [0.5, 2.0]\ngain = 0.1\n\
    band_gain = 0.1\nband_offset = 0.02\nhaze = 0.3\nblur = 1.5\nnoise = 0.01\n\
    saturation = [0.5, 0.8]\ncorrection = 0.5\nnodata = 0.5\nband_dropout = 0.7\n\
    paste = { probability = 0.8 }\nprobability = 0.8\n";

/// Invariants of every training sample.
fn is_sound(example: &Example) {
    let (channels, height, width) = example.image.dim();
    assert_eq!(channels, 6);
    assert_eq!((height, width), example.label.dim());
    for ((row, col), valid) in example.valid.indexed_iter() {
        let pixel = example.image.slice(s![.., row, col]);
        assert!(pixel.iter().all(|v| v.is_finite()));
        if *valid {
            for (flag, band) in [(4, 3), (5, 1)] {
                assert_eq!(pixel[flag] == 1.0, example.absent[band]);
                assert!(!example.absent[band] || pixel[band] == 0.0);
            }
        } else {
            assert!(pixel.iter().all(|v| *v == 0.0));
            assert_eq!(example.label[[row, col]], IGNORE);
        }
    }
    assert!(!example.absent[0] && !example.absent[2]);
}

#[test]
fn without_augmentations_a_sample_is_unchanged() {
    let (dataset, augmenter) = open("");
    for index in 0..6 {
        let plain = dataset.get(index).unwrap();
        let same = augmenter.get(&dataset, index, draw(7), None).unwrap();
        assert_eq!(same.image, plain.image);
        assert_eq!(same.label, plain.label);
        assert_eq!(same.valid, plain.valid);
    }
}

#[test]
fn equal_seeds_give_equal_samples_and_others_differ() {
    let (dataset, augmenter) = open(ALL);
    let get = |slot| augmenter.get(&dataset, 2, draw(slot), None).unwrap();
    assert_eq!(get(5).image, get(5).image);
    assert_ne!(get(5).image, get(6).image);
}

#[test]
fn switching_one_augmentation_off_leaves_the_others() {
    let (dataset, with) = open("rotate = true\nnoise = 0.01\nprobability = 1.0");
    let (_, without) = open("rotate = true\nprobability = 1.0");
    for slot in 0..8 {
        let noisy = with.get(&dataset, 0, draw(slot), None).unwrap();
        let plain = without.get(&dataset, 0, draw(slot), None).unwrap();
        assert_eq!(noisy.label, plain.label);
        assert!((&noisy.image - &plain.image).iter().all(|d| d.abs() < 0.07));
    }
}

#[test]
fn correction_removes_path_radiance_and_keeps_bright_pixels() {
    let (dataset, augmenter) = open("correction = 1.0");
    let before = dataset.get(0).unwrap();
    for slot in 0..20 {
        let after = augmenter.get(&dataset, 0, draw(slot), None).unwrap();
        let change = |band: usize, at: [usize; 2]| {
            after.image[[band, at[0], at[1]]] - before.image[[band, at[0], at[1]]]
        };
        let (clear, thick) = ([8, 0], [12, 10]);
        assert!(change(2, clear) < -0.01 && change(2, clear) < change(0, clear) - 0.005);
        assert!(change(3, clear).abs() < 0.03);
        assert!(change(2, thick) > change(2, clear));
    }
}

#[test]
fn pasted_clouds_have_their_class_and_reflectance() {
    let (dataset, augmenter) = open("paste = { probability = 1.0, edge = 0.5 }");
    let mut seen = [0u32; 4];
    for slot in 0..30 {
        let before = dataset.get(0).unwrap();
        let after = augmenter.get(&dataset, 0, draw(slot), None).unwrap();
        is_sound(&after);
        for ((at, old), new) in before.label.indexed_iter().zip(&after.label) {
            if *old == IGNORE {
                assert_eq!(*new, IGNORE);
            } else if old != new {
                let (then, now) = (before.image[[2, at.0, at.1]], after.image[[2, at.0, at.1]]);
                match new {
                    1 => assert!(now > 0.4, "{now}"),
                    2 => assert!(now > then, "{then} {now}"),
                    3 => assert!(now < then && *old == 0, "{then} {now}"),
                    _ => panic!("a pixel of class {old} became clear"),
                }
                seen[usize::from(*new)] += 1;
            }
        }
    }
    assert!(seen[1] > 0 && seen[2] > 0 && seen[3] > 0, "{seen:?}");
}

#[test]
fn a_crop_holds_the_class_it_is_drawn_for() {
    let (dataset, augmenter) = open("crop = 6");
    for slot in 0..40 {
        let class = (slot % 4) as u8;
        let example = augmenter.get(&dataset, 1, draw(slot), Some(class)).unwrap();
        assert_eq!(example.label.dim(), (6, 6));
        assert!(example.label.iter().any(|label| *label == class));
    }
}

#[test]
fn only_optional_bands_are_dropped_and_all_sets_occur() {
    let (dataset, augmenter) = open("band_dropout = 1.0");
    let mut sets = std::collections::BTreeSet::new();
    for slot in 0..60 {
        let example = augmenter.get(&dataset, 0, draw(slot), None).unwrap();
        is_sound(&example);
        sets.insert(example.absent);
    }
    assert_eq!(sets.len(), 4);
}

#[test]
fn pasting_needs_clouds() {
    let text = format!("{DATA}[data.augment]\npaste = {{ probability = 1.0 }}");
    let mut data = Config::parse(&text, "t.toml", &[]).unwrap().data;
    data.labels.map = (1..4).map(|code| (code.to_string(), 0.into())).collect();
    let dataset = Dataset::from_source(Arc::new(Made), Path::new("made"), &data).unwrap();
    let error = Augmenter::new(&dataset, &data).err().map(|e| e.to_string());
    assert!(error.unwrap().contains("data.augment.paste"));
}

proptest! {
    #[test]
    fn labels_move_with_their_pixels(slot in any::<u64>(), crop in 1usize..60, low in 0.2f64..1.0) {
        // The near infrared encodes the label: where the pixels around are of one class,
        // it still does, wherever they went.
        let (dataset, augmenter) = open(&format!(
            "rotate = true\nflip = true\ncrop = {crop}\nzoom = [{low}, 3.0]\nnodata = 0.3"
        ));
        let example = augmenter.get(&dataset, (slot % 6) as usize, draw(slot), None).unwrap();
        is_sound(&example);
        prop_assert_eq!(example.label.dim(), (crop, crop));
        let nir = example.image.index_axis(Axis(0), 3);
        for row in 0..crop {
            for col in 0..crop {
                let code = example.label[[row, col]];
                if code == IGNORE {
                    continue;
                }
                // How far zooming out mixes neighbours: over a window of 1 / zoom pixels.
                let message = nir[[row, col]] * 10.0 - 1.0;
                let around = |d: isize, e: isize| {
                    let (r, c) = (row as isize + d, col as isize + e);
                    let inside = |v: isize| (0..crop as isize).contains(&v);
                    !(inside(r) && inside(c)) || example.label[[r as usize, c as usize]] == code
                };
                let even = (-2..=2).all(|d| (-2..=2).all(|e| around(d, e)));
                // Beyond the border the neighbours are undefined.
                let border = [row, col].iter().any(|at| *at < 2 || *at + 2 >= crop);
                if even && !border {
                    prop_assert!((message - f32::from(code)).abs() < 0.45, "{} {}", message, code);
                }
            }
        }
    }

    #[test]
    fn every_variation_is_sound(slot in any::<u64>()) {
        let (dataset, augmenter) = open(ALL);
        let example = augmenter.get(&dataset, (slot % 6) as usize, draw(slot), None).unwrap();
        prop_assert_eq!(example.label.dim(), (24, 24));
        is_sound(&example);
    }

    #[test]
    fn whole_pixels_are_moved_and_not_changed(slot in any::<u64>()) {
        let (dataset, augmenter) = open("rotate = true\nflip = true\ncrop = 17");
        let example = augmenter.get(&dataset, (slot % 6) as usize, draw(slot), None).unwrap();
        for ((row, col), code) in example.label.indexed_iter() {
            if *code != IGNORE {
                prop_assert_eq!(example.image[[3, row, col]], 0.1 * f32::from(code + 1));
            }
        }
    }
}
