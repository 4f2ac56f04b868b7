//! Simulated splits as files: the notebook's layout, read by real NumPy, and split again.

use std::path::{Path, PathBuf};

use nephos::config::DataConfig;
use nephos::data::Dataset;
use nephos::data::simulate::{Simulator, SplitPlan, write_splits};
use nephos::data::split::{SplitOptions, split};
use nephos::raster::DType;
use nephos::samples;

use super::outside;

fn simulate(folder: &Path, threads: usize) {
    let plan = SplitPlan {
        counts: [9, 2, 3],
        size: 48,
        seed: 7,
    };
    let simulator = Simulator {
        pixel: 40.0,
        images_per_roi: 3,
        ..Simulator::default()
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let mut done = 0;
    pool.install(|| write_splits(&simulator, folder, &plan, |_| done += 1))
        .unwrap();
    assert_eq!(done, 14);
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().into(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn equal_arguments_give_equal_files_whatever_the_threads() {
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    simulate(one.path(), 1);
    simulate(three.path(), 3);
    let names: Vec<_> = files(one.path())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "metadata.csv",
        "test_split.pkl",
        "train_split.pkl",
        "val_split.pkl",
    ];
    assert_eq!(names, expected.map(PathBuf::from));
    assert!(files(one.path()) == files(three.path()), "files differ");
}

#[test]
fn a_simulated_split_is_a_data_set() {
    let folder = tempfile::tempdir().unwrap();
    simulate(folder.path(), 2);
    let data = Dataset::open(
        &folder.path().join("train_split.pkl"),
        &DataConfig::default(),
    )
    .unwrap();
    assert_eq!(data.len(), 9);
    let example = data.get(8).unwrap();
    assert_eq!(example.image.dim(), (3, 48, 48));
    assert!(example.valid.iter().all(|valid| *valid));
    assert!(example.label.iter().all(|class| *class < 4));
}

#[test]
fn real_numpy_sees_the_notebooks_layout() {
    let Some(mut python) = outside::python("numpy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    simulate(folder.path(), 2);
    let script = "import pickle, sys, numpy\n\
        data = pickle.load(open(sys.argv[1], 'rb'))\n\
        assert type(data) is list and len(data) == 9\n\
        for a in data:\n    \
        assert a.dtype == numpy.uint16 and a.shape == (15, 48, 48)\n    \
        assert set(numpy.unique(a[13])) <= {0, 1, 2, 3} and not a[14].any()\n    \
        rgb = a[[3, 2, 1]] / 5000.\n    \
        assert 0 < rgb.mean() < 3\n";
    let path = folder.path().join("train_split.pkl");
    outside::output(python.args(["-W", "error", "-c", script]).arg(path));
}

#[test]
fn simulated_samples_are_split_by_region_and_copied_exactly() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    simulate(data.path(), 2);
    let samples = data.path().join("train_split.pkl");
    let metadata = data.path().join("metadata.csv");
    let options = SplitOptions {
        counts: [3, 2, 1],
        seed: 1,
        label_channel: 13,
        filters: vec!["split=train".parse().unwrap()],
        group_by: Some("roi_id".to_owned()),
    };
    let chosen = split(
        &samples,
        Some(&metadata),
        out.path(),
        &options,
        |_, _, _| {},
    )
    .unwrap();
    assert!(chosen.shared_groups.is_empty());
    let source = samples::open(&samples).unwrap();
    for (name, part) in ["train", "val", "test"].iter().zip(&chosen.parts) {
        let written = samples::open(&out.path().join(format!("{name}_split.pkl"))).unwrap();
        assert_eq!(written.len(), part.len());
        for (k, sample) in part.iter().enumerate() {
            assert_eq!(written.dtype(k).unwrap(), DType::U16);
            assert!(written.read_raw(k).unwrap() == source.read_raw(sample.index).unwrap());
        }
    }
    let record = std::fs::read_to_string(out.path().join("split.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["splits"]["val"]["count"], 2);
    assert_eq!(
        record["splits"]["val"]["samples"][0]["index"],
        chosen.parts[1][0].index
    );
    // In place of the samples themselves: no.
    let error = split(
        &samples,
        Some(&metadata),
        data.path(),
        &options,
        |_, _, _| {},
    );
    assert!(error.unwrap_err().to_string().contains("would replace"));
    assert_eq!(samples::open(&samples).unwrap().len(), 9);
}
