//! `nephos benchmark`: folds, a mixture of containers, and results that are kept.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Output};

use nephos::config::Config;
use nephos::raster::DType;
use nephos::samples::pickle::Writer;

use super::tiny::MODEL;

const DATA: &str = "
name = 'small'
[data]
bands = ['red', 'green', 'blue', 'nir']
optional_bands = ['nir']
channels = ['blue', 'green', 'red']
label_channel = 3
scale = 10000.0
mix = [{ train = 'other.pkl', share = 0.5 }]
[data.labels.annotated_in]
3 = ['0', '2']
";

const SIDE: usize = 16;

/// Samples of three bands and a label; the class follows from the red band.
fn write_samples(path: &Path, count: usize) {
    let file = BufWriter::new(File::create(path).unwrap());
    let mut writer = Writer::new(file).unwrap();
    for sample in 0..count {
        let mut values = Vec::new();
        for channel in 0..4 {
            for pixel in 0..SIDE * SIDE {
                let class = (pixel / (SIDE * 4) + sample) % 4;
                let value = match channel {
                    3 => class,
                    2 => 300 + 2000 * class,
                    _ => 500 + 10 * (pixel % 7) + 20 * sample,
                };
                values.extend_from_slice(&(value as u16).to_le_bytes());
            }
        }
        writer.push(DType::U16, [4, SIDE, SIDE], &values).unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
}

fn benchmark(folder: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nephos"))
        .current_dir(folder)
        .args(["benchmark", "samples.pkl", "--models", "small.toml"])
        .args(["--steps", "3", "--folds", "2"])
        .args(if more.contains(&"--out") {
            &[][..]
        } else {
            &["--out", "out"]
        })
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn results_are_kept_and_those_of_other_settings_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("small.toml"), format!("{DATA}{MODEL}")).unwrap();
    write_samples(&path.join("samples.pkl"), 4);
    write_samples(&path.join("other.pkl"), 3);
    let first = benchmark(path, &[]);
    let table = String::from_utf8_lossy(&first.stdout).into_owned();
    let message = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(first.status.success(), "{message}");
    assert!(
        table.contains("| small") && table.contains("mIoU"),
        "{table}"
    );
    for file in ["benchmark.md", "benchmark.json", "benchmark.png"] {
        assert!(path.join("out").join(file).is_file(), "{file}");
    }
    let result = |fold: usize| {
        let file = path.join(format!("out/small/fold-{fold}/result.json"));
        let text = std::fs::read_to_string(file).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let held = |fold| result(fold)["samples"].as_array().unwrap().len();
    assert_eq!((held(1), held(2)), (2, 2), "what is mixed in is in no fold");
    assert_eq!(result(1)["steps"], 3);

    let before = result(1);
    let again = benchmark(path, &[]);
    assert!(again.status.success());
    assert_eq!(String::from_utf8_lossy(&again.stdout), table);
    assert_eq!(result(1), before, "trained once");

    let calibrated = &before["calibrated"];
    assert_eq!(calibrated["others"], 1, "{calibrated}");
    assert!(calibrated["temperature"].as_f64().unwrap() > 0.0);
    let fewer = benchmark(path, &["--also-bands", "red, green,blue"]);
    let message = String::from_utf8_lossy(&fewer.stdout);
    assert!(message.contains("red, green, blue"), "{message}");
    let subset = &result(1)["subsets"][0]["confusion"];
    let pixels = |matrix: &serde_json::Value| -> u64 {
        let rows = matrix.as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap())
            .filter_map(|n| n.as_u64())
            .sum()
    };
    assert_eq!(
        pixels(subset),
        pixels(&before["confusion"]),
        "the same pixels"
    );
    assert_eq!(result(1)["loss"], before["loss"], "not trained again");
    let before = result(1);
    for bands in ["red,green", "red,green,blue,cirrus"] {
        let refused = benchmark(path, &["--also-bands", bands]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--also-bands"));
        assert!(!refused.status.success());
    }

    let init = ["--init", "out/small/fold-2/last.nephos", "--out", "from"];
    let started = benchmark(path, &init);
    assert!(
        started.status.success(),
        "{}",
        String::from_utf8_lossy(&started.stderr)
    );
    let from = std::fs::read(path.join("from/small/fold-1/last.nephos")).unwrap();
    assert!(from != std::fs::read(path.join("out/small/fold-1/last.nephos")).unwrap());
    let other = benchmark(path, &["--set", "data.mix=[]"]);
    let message = String::from_utf8_lossy(&other.stderr);
    assert!(!other.status.success());
    assert!(message.contains("another configuration"), "{message}");
    assert_eq!(result(1), before);
}

#[test]
fn folds_and_variants_start_from_weights_trained_on_the_mixture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("small.toml"), format!("{DATA}{MODEL}")).unwrap();
    write_samples(&path.join("samples.pkl"), 4);
    write_samples(&path.join("other.pkl"), 3);
    let asked = ["--mix-before", "2", "--first", "1"];
    let variant = ["--variant", "plain:model.graph.layers=0"];
    let more: Vec<&str> = asked.into_iter().chain(variant).collect();
    let first = benchmark(path, &more);
    let message = String::from_utf8_lossy(&first.stderr);
    assert!(first.status.success(), "{message}");
    let table = String::from_utf8_lossy(&first.stdout).into_owned();
    assert_eq!(table.matches("2 + 3").count(), 2, "{table}");
    let rate = |run: &str| {
        let config = path.join("out").join(run).join("config.toml");
        let config = Config::load(&config, &[]).unwrap();
        (config.train.optimizer.lr, config.model.graph.layers)
    };
    let ((before, layers), (fold, _)) = (rate("small/before"), rate("small/fold-1"));
    assert!((before / fold - 3.0).abs() < 1e-9, "{before} {fold}");
    assert!(layers > 0 && rate("plain/before").1 == 0 && rate("plain/fold-1").1 == 0);

    let weights = path.join("out/small/before/last.nephos");
    let made = weights.metadata().unwrap().modified().unwrap();
    let again = benchmark(path, &more);
    assert_eq!(String::from_utf8_lossy(&again.stdout), table);
    assert_eq!(
        weights.metadata().unwrap().modified().unwrap(),
        made,
        "trained once"
    );

    let refused = |more: &[&str], expected: &str| {
        let output = benchmark(path, more);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains(expected),
            "{text}"
        );
    };
    refused(
        &["--mix-before", "4", "--first", "1"],
        "another configuration",
    );
    refused(
        &["--mix-before", "2", "--set", "data.mix=[]", "--out", "x"],
        "data.mix",
    );
    refused(&["--mix-before", "1.5"], "whole number");
    refused(&["--variant", "plain"], "NAME:KEY=VALUE");
    refused(&["--variant", "plain:data.scale=1"], "--set");
    refused(&["--variant", "small:seed=1"], "two models");
}
