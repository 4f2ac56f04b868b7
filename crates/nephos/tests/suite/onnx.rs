//! Models as ONNX, checked by onnx and run in ONNX Runtime where these are installed.

use std::path::Path;

use ndarray::{Array, Array3, Array4, Axis, Dimension, s};
use ndarray_npy::write_npy;
use nephos::config::{Config, PositionKind};
use nephos::network::Forward;
use nephos::onnx::{self, OnnxOptions};
use nephos::output::may_write;
use nephos::raster::{Georeference, Window};
use nephos::scene::MemoryScene;
use nephos::weights::{Bundle, Identity};
use nephos::{Device, Model};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{outside, tiny};

/// Largest absolute difference of scores and probabilities.
const DIFFERENCE: f32 = 1e-4;

fn identity(name: &str) -> Identity {
    Identity {
        name: name.to_owned(),
        sha256: "0".repeat(64),
    }
}

/// Numbers in [0, 0.6] that look random.
fn reflectance<D: Dimension, S: ndarray::ShapeBuilder<Dim = D>>(
    shape: S,
    seed: u64,
) -> Array<f32, D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn(shape, || rng.random_range(0.0..0.6))
}

/// Model, input and expected output as files in a folder.
struct Case<'a> {
    folder: &'a Path,
    name: &'a str,
    bundle: &'a Bundle,
    options: OnnxOptions,
}

impl Case<'_> {
    fn write(&self, input: &Array4<f32>, expected: &Array4<f32>) {
        let file = |kind: &str| self.folder.join(format!("{}.{kind}", self.name));
        let identity = identity(self.name);
        onnx::write(&file("onnx"), self.bundle, &identity, &self.options).unwrap();
        may_write(&file("onnx"), true).expect("recognised as nephos's own");
        write_npy(file("input.npy"), input).unwrap();
        write_npy(file("expected.npy"), expected).unwrap();
    }

    /// Of a model whose bands are all there: class scores of reflectance.
    fn scores(mut self, side: usize, seed: u64) {
        let config = &self.bundle.config;
        self.options = OnnxOptions {
            scale: 1.0,
            divisor: 1.0,
            window: Some(side),
            logits: true,
            ..self.options
        };
        let images = reflectance((2, config.data.bands.len(), side, side), seed);
        let model = Model::new(self.bundle.clone(), &Device::cpu()).unwrap();
        let optional = config.data.optional_bands.len();
        let mut input = Array4::zeros((2, config.channels(), side, side));
        let bands = images.dim().1;
        assert_eq!(bands + optional, config.channels());
        let scaled = images.mapv(|x| x * config.data.input_gain());
        input.slice_mut(s![.., ..bands, .., ..]).assign(&scaled);
        let expected = model.forward(input).unwrap();
        self.write(&images, &expected);
    }

    /// Of some bands: probabilities of a scene in one window.
    fn probabilities(self, names: &[String], scene: &Array3<f32>) {
        let stored = scene.mapv(|x| {
            let number = f64::from(x) * self.options.scale - self.options.offset;
            (number / self.options.divisor) as f32
        });
        let place = Georeference::default();
        let scene = MemoryScene::new(self.name, names, scene.clone(), place).unwrap();
        let model = Model::new(self.bundle.clone(), &Device::cpu()).unwrap();
        let expected = model.predict(&scene).unwrap().probabilities().unwrap();
        let expected = expected.probabilities.insert_axis(Axis(0));
        self.write(&stored.insert_axis(Axis(0)), &expected);
    }
}

/// Models with the parts that `tiny` and the reference don't have.
fn variants() -> Vec<(&'static str, Config, usize)> {
    let reference = tiny::config();
    let mut learned = reference.clone();
    learned.model.encoder.position = PositionKind::Learned;
    learned.model.decoder.align_corners = false;
    learned.model.reach = Some(1);
    let mut sincos = reference.clone();
    sincos.model.encoder.position = PositionKind::Sincos;
    sincos.model.graph.layers = 0;
    sincos.model.decoder.skip = false;
    let small = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Config::preset("tiny", &keys).unwrap()
    };
    let image = small(&[
        "model.decoder.stages=[32, 16, 8]",
        "model.graph.residual=false",
        "model.graph.heads=3",
        "model.reach=2",
    ]);
    vec![
        ("reference", reference, 77),
        ("learned", learned, 160),
        ("sincos", sincos, 64),
        ("image", image, 104),
    ]
}

#[test]
fn onnx_runtime_agrees() {
    let Some(mut python) = outside::python("onnx, onnxruntime, numpy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let shipped = Bundle::load(Path::new("tiny")).unwrap();
    let mut calibrated = shipped.clone();
    calibrated.config.calibration.temperature = 1.3;
    calibrated.config.calibration.bias = vec![0.1, -0.2, 0.0, 0.3];
    let variants = variants();
    let drawn: Vec<Bundle> = variants
        .iter()
        .map(|(_, config, _)| tiny::bundle(config, 7))
        .collect();
    let case = |name, bundle, options| Case {
        folder: folder.path(),
        name,
        bundle,
        options,
    };
    case("tiny", &shipped, OnnxOptions::default()).scores(384, 1);
    for ((name, _, side), bundle) in variants.iter().zip(&drawn) {
        case(*name, bundle, OnnxOptions::default()).scores(*side, 2);
    }

    let names = ["nir", "red", "green", "blue"].map(str::to_owned);
    let options = OnnxOptions {
        bands: Some(names.to_vec()),
        offset: -1000.0,
        ..OnnxOptions::default()
    };
    let mut scene = reflectance((4, 384, 384), 3);
    scene.slice_mut(s![0, 30..90, 40..50]).fill(f32::NAN);
    scene.slice_mut(s![2, 200..230, 100..190]).fill(f32::NAN);
    case("calibrated", &calibrated, options).probabilities(&names, &scene);
    if let Some(images) = outside::images("landsat8_scene") {
        let scene = nephos::open(images).unwrap();
        let names: Vec<String> = scene
            .info()
            .bands
            .iter()
            .map(|band| band.name.clone())
            .collect();
        let taken: Vec<usize> = (0..names.len())
            .filter(|band| shipped.config.data.bands.contains(&names[*band]))
            .collect();
        let names: Vec<String> = taken.iter().map(|band| names[*band].clone()).collect();
        let window = Window {
            row: 100,
            col: 60,
            rows: 384,
            cols: 384,
        };
        let cut = scene.read(&taken, window).unwrap();
        let options = OnnxOptions {
            bands: Some(names.clone()),
            ..OnnxOptions::default()
        };
        case("real", &shipped, options).probabilities(&names, &cut);
    }

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/compare.py");
    let lines = outside::output(python.arg("-B").arg(script).arg(folder.path()));
    println!("{lines}");
    for line in lines.lines() {
        let parts: Vec<&str> = line.split('\t').collect();
        let difference: f32 = parts[1].parse().unwrap();
        assert!(difference <= DIFFERENCE, "{line}");
        let metadata: serde_json::Value = serde_json::from_str(parts[2]).unwrap();
        assert_eq!(metadata["model_type"], "\"Segmentor\"");
        if parts[0] == "tiny" {
            let classes = r#"{"0":"clear","1":"thick cloud","2":"thin cloud","3":"cloud shadow"}"#;
            assert_eq!(metadata["class_names"], classes);
            for (key, value) in [
                ("resolution", "1000.0"),
                ("tile_size", "384"),
                ("tiles_overlap", "16"),
            ] {
                assert_eq!(metadata[key], value, "{key}");
            }
        }
    }
    assert!(lines.lines().count() >= 6, "{lines}");
}

#[test]
fn what_can_not_be_exported_is_an_error() {
    let shipped = Bundle::load(Path::new("tiny")).unwrap();
    let error = |options: OnnxOptions| {
        let made = onnx::export(&shipped, &identity("tiny"), &options);
        made.unwrap_err().to_string()
    };
    let bands = |names: &[&str]| OnnxOptions {
        bands: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..OnnxOptions::default()
    };
    assert!(error(bands(&["red", "green"])).contains("the model needs blue"));
    assert!(
        error(bands(&["red", "green", "blue", "rededge071"])).contains("no use for rededge071")
    );
    assert!(error(bands(&["red", "green", "blue", "blue"])).contains("options.bands"));
    let options = OnnxOptions {
        window: Some(0),
        ..OnnxOptions::default()
    };
    assert!(error(options).contains("options.window"));
    let options = OnnxOptions {
        scale: f64::NAN,
        ..OnnxOptions::default()
    };
    assert!(error(options).contains("options.scale"));
    let unet = Bundle {
        config: Config::preset("unet", &[]).unwrap(),
        ..shipped.clone()
    };
    let made = onnx::export(&unet, &identity("unet"), &OnnxOptions::default());
    assert!(made.unwrap_err().to_string().contains("graph transformers"));
}

#[test]
fn the_file_is_small_and_the_same_each_time() {
    let shipped = Bundle::load(Path::new("tiny")).unwrap();
    let make = || onnx::export(&shipped, &identity("tiny"), &OnnxOptions::default()).unwrap();
    let bytes = make();
    assert_eq!(bytes, make());
    let weights: usize = shipped
        .tensors
        .iter()
        .map(|(_, _, values)| 4 * values.len())
        .sum();
    // How far patches attend is stated by rows and by columns, not by pairs.
    assert!(
        (weights..weights + 100_000).contains(&bytes.len()),
        "{}",
        bytes.len()
    );
}
