//! `nephos evaluate`, `nephos predict` and `nephos overlay`

use std::fs::File;
use std::path::Path;

use assert_cmd::Command;
use nephos::mask;
use nephos::raster::DType;
use nephos::samples::pickle;
use predicates::str::contains;

use super::tiny::save_untrained;

const DATA: &str = r#"
[data]
bands = ["red", "green", "blue"]
channels = ["blue", "green", "red", "nir"]
label_channel = 4
scale = 1000.0
"#;

const SIDE: usize = 40;

/// A folder with `m.nephos`, an untrained model, `s.pkl`, three labelled samples,
/// and `one.pkl`, one without a label.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save_untrained(DATA, &folder.path().join("m.nephos"));
    samples(&folder.path().join("s.pkl"), 3, 5);
    samples(&folder.path().join("one.pkl"), 1, 4);
    folder
}

fn samples(path: &Path, count: usize, channels: usize) {
    let mut writer = pickle::Writer::new(File::create(path).unwrap()).unwrap();
    for sample in 0..count {
        let numbers = (0..channels * SIDE * SIDE).map(|i| {
            let (channel, row) = (i / (SIDE * SIDE), i / SIDE % SIDE);
            match channel {
                4 => [0, 1, 2, 3, 255][row / 8],
                _ => (sample * 100 + channel * 50 + row * 7 + i % SIDE) as u16,
            }
        });
        let bytes: Vec<u8> = numbers.flat_map(u16::to_le_bytes).collect();
        writer
            .push(DType::U16, [channels, SIDE, SIDE], &bytes)
            .unwrap();
    }
    writer.finish().unwrap();
}

fn nephos(folder: &tempfile::TempDir, arguments: &str) -> assert_cmd::assert::Assert {
    Command::cargo_bin("nephos")
        .unwrap()
        .current_dir(folder.path())
        .args(arguments.split_whitespace())
        .assert()
}

#[test]
fn evaluate_prints_and_writes_the_same_scores() {
    let folder = folder();
    nephos(&folder, "evaluate s.pkl --model m.nephos --out scores")
        .success()
        .stdout(contains("majority-class baseline"))
        .stdout(contains("3 samples"));
    let json = nephos(&folder, "evaluate s.pkl --model m.nephos --json").success();
    let json: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    let written = std::fs::read(folder.path().join("scores/scores.json")).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(json, written);
    // Rows 32 to 39 of each sample are not labelled.
    assert_eq!(json["scores"]["pixels"], 3 * 32 * SIDE);
    assert_eq!(json["scores"]["constant_miou"], 0.25 / 4.0);
    assert_eq!(json["samples"].as_array().unwrap().len(), 3);
    assert!(json["loss"].as_f64().unwrap() > 0.0);
    for name in ["scores.md", "confusion.png", "confusion_normalised.png"] {
        assert!(folder.path().join("scores").join(name).is_file(), "{name}");
    }
}

#[test]
fn predict_writes_one_mask_per_sample() {
    let folder = folder();
    for format in ["tif", "png", "npy"] {
        let arguments =
            format!("predict s.pkl one.pkl --model m.nephos --out-dir {format} --format {format}");
        nephos(&folder, &arguments)
            .success()
            .stdout(contains("valid pixels"));
        let read = |name: &str| {
            mask::read(&folder.path().join(format).join(format!("{name}.{format}"))).unwrap()
        };
        for name in ["s_0", "s_1", "s_2", "one"] {
            assert_eq!(read(name).dim(), (SIDE, SIDE));
        }
    }
    nephos(
        &folder,
        "predict s.pkl --sample 2 --model m.nephos --out two.tif --with probabilities",
    )
    .success();
    let path = |name: &str| folder.path().join(name);
    assert_eq!(
        mask::read(&path("two.tif")).unwrap(),
        mask::read(&path("npy/s_2.npy")).unwrap()
    );
    assert!(path("two_probabilities.tif").is_file());
}

#[test]
fn overlay_draws_the_available_columns() {
    let folder = folder();
    let width = |name: &str| {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        u32::from_be_bytes(bytes[16..20].try_into().unwrap())
    };
    nephos(
        &folder,
        "overlay s.pkl --model m.nephos --samples 0,2 -o three.png",
    )
    .success();
    nephos(
        &folder,
        "overlay one.pkl --model m.nephos --rgb nir,red,green -o two.png",
    )
    .success();
    nephos(&folder, "predict s.pkl --model m.nephos --out-dir masks").success();
    let read = r#"--set data.channels=["blue","green","red"] --set data.label_channel=4"#;
    let masks = format!("overlay s.pkl --prediction masks {read} -o masks.png");
    nephos(&folder, &masks).success();
    assert_eq!(width("masks.png"), width("three.png"));
    assert!(width("two.png") < width("three.png"));
}

#[test]
fn errors_name_what_was_expected() {
    let folder = folder();
    let fails = |arguments: &str, expected: &str| {
        nephos(&folder, arguments)
            .failure()
            .stderr(contains(expected));
    };
    fails("predict s.pkl --model m.nephos --out a.tif", "--out-dir");
    fails(
        "predict one.pkl --model m.nephos --out a.jpg",
        ".tif, .png or .npy",
    );
    fails(
        "predict one.pkl --model m.nephos --out a.tif --sample 9",
        "no sample `9`",
    );
    fails("predict one.pkl --model s.pkl --out a.tif", "s.pkl");
    fails("evaluate one.pkl --model m.nephos", "has no label");
    fails(
        "evaluate s.pkl --model m.nephos --set model.classes=3",
        "only keys of data",
    );
    fails(
        r#"evaluate s.pkl --model m.nephos --set data.bands=["red","green","swir16"]"#,
        "no band `swir16`",
    );
    fails("overlay s.pkl --rgb red,green -o a.png", "three bands");
    fails("overlay s.pkl --levels 3,1 -o a.png", "--levels");
    fails(
        "overlay s.pkl --prediction one.tif -o a.png",
        "folder of masks",
    );
    assert!(!folder.path().join("a.png").exists() && !folder.path().join("a.tif").exists());
}
