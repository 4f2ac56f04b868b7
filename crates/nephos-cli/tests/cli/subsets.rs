//! A model over any subset of bands: samples, scenes and scene graphs build the same
//! input, and say what it is.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::Array3;
use nephos::mask::{self, CogSpec, CogWriter, Resampling};
use nephos::scene::pickle::Writer;
use nephos::scene::{DType, Georeference};

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

    /// What the run says on standard error.
    fn predict(&self, arguments: &str) -> String {
        let output = self.run(&format!("predict --scale 255 --model m.nephos {arguments}"));
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
fn scenes_samples_and_scene_graphs_see_the_same() {
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
fn what_is_declared_absent_changes_the_answer() {
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
    let output = place.run("predict a.tif --bands blue,green,nir,x --model m.nephos --out o.npy");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("`red`"), "{said}");
}
