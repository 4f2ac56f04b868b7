//! Whole images through a network.

use ndarray::{Array2, Array3, Axis, s};
use nephos::Model;
use nephos::config::DataConfig;
use nephos::data::Dataset;
use nephos::device::Device;
use nephos::evaluate::evaluate;
use nephos::network::Forward;
use nephos::samples::pickle;

use super::tiny;

/// Smooth bands in [0, 1] that differ from place to place.
fn image(height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(band, row, col)| {
        let phase = band as f32 + row as f32 / 9.0 + col as f32 / 13.0;
        0.5 + 0.5 * phase.sin()
    })
}

#[test]
fn a_prediction_is_the_networks_own_output() {
    let device = Device::cpu();
    let config = tiny::config();
    let bundle = tiny::bundle(&config, 3);
    // Smaller than the model's size, not square, and up to twice its size.
    for (height, width) in [(20, 33), (64, 64), (90, 128)] {
        let image = image(height, width);
        let mut valid = Array2::from_elem((height, width), true);
        valid[[3, 5]] = false;
        let mut fed = image.clone();
        fed.slice_mut(s![.., 3, 5]).fill(0.0);
        let network = Model::new(bundle.clone(), &device).unwrap();
        let logits = network.forward(fed.insert_axis(Axis(0))).unwrap();
        let best = |row: usize, col: usize| {
            let score = |class: &usize| logits[[0, *class, row, col]];
            (0..4)
                .rev()
                .max_by(|a, b| score(a).total_cmp(&score(b)))
                .unwrap() as u8
        };
        let mut expected = Array2::from_shape_fn((height, width), |(row, col)| best(row, col));

        let found = Model::new(bundle.clone(), &device)
            .unwrap()
            .predict_image(&image, &valid)
            .unwrap();
        expected[[3, 5]] = 255;
        assert_eq!(found.classes, expected, "{height} × {width}");
        let sums = found.probabilities.sum_axis(Axis(0));
        for ((row, col), sum) in sums.indexed_iter() {
            assert!(if (row, col) == (3, 5) {
                sum.is_nan()
            } else {
                (sum - 1.0).abs() < 1e-5
            });
        }
    }
}

#[test]
fn values_at_invalid_pixels_are_ignored() {
    let device = Device::cpu();
    let config = tiny::config();
    let bundle = tiny::bundle(&config, 4);
    let clean = image(64, 64);
    let mut valid = Array2::from_elem((64, 64), true);
    valid.slice_mut(s![..20, ..]).fill(false);
    let mut dirty = clean.clone();
    dirty.slice_mut(s![.., ..20, ..]).fill(f32::NAN);
    let scores = |image| {
        Model::new(bundle.clone(), &device)
            .unwrap()
            .class_scores(image, &valid)
            .unwrap()
    };
    assert_eq!(scores(&clean), scores(&dirty));
}

#[test]
fn large_images_are_blended_from_windows() {
    let device = Device::cpu();
    let config = tiny::config();
    let bundle = tiny::bundle(&config, 5);
    let scores = |image: &Array3<f32>| {
        let (_, height, width) = image.dim();
        let valid = Array2::from_elem((height, width), true);
        Model::new(bundle.clone(), &device)
            .unwrap()
            .class_scores(image, &valid)
            .unwrap()
    };
    // Every window of a flat image gives the same scores: at a corner of the image
    // they are those of the one window there, at other places a mean of them.
    let flat = Array3::from_elem((3, 130, 200), 0.4);
    let (large, one) = (
        scores(&flat),
        scores(&flat.slice(s![.., ..64, ..64]).to_owned()),
    );
    assert_eq!(large.dim(), (4, 130, 200));
    for class in 0..4 {
        let corner = (large[[class, 0, 0]] - one[[class, 0, 0]]).abs();
        let last = (large[[class, 129, 199]] - one[[class, 63, 63]]).abs();
        assert!(
            corner < 1e-4 && last < 1e-4,
            "class {class}: {corner} {last}"
        );
    }
    let least = one.fold(f32::INFINITY, |a, b| a.min(*b)) - 1e-4;
    let most = one.fold(f32::NEG_INFINITY, |a, b| a.max(*b)) + 1e-4;
    assert!(large.iter().all(|score| (least..=most).contains(score)));
}

#[test]
fn windows_overlap_as_the_model_says() {
    let device = Device::cpu();
    let config = tiny::config();
    let bundle = tiny::bundle(&config, 5);
    let (image, valid) = (image(64, 192), Array2::from_elem((64, 192), true));
    let scores = |overlap: f64| {
        let mut bundle = bundle.clone();
        bundle.config.model.overlap = overlap;
        Model::new(bundle.clone(), &device)
            .unwrap()
            .class_scores(&image, &valid)
            .unwrap()
    };
    // Windows side by side: the middle one by itself.
    let apart = scores(0.0);
    let middle = image.slice(s![.., .., 64..128]).to_owned();
    let whole = Array2::from_elem((64, 64), true);
    let alone = Model::new(bundle.clone(), &device)
        .unwrap()
        .class_scores(&middle, &whole)
        .unwrap();
    let furthest = |a: &Array3<f32>| {
        let a = a.slice(s![.., .., 64..128]);
        a.iter()
            .zip(&alone)
            .fold(0f32, |far, (a, b)| far.max((a - b).abs()))
    };
    assert!(furthest(&apart) < 1e-5 && furthest(&scores(0.5)) > 1e-3);
}

#[test]
fn an_image_smaller_than_a_patch_is_filled_up_with_its_reflection() {
    let device = Device::cpu();
    let config = tiny::config();
    let bundle = tiny::bundle(&config, 6);
    let scores = |image: &Array3<f32>, valid: &Array2<bool>| {
        Model::new(bundle.clone(), &device)
            .unwrap()
            .class_scores(image, valid)
            .unwrap()
    };
    let small = image(3, 64);
    let found = scores(&small, &Array2::from_elem((3, 64), true));
    let least = (3..).find(|height| config.model.grid(*height, 64).is_some());
    let least = least.unwrap();
    assert!(least > 3);
    let padded = Array3::from_shape_fn((3, least, 64), |(band, row, col)| {
        small[[band, [0, 1, 2, 1][row % 4], col]]
    });
    let expected = scores(&padded, &Array2::from_elem((least, 64), true));
    assert_eq!(found, expected.slice(s![.., ..3, ..]));
}

#[test]
fn images_that_do_not_fit_are_errors() {
    let device = Device::cpu();
    let config = tiny::config();
    let bundle = tiny::bundle(&config, 6);
    let predict = |image: &Array3<f32>, (rows, cols)| {
        let valid = Array2::from_elem((rows, cols), true);
        Model::new(bundle.clone(), &device)
            .unwrap()
            .predict_image(image, &valid)
    };
    assert!(predict(&Array3::zeros((3, 0, 0)), (0, 0)).is_err());
    assert!(predict(&image(64, 64), (64, 63)).is_err());
    let infinite = Array3::from_elem((3, 64, 64), f32::INFINITY);
    let error = predict(&infinite, (64, 64)).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
}

#[test]
fn evaluation_counts_labelled_pixels_only() {
    let device = Device::cpu();
    let mut config = tiny::config();
    config.data.channels = ["red", "green", "blue"].map(String::from).to_vec();
    config.data.label_channel = 3;
    config.data.scale = 1000.0;
    let bundle = tiny::bundle(&config, 7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.pkl");
    let samples: Vec<Array3<u16>> = [64usize, 70]
        .iter()
        .map(|side| {
            let bands = image(*side, *side);
            Array3::from_shape_fn((4, *side, *side), |(channel, row, col)| match channel {
                3 => [0, 1, 2, 3, 255][(row / 10) % 5],
                _ => (bands[[channel, row, col]] * 1000.0) as u16,
            })
        })
        .collect();
    pickle::write_u16(&path, samples.into_iter().map(Ok)).unwrap();
    let dataset = Dataset::open(&path, &config.data).unwrap();
    let mut named = Vec::new();
    let evaluation = evaluate(&bundle, &dataset, &device, |r| {
        named.push(r.name.clone());
        Ok(())
    })
    .unwrap();
    assert_eq!(named.len(), 2);

    // The same by the definition, from the predicted probabilities.
    let (mut pixels, mut right, mut loss) = (0u64, 0u64, 0.0);
    for index in 0..2 {
        let example = dataset.get(index).unwrap();
        let found = Model::new(bundle.clone(), &device)
            .unwrap()
            .predict_image(&example.image, &example.valid)
            .unwrap();
        for ((row, col), label) in example.label.indexed_iter().filter(|(_, l)| **l != 255) {
            pixels += 1;
            right += u64::from(found.classes[[row, col]] == *label);
            loss -= f64::from(found.probabilities[[usize::from(*label), row, col]]).ln();
        }
    }
    assert_eq!(evaluation.confusion.pixels(), pixels);
    assert!(pixels < 64 * 64 + 70 * 70);
    let scores = evaluation.confusion.scores();
    assert_eq!(scores.overall_accuracy, Some(right as f64 / pixels as f64));
    let mean = evaluation.loss.unwrap();
    assert!((mean - loss / pixels as f64).abs() < 1e-5, "{mean}");

    let mut config_of_two = config.clone();
    config_of_two.model.classes = 2;
    let two = tiny::bundle(&config_of_two, 8);
    let error = evaluate(&two, &dataset, &device, |_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("data.labels.map") && error.contains("s.pkl"),
        "{error}"
    );
    let missing = DataConfig {
        bands: vec!["nir".to_owned()],
        ..config.data
    };
    let error = Dataset::open(&path, &missing)
        .unwrap()
        .get(0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`nir`") && error.contains("red, green, blue"),
        "{error}"
    );
}
