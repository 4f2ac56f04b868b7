//! A model over any subset of bands: samples, scenes and scene graphs build the same
//! input.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::Array3;
use nephos::mask::{self, CogSpec, CogWriter, Resampling};
use nephos::raster::{DType, Georeference};
use nephos::samples::pickle::Writer;

use super::tiny::save_untrained;

const DATA: &str = r#"
[data]
bands = ["red", "green", "blue", "nir", "swir16"]
optional_bands = ["nir", "swir16"]
channels = ["blue", "green", "red", "nir"]
label_channel = 9
nodata = 255.0
scale = 10000.0
"#;

/// That of the model's window: the graph of a scene is then that of its window.
const SIDE: usize = 32;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A folder with a model, and the same pixels as a scene and as a sample, in the
    /// bands blue, green, red and, where `nir` holds, near infrared.
    fn new(nir: bool) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        save_untrained(DATA, &place.path("m.nephos"));
        let bands = if nir { 4 } else { 3 };
        let pixels = Array3::from_shape_fn((bands, SIDE, SIDE), |(band, row, col)| {
            // Some of a patch, never all: a scene's graph leaves patches without data out.
            match row + col < 7 {
                true => 255u8,
                false => {
                    (20 + (row / 9 + col / 7) % 5 * 45 + band * 5 + (row * 7 + col) % 11) as u8
                }
            }
        });
        write_scene(&place.path("a.tif"), &pixels);
        let file = BufWriter::new(File::create(place.path("a.pkl")).unwrap());
        let mut writer = Writer::new(file).unwrap();
        let bytes: Vec<u8> = pixels.iter().copied().collect();
        writer.push(DType::U8, [bands, SIDE, SIDE], &bytes).unwrap();
        std::io::Write::flush(&mut writer.finish().unwrap()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nephos"))
            .current_dir(self.folder.path())
            .args(arguments.split_whitespace())
            .output()
            .unwrap()
    }

    /// The run's standard error.
    fn predict(&self, arguments: &str) -> String {
        let output = self.run(&format!(
            "predict --scale 255 --model m.nephos --overwrite {arguments}"
        ));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said
    }
}

fn write_scene(path: &Path, pixels: &Array3<u8>) {
    let (bands, height, width) = pixels.dim();
    let names = ["blue", "green", "red", "nir"].map(String::from);
    let spec = CogSpec {
        width,
        height,
        bands,
        georeference: Georeference::default(),
        nodata: Some(255),
        palette: None,
        band_names: names[..bands].to_vec(),
        scale: None,
        tags: Vec::new(),
        overview: Resampling::Mean,
    };
    let mut writer = CogWriter::create(path, spec).unwrap();
    writer.write_rows(pixels.view()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn scenes_samples_and_scene_graphs_have_the_same_input() {
    for nir in [false, true] {
        let place = Place::new(nir);
        let said = place.predict("a.tif --out scene.npy --with summary");
        let absent = if nir { "swir16" } else { "nir, swir16" };
        assert!(
            said.contains(&format!("declared absent: {absent}")),
            "{said}"
        );
        let summary = std::fs::read_to_string(place.path("scene.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["made"]["bands_absent"], absent);
        place.predict("a.pkl --out sample.npy");
        place.predict("a.tif --graph scene --out graph.npy");
        let read = |name: &str| mask::read(&place.path(name)).unwrap();
        let scene = read("scene.npy");
        assert_eq!(scene[[0, 0]], 255);
        for other in ["sample.npy", "graph.npy"] {
            let other = read(other);
            let differ = scene.iter().zip(&other).filter(|(a, b)| a != b).count();
            // The last bits of scale and blending may tip a tie.
            assert!(differ <= 5, "{differ} pixels differ");
        }
    }
}

#[test]
fn declaring_a_band_absent_changes_the_prediction() {
    let place = Place::new(true);
    place.predict("a.tif --out with.npy --with probabilities");
    place.predict("a.tif --out without.npy --with probabilities --set data.withhold=[\"nir\"]");
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert_ne!(
        read("with_probabilities.tif"),
        read("without_probabilities.tif")
    );
}

#[test]
fn a_required_band_that_is_absent_is_an_error() {
    let place = Place::new(true);
    let output =
        place.run("predict a.tif --bands blue,green,nir,swir22 --model m.nephos --out o.npy");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("`red`"), "{said}");
}

/// A place whose scene and sample hold these numbers of 8 bits; 255 is no data.
fn place_with(bands: usize, number: impl Fn(usize, usize, usize) -> u8) -> Place {
    let place = Place::new(false);
    let pixels = Array3::from_shape_fn((bands, SIDE, SIDE), |(band, row, col)| {
        number(band, row, col)
    });
    write_scene(&place.path("a.tif"), &pixels);
    let file = BufWriter::new(File::create(place.path("a.pkl")).unwrap());
    let mut writer = Writer::new(file).unwrap();
    let bytes: Vec<u8> = pixels.iter().copied().collect();
    writer.push(DType::U8, [bands, SIDE, SIDE], &bytes).unwrap();
    std::io::Write::flush(&mut writer.finish().unwrap()).unwrap();
    place
}

fn ground(band: usize, row: usize, col: usize) -> u8 {
    (20 + (row / 9 + col / 7) % 5 * 45 + band * 5 + (row * 7 + col) % 11) as u8
}

fn made(place: &Place, name: &str) -> serde_json::Value {
    let summary = std::fs::read_to_string(place.path(name)).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    summary["made"].clone()
}

#[test]
fn an_optional_band_that_is_empty_is_absent() {
    let without = place_with(3, ground);
    without.predict("a.tif --out right.npy");
    let right = mask::read(&without.path("right.npy")).unwrap();
    assert!(right.iter().all(|class| *class != 255));
    for nothing in [255, 0] {
        let place = place_with(4, |band, row, col| match band {
            3 => nothing,
            _ => ground(band, row, col),
        });
        // Each place has a model of its own.
        std::fs::copy(without.path("m.nephos"), place.path("m.nephos")).unwrap();
        for (input, flags) in [("a.tif", ""), ("a.tif", "--graph scene"), ("a.pkl", "")] {
            let said = place.predict(&format!("{input} {flags} --out m.npy --with summary"));
            assert!(said.contains("nir is empty"), "{said}");
            assert_eq!(made(&place, "m.json")["bands_absent"], "nir, swir16");
            let found = mask::read(&place.path("m.npy")).unwrap();
            let differ = found.iter().zip(&right).filter(|(a, b)| a != b).count();
            // The last bits of scale and blending may tip a tie.
            let most = if input == "a.tif" && flags.is_empty() {
                0
            } else {
                5
            };
            assert!(differ <= most, "{input} {flags}: {differ} pixels differ");
        }
    }
}

#[test]
fn gaps_of_an_optional_band_are_declared_with_a_note() {
    let place = place_with(4, |band, row, col| match (band, col < SIDE / 2) {
        (3, true) => 255,
        _ => ground(band, row, col),
    });
    for (input, flags) in [("a.tif", ""), ("a.tif", "--graph scene"), ("a.pkl", "")] {
        let said = place.predict(&format!("{input} {flags} --out m.npy --with summary"));
        assert!(said.contains("nir has no data in 50 %"), "{said}");
        let made = made(&place, "m.json");
        assert_eq!(made["bands_absent_in_part"], "nir in 50 %");
        assert_eq!(made["bands_absent"], "swir16");
        let found = mask::read(&place.path("m.npy")).unwrap();
        assert!(found.iter().all(|class| *class != 255));
    }
    // The record is in the mask itself too.
    place.predict("a.tif --out m.tif");
    let bytes = std::fs::read(place.path("m.tif")).unwrap();
    let tag = b"BANDS_ABSENT_IN_PART";
    assert!(bytes.windows(tag.len()).any(|window| window == tag));
    // Where a required band has none there is none.
    let place = place_with(4, |band, row, col| match (band, col < SIDE / 2) {
        (1, true) => 255,
        _ => ground(band, row, col),
    });
    place.predict("a.tif --out m.npy");
    let found = mask::read(&place.path("m.npy")).unwrap();
    let empty = found.iter().filter(|class| **class == 255).count();
    assert_eq!(empty, SIDE * SIDE / 2);
}

#[test]
fn a_required_band_without_data_is_an_error_by_name() {
    let place = place_with(4, |band, row, col| match band {
        1 => 255,
        _ => ground(band, row, col),
    });
    let output = place.run("predict --scale 255 --model m.nephos a.tif --out m.npy");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("band green has no data"),
        "{said}"
    );
}

#[test]
fn with_nodata_none_no_number_is_no_data() {
    let place = place_with(3, |band, row, col| match col < 8 {
        true => 255,
        false => ground(band, row, col),
    });
    place.predict("a.tif --out declared.npy");
    place.predict("a.tif --nodata none --out none.npy");
    place.predict("a.pkl --nodata none --out sample.npy");
    let empty = |name: &str| {
        let mask = mask::read(&place.path(name)).unwrap();
        mask.iter().filter(|class| **class == 255).count()
    };
    assert_eq!(empty("declared.npy"), SIDE * 8);
    assert_eq!([empty("none.npy"), empty("sample.npy")], [0, 0]);
    let output = place.run("predict a.tif --model m.nephos --nodata nothing");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("a number is expected, or none"), "{said}");
}
