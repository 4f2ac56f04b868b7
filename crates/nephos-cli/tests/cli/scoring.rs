//! `nephos benchmark` of existing weights and external masks.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Output};

use ndarray::Array2;
use nephos::mask;
use nephos::raster::DType;
use nephos::samples::pickle::Writer;
use serde_json::Value;

use super::tiny::{MODEL, save_untrained};

const DATA: &str = "
name = 'small'
[data]
bands = ['red', 'green', 'blue', 'nir']
optional_bands = ['nir']
channels = ['blue', 'green', 'red']
label_channel = 3
scale = 10000.0
";

const SIDE: usize = 16;

/// Pixels of a quarter of a sample, four rows.
const QUARTER: u64 = 64;

/// A sample of four quarters, from the top, with these numbers.
fn quarters(of: [u8; 4]) -> Array2<u8> {
    Array2::from_shape_fn((SIDE, SIDE), |(row, _)| of[row / 4])
}

/// Samples `0`, `1`, … of three bands and the labels.
fn write_samples(path: &Path, labels: &[[u8; 4]]) {
    let mut writer = Writer::new(BufWriter::new(File::create(path).unwrap())).unwrap();
    for (sample, label) in labels.iter().enumerate() {
        let label = quarters(*label);
        let mut values = Vec::new();
        for channel in 0..4 {
            for (pixel, class) in label.iter().enumerate() {
                let value = match channel {
                    3 => u16::from(*class),
                    _ => (500 + 1500 * usize::from(*class % 4) + 10 * (pixel % 7) + sample) as u16,
                };
                values.extend_from_slice(&value.to_le_bytes());
            }
        }
        writer.push(DType::U16, [4, SIDE, SIDE], &values).unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
}

/// Weights that predict one class everywhere with certainty.
fn save_constant(class: usize, path: &Path) {
    let mut bias = [-3.0; 4];
    bias[class] = 3.0;
    let calibration = format!("[calibration]\ntemperature = 100.0\nbias = {bias:?}\n");
    save_untrained(&format!("{DATA}{calibration}"), path);
}

fn benchmark(folder: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nephos"))
        .current_dir(folder)
        .args(["benchmark", "samples.pkl", "--out", "out"])
        .args(more)
        .output()
        .unwrap()
}

fn report(folder: &Path, more: &[&str]) -> (Value, String) {
    let output = benchmark(folder, more);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    let text = std::fs::read_to_string(folder.join("out/benchmark.json")).unwrap();
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    (serde_json::from_str(&text).unwrap(), table)
}

fn close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() < 1e-9, "{value} for {expected}");
}

/// Two samples, masks `made/` of them, and a table about them.
fn two_samples(path: &Path) {
    write_samples(&path.join("samples.pkl"), &[[0, 1, 2, 3], [1, 2, 3, 0]]);
    std::fs::write(path.join("small.toml"), format!("{DATA}{MODEL}")).unwrap();
    std::fs::create_dir(path.join("made")).unwrap();
    // 2 is shadow in these masks; in the second a quarter has no prediction.
    mask::write(&path.join("made/0.tif"), &quarters([0, 1, 0, 2]), None).unwrap();
    mask::write(&path.join("made/1.png"), &quarters([1, 255, 2, 1]), None).unwrap();
    let table = "name,snow,difficulty,ground\n0,1,0.5,rock\n1,0,0.25,ice\nother,1,3,ice\n";
    std::fs::write(path.join("kinds.csv"), table).unwrap();
}

#[test]
fn external_masks_are_scored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    two_samples(path);
    let masks = [
        "--predictions",
        "other=made",
        "--prediction-map",
        "other:2=shadow",
    ];
    let more = [
        &masks[..],
        &["--config", "small.toml", "--kinds", "kinds.csv"],
    ]
    .concat();
    let (json, table) = report(path, &more);
    let entry = &json["scenes"]["entries"][0];
    assert_eq!(
        (&entry["name"], &entry["origin"]),
        (&"other".into(), &"masks".into())
    );
    let all = &entry["overall"];
    // Cloud: found in two quarters, missed in one; false in one of four others.
    assert_eq!(all["cloud"]["hits"], 2 * QUARTER);
    assert_eq!(all["cloud"]["missed"], QUARTER);
    assert_eq!(all["cloud"]["false_cloud"], QUARTER);
    assert_eq!(all["cloud"]["clear"], 3 * QUARTER);
    close(&all["cloud_iou"], 0.5);
    close(&all["false_cloud"], 0.25);
    close(&all["missed_cloud"], 1.0 / 3.0);
    close(&all["shadow_iou"], 1.0);
    close(&all["mean_cloud_iou"], 0.5);
    close(&all["mean_false_cloud"], 0.25);
    close(&all["not_predicted"], 0.125);
    assert!(
        table.contains("not predicted") && table.contains("12.50"),
        "{table}"
    );
    let kinds: Vec<(&str, u64)> = (entry["kinds"].as_array().unwrap().iter())
        .map(|kind| {
            (
                kind["kind"].as_str().unwrap(),
                kind["scenes"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("partly cloudy", 2),
        ("snow", 1),
        ("ground=ice", 1),
        ("ground=rock", 1),
    ];
    assert_eq!(kinds, expected, "numbers other than 0 and 1 are no kinds");
    close(&entry["kinds"][1]["missed_cloud"], 0.5);
    let csv = std::fs::read_to_string(path.join("out/scenes.csv")).unwrap();
    assert!(
        csv.contains("other,all,1,,ground=ice,0.33333,0.50000,0.50000,0.00000"),
        "{csv}"
    );
    assert!(path.join("out/worst.png").is_file());
    assert!(
        !path.join("out/benchmark.png").exists(),
        "nothing was trained"
    );

    // One of them; shadow was not annotated in it.
    std::fs::write(path.join("held.txt"), "# held out\n1\n").unwrap();
    let annotated = [
        "--set",
        "data.labels.annotated_in={3=['0']}",
        "--only",
        "held.txt",
        "--worst",
        "0",
    ];
    let (json, _) = report(
        path,
        &[&masks[..], &["--config", "small.toml"], &annotated].concat(),
    );
    let scenes = json["scenes"]["entries"][0]["scenes"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!((scenes.len(), &scenes[0]["name"]), (1, &"1".into()));
    close(&scenes[0]["shadow_iou"], 0.0);
}

#[test]
fn weights_are_scored_as_evaluate_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    two_samples(path);
    save_untrained(DATA, &path.join("mine.nephos"));
    save_constant(1, &path.join("cloud.nephos"));
    let more = ["--weights", "mine=mine.nephos", "--weights", "cloud.nephos"];
    let bands = ["--also-bands", "red,green,blue"];
    let (json, table) = report(path, &[&more[..], &bands].concat());
    let entries = json["scenes"]["entries"].as_array().unwrap();
    let names: Vec<&str> = entries
        .iter()
        .map(|e| e["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["mine", "mine", "cloud", "cloud"], "{table}");
    assert_eq!(
        entries[1]["bands"],
        serde_json::json!(["red", "green", "blue"])
    );
    let evaluated = Command::new(env!("CARGO_BIN_EXE_nephos"))
        .current_dir(path)
        .args([
            "evaluate",
            "samples.pkl",
            "--model",
            "mine.nephos",
            "--json",
        ])
        .output()
        .unwrap();
    let scores: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(
        entries[0]["overall"]["cloud_iou"],
        scores["scores"]["cloud"]["iou"]
    );
    assert_eq!(entries[0]["overall"]["miou"], scores["scores"]["miou"]);
    let error = &scores["expected_calibration_error"];
    assert_eq!(&entries[0]["overall"]["calibration_error"], error);
    // All is predicted as cloud: half of it is.
    close(&entries[2]["overall"]["cloud_iou"], 0.5);
    close(&entries[2]["overall"]["false_cloud"], 1.0);
    for picture in [
        "mine",
        "mine-red-green-blue",
        "cloud",
        "cloud-red-green-blue",
    ] {
        let file = path.join(format!("out/reliability-{picture}.png"));
        assert!(file.is_file(), "{picture}");
    }

    let tiny = ["--weights", "tiny=tiny", "--worst", "0"];
    let shipped = report(path, &[&tiny[..], &["--config", "small.toml"]].concat()).0;
    assert_eq!(
        shipped["scenes"]["entries"][0]["scenes"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn each_sample_is_scored_by_the_weights_of_its_fold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_samples(&path.join("samples.pkl"), &[[0; 4], [1; 4], [0, 0, 1, 1]]);
    save_constant(0, &path.join("fold-1.nephos"));
    save_constant(2, &path.join("fold-2.nephos"));
    std::fs::write(path.join("folds.csv"), "name,fold\n0,1\n1,2\n2,2\n").unwrap();
    let weights = ["--weights", "mine=fold-{fold}.nephos"];
    let (json, _) = report(
        path,
        &[&weights[..], &["--fold-table", "folds.csv"]].concat(),
    );
    let scenes = json["scenes"]["entries"][0]["scenes"]
        .as_array()
        .unwrap()
        .clone();
    let folds: Vec<u64> = scenes.iter().map(|s| s["fold"].as_u64().unwrap()).collect();
    assert_eq!(folds, [1, 2, 2]);
    // By the first weights nothing is cloud, by the second everything.
    close(&scenes[0]["false_cloud"], 0.0);
    close(&scenes[1]["missed_cloud"], 0.0);
    close(&scenes[2]["false_cloud"], 1.0);

    let missing = benchmark(path, &[&weights[..], &["--folds", "3"]].concat());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("fold-3.nephos"));
}

#[test]
fn trained_and_given_models_are_in_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    two_samples(path);
    save_constant(1, &path.join("cloud.nephos"));
    let more = [
        "--models",
        "small.toml",
        "--steps",
        "2",
        "--folds",
        "2",
        "--weights",
        "cloud.nephos",
        "--predictions",
        "other=made",
        "--kinds",
        "kinds.csv:snow",
    ];
    let (json, table) = report(path, &more);
    let models = json["models"].as_array().unwrap();
    let names: Vec<&str> = models.iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["small", "cloud", "other"], "{table}");
    assert_eq!(models[1]["folds"].as_array().unwrap().len(), 2);
    close(&models[1]["pooled"]["cloud"]["iou"], 0.5);
    assert!(models[1]["cost"]["parameters"].as_u64().unwrap() > 0);
    assert!(models[2]["cost"].is_null());
    let entries = json["scenes"]["entries"].as_array().unwrap();
    let origins: Vec<&str> = entries
        .iter()
        .map(|e| e["origin"].as_str().unwrap())
        .collect();
    assert_eq!(origins, ["trained", "weights", "masks"]);
    let (trained, scenes) = (&models[0]["pooled"]["cloud"]["iou"], &entries[0]["overall"]);
    assert_eq!(trained, &scenes["cloud_iou"], "the same pixels");
    assert!(path.join("out/benchmark.png").is_file() && !path.join("out/worst.png").exists());
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    two_samples(path);
    std::fs::create_dir(path.join("part")).unwrap();
    mask::write(&path.join("part/0.tif"), &quarters([0; 4]), None).unwrap();
    std::fs::create_dir(path.join("small")).unwrap();
    mask::write(&path.join("small/0.npy"), &Array2::zeros((8, SIDE)), None).unwrap();
    std::fs::write(path.join("names.txt"), "0\n7\n").unwrap();
    std::fs::write(path.join("few.csv"), "name,snow\n0,1\n").unwrap();
    let refused = |more: &[&str], message: &[&str]| {
        let output = benchmark(path, more);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{more:?}");
        assert!(
            message.iter().all(|message| text.contains(message)),
            "{more:?}: {text}"
        );
    };
    let made = ["--config", "small.toml", "--predictions", "other=made"];
    let with = |more: &[&'static str]| [&made[..], more].concat();
    let of = |folder: &'static str| ["--config", "small.toml", "--predictions", folder];
    refused(
        &of("p=part"),
        &["part: no mask of the sample 1", "1.tif", "samples_1.tif"],
    );
    refused(
        &of("p=small"),
        &["0.npy", "8 × 16 pixels for a sample of 16 × 16"],
    );
    refused(&of("p=none"), &["--predictions p", "none"]);
    refused(&of("made"), &["NAME=FOLDER"]);
    refused(&with(&["--prediction-map", "other:1=snow"]), &["`1=snow`"]);
    refused(
        &with(&["--prediction-map", "mine:1=thin"]),
        &["--prediction-map mine"],
    );
    refused(&with(&["--only", "names.txt"]), &["names.txt", "7"]);
    refused(&with(&["--kinds", "few.csv"]), &["few.csv", "sample 1"]);
    refused(&with(&["--kinds", "kinds.csv:sea"]), &["`sea`"]);
    refused(
        &with(&["--predictions", "other=part"]),
        &["two models are called other"],
    );
    refused(&with(&["--steps", "3"]), &["--models"]);
    refused(&[], &["--models"]);
    mask::write(&path.join("made/1.tif"), &quarters([0, 1, 7, 7]), None).unwrap();
    refused(
        &made,
        &["1.tif", "code 7 in 128 pixels", "--prediction-map"],
    );
}
