//! `nephos info` on each kind of file.

use std::path::Path;

use assert_cmd::Command;
use nephos::raster::DType;
use nephos::samples::pickle::Writer;
use serde_json::{Value, json};

fn info(path: &Path, options: &[&str]) -> (bool, String, String) {
    let output = Command::cargo_bin("nephos")
        .unwrap()
        .arg("info")
        .arg(path)
        .args(options)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn json(path: &Path) -> Value {
    let (success, out, err) = info(path, &["--json"]);
    assert!(success, "{err}");
    serde_json::from_str(&out).unwrap()
}

/// Seventy samples of 15 channels, 2 × 3; channel c holds c, the label 0 or 2.
fn write_pickle(path: &Path) {
    let mut writer = Writer::new(std::fs::File::create(path).unwrap()).unwrap();
    for sample in 0..70u16 {
        let numbers = (0..15u16).flat_map(|channel| match channel {
            13 => [0, 0, 0, 2, 2, 2 * (sample % 2)],
            _ => [channel; 6],
        });
        let bytes: Vec<u8> = numbers.flat_map(u16::to_le_bytes).collect();
        writer.push(DType::U16, [15, 2, 3], &bytes).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_pickle_is_described() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("train.pkl");
    write_pickle(&path);
    let report = json(&path);
    assert_eq!(report["samples"], 70);
    let shapes = json!([{"shape": [15, 2, 3], "dtype": "uint16", "samples": 70}]);
    assert_eq!(report["shapes"], shapes);
    assert_eq!(report["first"]["channels"][12]["mean"], 12.0);
    assert_eq!(report["labels"]["samples"], 64);
    assert_eq!(
        report["labels"]["pixels"],
        json!({"0": 64 * 3 + 32, "2": 64 * 2 + 32})
    );

    let (success, text, _) = info(&path, &[]);
    assert!(success);
    for line in [
        "Python pickle of NumPy arrays, 70 samples",
        "[15, 2, 3] uint16: 70 samples",
        "labels in channel 13, first 64 of 70 samples",
        "2  thin cloud    41.67 %",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
}

#[test]
fn weights_are_described() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("w.pth");
    let tensors = [("a.weight".to_owned(), vec![2, 3], vec![0.5; 6])];
    nephos::weights::torch::write(&path, &tensors).unwrap();
    let report = json(&path);
    assert_eq!(report["parameters"], 6);
    let tensor = json!({"name": "a.weight", "dtype": "F32", "shape": [2, 3]});
    assert_eq!(report["tensors"], json!([tensor]));
}

#[test]
fn a_bundles_configuration_is_printed() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("m.nephos");
    let header = json!({
        "__metadata__": {
            "format": "nephos", "nephos_version": "0.1.0",
            "config": "name = \"small\"\n", "summary": "{\"epochs\":3,\"val_miou\":null}",
        },
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    })
    .to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 8]);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(json(&path)["bundle"]["summary"]["epochs"], 3);
    let (success, text, _) = info(&path, &[]);
    assert!(success);
    for part in [
        "nephos bundle, 1 tensor, 2 parameters",
        "epochs: 3",
        "name = \"small\"",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    for len in [4, 20, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let (success, _, error) = info(&path, &[]);
        assert!(!success && error.contains("m.nephos"), "{error}");
    }
}

#[test]
fn unknown_formats_are_errors_that_name_the_file() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("notes.txt");
    // No text, which is named as such.
    std::fs::write(&path, b"\x01\xfe\x02 neither").unwrap();
    let (success, _, error) = info(&path, &[]);
    assert!(!success);
    use nephos::scene::formats::{RESULTS, SAMPLES, SCENES, WEIGHTS};
    for words in ["notes.txt", RESULTS, SAMPLES, SCENES, WEIGHTS] {
        assert!(error.contains(words), "{error}");
    }
    // Other commands give the same error.
    let predict = |path: &Path| {
        let mut command = Command::cargo_bin("nephos").unwrap();
        let output = command.arg("predict").arg(path).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(predict(&path).contains(SCENES), "{}", predict(&path));
    let help = Command::cargo_bin("nephos")
        .unwrap()
        .args(["info", "--help"])
        .output()
        .unwrap();
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = flat(&String::from_utf8(help.stdout).unwrap());
    for words in [RESULTS, SAMPLES, SCENES, WEIGHTS] {
        assert!(help.contains(&flat(words)), "{help}");
    }
    // And so does the README, where it has the list.
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"));
    let readme = flat(&readme.unwrap());
    if readme.contains("What nephos reads") {
        for words in [SAMPLES, SCENES, WEIGHTS] {
            assert!(readme.contains(&flat(words)), "README.md lacks: {words}");
        }
    }
}

#[test]
fn a_configuration_is_described() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("small.toml");
    let built_in = nephos::config::Config::preset("small", &[]).unwrap();
    std::fs::write(&path, built_in.to_toml().unwrap()).unwrap();
    let report = json(&path);
    assert_eq!(report["built_in"], "small");
    assert_eq!(report["bands"], json!(built_in.data.bands));
    assert!(report["parameters"].as_u64().unwrap() > 1_000_000);
    std::fs::write(&path, "name = 'mine'\n[data]\nbands = ['red', 'nir']\n").unwrap();
    let (success, text, _) = info(&path, &[]);
    assert!(success);
    for line in [
        "configuration of nephos, valid",
        "Name:        mine",
        "Bands:       red, nir",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    for wrong in [
        "[data]\nbandz = 1\n",
        "[package]\nname = 'x'\n",
        "[model]\nclasses = 0\n",
        "a =",
    ] {
        std::fs::write(&path, wrong).unwrap();
        let (success, _, error) = info(&path, &[]);
        assert!(!success && error.contains("small.toml"), "{error}");
        assert!(error.contains("configuration of nephos"), "{error}");
    }
}

#[test]
fn tables_are_described() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("t.csv");
    std::fs::write(
        &path,
        "split,index,roi_id,lat\ntrain,0,a,1.5\ntrain,1,\u{1b}[2Jb,-2\nval,0,,3\n",
    )
    .unwrap();
    let report = json(&path);
    assert_eq!(report["rows"], 3);
    assert_eq!(report["columns"][3]["range"], json!([-2.0, 3.0]));
    assert_eq!(report["columns"][2]["filled"], 2);
    let (success, text, _) = info(&path, &[]);
    assert!(success && !text.contains('\u{1b}'), "{text}");
    assert!(
        text.contains("metadata of samples") && text.contains("3 rows, 4 columns"),
        "{text}"
    );
    assert!(
        text.contains("train, val") && text.contains("-2 to 3"),
        "{text}"
    );
    std::fs::write(&path, "epoch,train_loss\n1,0.5\n").unwrap();
    let (_, text, _) = info(&path, &[]);
    assert!(
        text.contains("history of a training: 1 row, 2 columns"),
        "{text}"
    );
    for wrong in ["a,b\n1\n", ""] {
        std::fs::write(&path, wrong).unwrap();
        let (success, _, error) = info(&path, &[]);
        assert!(!success && error.contains("t.csv"), "{error}");
    }
}
