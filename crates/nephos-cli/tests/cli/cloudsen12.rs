//! The commands of `docs/cloudsen12.md`, on made-up containers of the data set's layout.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn part(number: usize) -> PathBuf {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../nephos/tests/parity/cloudsen12"
    );
    Path::new(folder).join(format!("small-l1c.000{number}.part.taco"))
}

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/cloudsen12.toml");

/// Of the data set what has dense labels and patches of 509 pixels.
const DENSE: [&str; 4] = [
    "--where",
    "label_type=high",
    "--where",
    "real_proj_shape=509",
];

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nephos"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Splits both parts by their own metadata.
fn split(folder: &Path, more: &[&str]) -> Output {
    let parts = [part(0), part(1)].map(|path| path.to_str().unwrap().to_owned());
    let fixed = [
        "split",
        &parts[0],
        &parts[1],
        "--by",
        "data_split",
        "--out",
        "cloudsen12",
    ];
    run(folder, &[&fixed[..], more].concat())
}

#[test]
fn the_official_splits_train_and_score_a_model_of_any_bands() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let output = split(folder, &DENSE);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{said}"
    );
    for line in [
        "train_split.json: 4 samples",
        "val_split.json: 2 samples",
        "test_split.json: 2 samples",
        "regions (roi_id): 6 of 8 samples, 0 in two splits",
        "neighbours: 0 pairs",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let test = "cloudsen12/test_split.json";
    let listed = succeed(folder, &["info", test, "--list"]);
    assert_eq!(listed, "ROI_0004__20200107\nROI_0005__20200108\n");

    // The unchanged network, on samples of 32 pixels.
    let settings = [
        "train.epochs=1",
        "train.batch_size=2",
        "data.augment.crop=32",
    ];
    let mut train = vec!["train", "--config", CONFIG, "--out", "run"];
    train.extend(settings.iter().flat_map(|set| ["--set", set]));
    succeed(folder, &train);
    let model = "run/best.nephos";
    let evaluate = |more: &[&str]| -> serde_json::Value {
        let words = [&["evaluate", test, "--model", model, "--json"][..], more].concat();
        serde_json::from_str(&succeed(folder, &words)).unwrap()
    };
    let scores = evaluate(&[]);
    assert_eq!(scores["samples"].as_array().unwrap().len(), 2);
    // The margin of zeros is ignored.
    let pixels: u64 = (scores["confusion"].as_array().unwrap().iter())
        .flat_map(|row| row.as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(pixels, 2 * 30 * 30);
    assert!(scores["loss"].as_f64().unwrap().is_finite());

    // The same model where red, green and blue are all there is.
    let optional = [
        "coastal",
        "rededge071",
        "rededge075",
        "rededge078",
        "nir",
        "nir08",
        "nir09",
        "cirrus",
        "swir16",
        "swir22",
    ];
    let withhold = format!("data.withhold={optional:?}");
    let poorer = evaluate(&["--set", &withhold]);
    assert!(poorer["loss"].as_f64().unwrap().is_finite());
    assert_ne!(poorer["loss"], scores["loss"]);
}

#[test]
fn a_region_or_its_neighbourhood_in_two_splits_is_found() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    succeed_split(&split(folder, &DENSE));
    let lists = ["train", "val", "test"].map(|name| format!("cloudsen12/{name}_split.json"));
    let check = ["split", "--check", &lists[0], &lists[1], &lists[2]];
    assert!(succeed(folder, &check).contains("0 in two splits"));

    // All samples: strokes in a region of test, and a large patch beside another.
    let output = split(folder, &["--overwrite"]);
    succeed_split(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("spatial leakage between splits"));
    let output = run(folder, &check);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for text in [
        "regions (roi_id): 7 of 10 samples, 1 in two splits",
        "ROI_0004: cloudsen12/test_split.json, cloudsen12/train_split.json",
        "neighbours: 1 pair of other regions within 10 km",
        "ROI_0005__20200108 (cloudsen12/test_split.json), ROI_0006__20200109",
        "7.0 km",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    // Regions alone, and closer neighbours alone.
    let nearer = [
        &check[..],
        &["--distance", "5", "--where", "label_type=high"],
    ]
    .concat();
    assert!(succeed(folder, &nearer).contains("neighbours: 0 pairs"));
    let by_split = [&check[..], &["--group-by", "label_type"]].concat();
    assert!(!run(folder, &by_split).status.success());
}

#[test]
fn errors_of_splits_and_checks_name_the_cause() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let fails = |arguments: &[&str], expected: &str| {
        let output = run(folder, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(expected),
            "{said}"
        );
    };
    let first = part(0);
    let first = first.to_str().unwrap();
    fails(&["split", "--check", first], "two splits or more");
    let by = |column: &'static str| ["split", first, "--by", column, "--out", "x"];
    fails(&by("nowhere"), "no column `nowhere`");
    fails(
        &by("label_type"),
        "`high` in column `label_type` is no split",
    );
    let twice = ["split", first, first, "--by", "data_split", "--out", "x"];
    fails(&twice, "two samples called `ROI_0000__20200100`");
    let none = [&by("data_split")[..], &["--where", "label_type=gold"]].concat();
    fails(&none, "no sample fits");
    assert!(!folder.join("x").exists());
    let random = [
        "split", first, first, "--train", "1", "--val", "1", "--test", "1",
    ];
    fails(
        &[&random[..], &["--out", "x"]].concat(),
        "one container at a time",
    );
}

fn succeed_split(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
