//! Configurations by name, in a folder outside of the repository.

use std::path::Path;
use std::process::{Command, Output};

use ndarray::Array3;
use nephos::data::simulate::Simulator;
use nephos::mask::{CogSpec, CogWriter, Resampling};
use nephos::raster::Georeference;

/// Sentinel-2's blue, green, red and near infrared among the simulator's bands.
const BANDS: [usize; 4] = [1, 2, 3, 7];

/// What a stored 1 is in [`write_image`].
const STEP: f32 = 250.0;

pub fn nephos(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nephos"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

pub fn succeed(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = nephos(folder, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {message}");
    (String::from_utf8(output.stdout).unwrap(), message)
}

pub fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = nephos(folder, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    message
}

/// A simulated scene of four named bands, as a GeoTIFF of reflectance × 250 with that scale, and
/// its label.
pub fn write_image(image: &Path, label: &Path, seed: u64, side: usize) {
    let simulator = Simulator {
        pixel: 40.0,
        ..Simulator::default()
    };
    let scene = simulator.simulate(seed, 0, side).unwrap();
    let spec = CogSpec {
        width: side,
        height: side,
        bands: BANDS.len(),
        georeference: Georeference::default(),
        nodata: None,
        palette: None,
        band_names: ["blue", "green", "red", "nir"].map(String::from).into(),
        scale: Some(f64::from(1.0 / STEP)),
        tags: Vec::new(),
        overview: Resampling::Mean,
    };
    let pixels = Array3::from_shape_fn((BANDS.len(), side, side), |(band, row, col)| {
        let reflectance = f32::from(scene.bands[[BANDS[band], row, col]]) / 10_000.0;
        (STEP * reflectance).clamp(1.0, 255.0) as u8
    });
    for folder in [image, label].map(|path| path.parent().unwrap()) {
        std::fs::create_dir_all(folder).unwrap();
    }
    let mut writer = CogWriter::create(image, spec).unwrap();
    writer.write_rows(pixels.view()).unwrap();
    writer.finish().unwrap();
    let spec = CogSpec::mask(side, side, Georeference::default());
    let mut writer = CogWriter::create(label, spec).unwrap();
    let label = scene.label.insert_axis(ndarray::Axis(0));
    writer.write_rows(label.view()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn configurations_are_listed_and_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (list, _) = succeed(folder.path(), &["config"]);
    for name in ["tiny", "reference", "segformer", "augment"] {
        let line = list
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        assert!(
            line.is_some_and(|line| line.len() > name.len() + 20),
            "{name}: {list}"
        );
    }
    let (text, _) = succeed(folder.path(), &["config", "unet"]);
    std::fs::write(folder.path().join("mine.toml"), text).unwrap();
    // What was printed is the configuration of that name.
    for config in ["unet", "mine.toml"] {
        let message = fail(folder.path(), &["train", "--config", config]);
        assert!(message.contains("data.train"), "{message}");
    }
    let message = fail(folder.path(), &["config", "nothing"]);
    assert!(
        message.contains("`nothing`") && message.contains("segformer"),
        "{message}"
    );
}

#[test]
fn a_folder_of_the_same_name_does_not_hide_a_configuration_or_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let simulate = [
        "simulate",
        "--out",
        "demo/data",
        "--size",
        "96",
        "--val",
        "1",
    ];
    let counts = ["--train", "2", "--test", "0"];
    succeed(path, &[&simulate[..], &counts].concat());
    let train = ["train", "--config", "demo", "--out", "demo/run"];
    let sets = [
        "--set",
        "data.train=demo/data/train_split.pkl",
        "--set",
        "data.val=demo/data/val_split.pkl",
        "--set",
        "train.epochs=1",
    ];
    succeed(path, &[&train[..], &sets].concat());
    assert!(path.join("demo/run/best.nephos").exists());
    std::fs::create_dir(path.join("tiny")).unwrap();
    write_image(&path.join("tiny/a.tif"), &path.join("l.tif"), 1, 96);
    succeed(path, &["predict", "tiny/a.tif", "--out", "tiny/m.tif"]);
}

#[test]
fn a_name_is_accepted_wherever_a_configuration_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let refused = |arguments: &[&str], why: &str| {
        let message = fail(path, arguments);
        assert!(message.contains(why), "{arguments:?}: {message}");
    };
    // Each gets past its configuration, to what is missing after it.
    let missing = "data.train=nowhere.pkl";
    refused(
        &["train", "--config", "demo", "--set", missing],
        "nowhere.pkl",
    );
    refused(
        &["pretrain", "nowhere.pkl", "--config", "tiny"],
        "nowhere.pkl",
    );
    refused(
        &[
            "augment",
            "nowhere.pkl",
            "--config",
            "augment",
            "-o",
            "a.png",
        ],
        "nowhere.pkl",
    );
    let imported = [
        "weights",
        "import",
        "nowhere.pth",
        "--config",
        "reference",
        "-o",
        "m.nephos",
    ];
    refused(&imported, "nowhere.pth");
    let budget = ["--models", "unet", "--steps", "1"];
    refused(
        &[
            &["benchmark", "nowhere.pkl", "--config", "l8biome"][..],
            &budget,
        ]
        .concat(),
        "nowhere.pkl",
    );
    for arguments in [
        &["train", "--config", "nothing"][..],
        &["pretrain", "a.pkl", "--config", "nothing"],
        &["augment", "a.pkl", "--config", "nothing", "-o", "a.png"],
        &[
            "weights", "import", "a.pth", "--config", "nothing", "-o", "m.nephos",
        ],
        &[
            "benchmark",
            "a.pkl",
            "--config",
            "nothing",
            "--models",
            "unet",
            "--steps",
            "1",
        ],
        &["benchmark", "a.pkl", "--models", "nothing", "--steps", "1"],
    ] {
        refused(
            arguments,
            "neither a file nor a configuration that comes with nephos (",
        );
        refused(arguments, "deeplabv3plus");
    }
    refused(&["train", "--config", "configs/base.toml"], "`base` alone");
    assert_eq!(
        path.read_dir().unwrap().count(),
        0,
        "nothing is left behind"
    );
}

/// The command in the model card that trains `tiny` further, typed as it is printed.
#[test]
fn the_cards_own_command_fine_tunes_on_other_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (seed, name) in ["lake", "Forest_99", "dune", "town", "moor"]
        .iter()
        .enumerate()
    {
        let file = |of: &str| path.join("FOLDER").join(of).join(format!("{name}.tif"));
        write_image(&file("image"), &file("label"), 20 + seed as u64, 64);
    }
    let (card, _) = succeed(path, &["info", "tiny"]);
    let block = card.split("```console").nth(1).expect("a command");
    let command = block.split("```").next().unwrap().replace("\\\n", " ");
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[..2], ["nephos", "train"], "{command}");
    // A few steps are enough to see that it works.
    let few = ["--set", "data.sampling.epoch=8", "--set", "train.epochs=1"];
    let (out, message) = succeed(path, &[&words[1..], &few].concat());
    assert!(
        message.contains("4 training samples, 1 validation sample;"),
        "{message}"
    );
    assert!(out.contains("Finished after 1 epoch."), "{out}");
    assert!(!message.contains("note:"), "{message}");
    let model = path.join("runs/mine/best.nephos");
    let (_, message) = succeed(
        path,
        &[
            "predict",
            "FOLDER/image/lake.tif",
            "--model",
            model.to_str().unwrap(),
            "-o",
            "m.tif",
        ],
    );
    assert!(!message.contains("error"), "{message}");
}

/// `tiny` with the settings of weights/train.sh is the configuration in the header of its
/// weights.
#[test]
fn the_recipe_of_tiny_is_what_its_weights_carry() {
    use nephos::config::Config;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let text = read("configs/tiny.toml") + &read("weights/training-data.toml");
    // The last step of weights/train.sh, of which a later value of a key counts.
    let set = [
        "train.batch_size=8",
        "data.augment.zoom=[0.5,2.5]",
        "data.augment.pixel_sizes=[10,60]",
        "data.augment.paste.probability=0.2",
        "data.assume_reflectance=true",
        "data.share=0.3",
        "data.pixel_size=30",
        "data.sampling.epoch=3200",
        "train.epochs=1",
        "train.optimizer.lr=4e-4",
        "train.ema=0.99",
    ]
    .map(String::from);
    let recipe = Config::parse(&text, "tiny.toml", &set).unwrap();
    let bytes = std::fs::read(root.join("weights/tiny.nephos")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let carried = header["__metadata__"]["config"].as_str().unwrap();
    let mut carried = Config::parse(carried, "tiny.nephos", &[]).unwrap();
    // Fitted after the training.
    carried.calibration = recipe.calibration.clone();
    assert_eq!(
        recipe.without_training_data(),
        carried.without_training_data()
    );
    let script = read("weights/train.sh").replace('\'', "");
    for set in &set {
        assert!(script.contains(&format!("--set {set}")), "{set}");
    }
    assert!(script.contains("cat configs/tiny.toml weights/training-data.toml"));
}
