//! Arrays in memory as scenes, whole and in parts.

use ndarray::{Array3, Axis, s};
use nephos::predict::Part;
use nephos::raster::Window;
use nephos::scene::{ArrayBand, ArrayOptions, ArrayScene, ArrayValues};
use nephos::{Model, PredictOptions, Scene};

const NAMES: [&str; 5] = ["blue", "green", "red", "nir", "swir16"];

/// Stored reflectance × 10000 + 1000 of a scene with a border, gaps of one optional band, and a
/// corner that is empty.
fn stored(rows: usize, cols: usize) -> Array3<u16> {
    Array3::from_shape_fn((NAMES.len(), rows, cols), |(band, row, col)| {
        let cloud = ((row / 90 + col / 70) % 3) as u16;
        let texture = ((row * 31 + col * 17 + band * 7) % 211) as u16;
        match (row, col) {
            (_, 0..30) => 0,
            (200.., 600..) => 0,
            (100..140, 100..300) if band == 4 => 0,
            _ => 1300 + 2300 * cloud + texture * (2 + band as u16),
        }
    })
}

fn scene(stored: &Array3<u16>) -> ArrayScene<'_> {
    let band = |name: &str| ArrayBand {
        name: name.to_owned(),
        scale_factor: Some(1e-4),
        add_offset: Some(-0.1),
        nodata: Some(0.0),
    };
    let bands = NAMES.map(band);
    let values = ArrayValues::U16(stored.view().insert_axis(Axis(0)));
    ArrayScene::new("array", values, &bands, &ArrayOptions::default()).unwrap()
}

#[test]
fn parts_are_those_of_the_whole_whatever_their_size() {
    let (rows, cols) = (810, 950);
    let stored = stored(rows, cols);
    let model = Model::load("tiny").unwrap();
    let whole = scene(&stored);
    let options = PredictOptions::default();
    let streamed = model.predict(&whole).unwrap().probabilities().unwrap();
    let on_this_thread = PredictOptions {
        on_this_thread: true,
        ..options.clone()
    };
    let prediction = model.predict_with(&whole, &on_this_thread).unwrap();
    let here = prediction.probabilities().unwrap();
    assert_eq!(here.classes, streamed.classes);
    assert_eq!(bits(&here.probabilities), bits(&streamed.probabilities));
    assert!(streamed.classes.iter().any(|class| *class == 255));
    assert!(streamed.classes.iter().any(|class| *class == 1));
    for (row, col, height, width) in [
        (0, 0, 300, 300),
        (300, 300, 300, 300),
        (500, 700, 310, 250),
        (399, 0, 1, 950),
        (600, 800, 20, 30),
    ] {
        let wanted = Window {
            row,
            col,
            rows: height,
            cols: width,
        };
        let part = Part::new(&model.config().model, [rows, cols], wanted).unwrap();
        let needed = part.needed();
        let cut = s![
            ..,
            needed.row..needed.row + needed.rows,
            needed.col..needed.col + needed.cols
        ];
        let surroundings = stored.slice(cut).to_owned();
        let found = model
            .predict_part(&scene(&surroundings), &part, true, &options)
            .unwrap();
        let (rows, cols) = (row..row + height, col..col + width);
        let expected = streamed.classes.slice(s![rows.clone(), cols.clone()]);
        assert_eq!(found.classes, expected, "{wanted:?}");
        let expected = streamed.probabilities.slice(s![.., rows, cols]).to_owned();
        assert_eq!(bits(&found.probabilities), bits(&expected), "{wanted:?}");
    }
}

fn bits(probabilities: &Array3<f32>) -> Vec<u32> {
    // Any NaN is no data.
    let bits = |p: &f32| if p.is_nan() { 0 } else { p.to_bits() };
    probabilities.iter().map(bits).collect()
}

#[test]
fn a_part_needs_its_surroundings_and_the_windows_of_the_whole() {
    let model = Model::load("tiny").unwrap();
    let config = &model.config().model;
    let stored = stored(100, 100);
    let window = |rows, cols| Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    assert!(Part::new(config, [90, 100], window(91, 1)).is_err());
    assert!(Part::new(config, [90, 100], window(0, 1)).is_err());
    let part = Part::new(config, [90, 100], window(10, 10)).unwrap();
    let options = PredictOptions::default();
    let scene = scene(&stored);
    assert_eq!(scene.info().size, [100, 100]);
    let error = model.predict_part(&scene, &part, false, &options);
    assert!(error.unwrap_err().to_string().contains("90 × 100 pixels"));
    let options = PredictOptions {
        dilate: Some(30.0),
        ..options
    };
    assert!(model.predict_part(&scene, &part, false, &options).is_err());
}

#[test]
fn clouds_grow_by_metres_where_the_size_of_pixels_is_known() {
    let model = Model::load("tiny").unwrap();
    let stored = stored(64, 200);
    let options = PredictOptions {
        dilate: Some(30.0),
        ..PredictOptions::default()
    };
    let plain = model.predict(&scene(&stored)).unwrap().classes().unwrap();
    assert!(
        model
            .predict_with(&scene(&stored), &options)
            .unwrap()
            .classes()
            .is_err()
    );
    let mut grown = Vec::new();
    for resolution in [10.0, 100.0] {
        let bands = NAMES.map(|name| ArrayBand {
            name: name.to_owned(),
            scale_factor: Some(1e-4),
            add_offset: Some(-0.1),
            nodata: Some(0.0),
        });
        let sized = ArrayOptions {
            resolution: Some(resolution),
            ..ArrayOptions::default()
        };
        let values = ArrayValues::U16(stored.view().insert_axis(Axis(0)));
        let scene = ArrayScene::new("array", values, &bands, &sized).unwrap();
        grown.push(
            model
                .predict_with(&scene, &options)
                .unwrap()
                .classes()
                .unwrap(),
        );
    }
    assert_eq!(grown[1], plain);
    let thick = |mask: &ndarray::Array2<u8>| mask.iter().filter(|class| **class == 1).count();
    assert!(thick(&grown[0]) > thick(&plain));
}
