//! Containers of CloudSEN12+ in all their formats, and containers that are broken.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use nephos::Error;
use nephos::config::Config;
use nephos::data::open_training;
use nephos::data::split::{SplitOptions, split};
use nephos::raster::DType;
use nephos::samples::{self, SampleSource, TacoSource};
use nephos::scene::{self, Kind};
use proptest::prelude::*;
use serde_json::Value;

const FILES: [&str; 4] = ["v1.tortilla", "v1.taco", "v2.tacozip", "old.mlstac"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/parity/taco")
        .join(name)
}

fn expected() -> Vec<Value> {
    let text = std::fs::read_to_string(file("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Numbers of nested lists, one after the other.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn image(source: &dyn SampleSource, index: usize) -> Vec<f64> {
    let read: Array3<f32> = source.read(index, &[0, 1, 2]).unwrap();
    read.iter().map(|v| f64::from(*v)).collect()
}

#[test]
fn every_format_is_read_as_by_its_own_library() {
    for name in FILES {
        assert_eq!(scene::detect(&file(name)).unwrap(), Kind::Taco, "{name}");
        let source = samples::open(&file(name)).unwrap();
        let source = source.as_ref();
        let is_old = name == "old.mlstac";
        let expected = expected();
        assert_eq!(source.len(), expected.len());
        let table = source.metadata().unwrap();
        assert_eq!(table.len(), source.len());
        assert!(
            table
                .columns()
                .iter()
                .all(|column| !column.starts_with("__index"))
        );
        for (index, sample) in expected.iter().enumerate() {
            let what = format!("{name}, sample {index}");
            assert_eq!(
                source.name(index),
                sample["name"].as_str().unwrap(),
                "{what}"
            );
            assert_eq!(
                source.shape(index).unwrap(),
                [3 + usize::from(is_old), 8, 8]
            );
            assert_eq!(source.dtype(index).unwrap(), DType::U16);
            assert_eq!(image(source, index), numbers(&sample["image"]), "{what}");
            let label = match source.read_label(index).unwrap() {
                Some(label) => label.iter().map(|v| *v as f64).collect::<Vec<_>>(),
                // The old format has the label beside the bands.
                None => {
                    let plane = source.read(index, &[3]).unwrap();
                    plane.iter().map(|v| f64::from(*v)).collect()
                }
            };
            assert_eq!(label, numbers(&sample["label"]), "{what}");
            let (dtype, shape, raw) = source.read_raw(index).unwrap();
            assert_eq!(raw.len(), shape.iter().product::<usize>() * dtype.size());
            let id = table.position("id").unwrap();
            assert_eq!(table.value(index, id), source.name(index));
            if is_old {
                continue;
            }
            for (key, value) in sample["metadata"].as_object().unwrap() {
                let have = table.value(index, table.position(key).unwrap());
                match value.as_str() {
                    Some(text) => assert_eq!(have, text, "{what}: {key}"),
                    None => assert_eq!(have.parse::<f64>().ok(), value.as_f64(), "{what}: {key}"),
                }
            }
        }
        assert!(source.read(expected.len(), &[0]).is_err());
        assert!(source.read(0, &[9]).is_err());
    }
}

#[test]
fn nested_metadata_are_text() {
    let source = samples::open(&file("v1.taco")).unwrap();
    let table = source.metadata().unwrap();
    let value = |name: &str| table.value(0, table.position(name).unwrap());
    assert_eq!(value("stac:raster_shape"), "[8, 8]");
    assert_eq!(value("geotransform"), "[500000, 10, 0, 5000000, 0, -10]");
    assert_eq!(value("file_format"), "TORTILLA");
    assert_eq!(value("time_end"), "");
}

#[test]
fn a_container_is_split_by_its_own_metadata() {
    let options = SplitOptions {
        counts: [2, 0, 0],
        seed: 1,
        label_channel: 3,
        filters: vec!["real_proj_shape=509".parse().unwrap()],
        group_by: None,
    };
    for name in ["v1.tortilla", "v1.taco", "v2.tacozip"] {
        let out = tempfile::tempdir().unwrap();
        let chosen = split(&file(name), None, out.path(), &options, |_, _, _| {}).unwrap();
        let indices: Vec<usize> = chosen.parts[0].iter().map(|sample| sample.index).collect();
        assert_eq!(indices, [1, 3], "{name}");
        assert_eq!(chosen.available, 2);
        let groups: Vec<_> = chosen.parts[0].iter().map(|s| s.group.as_deref()).collect();
        assert_eq!(groups, [Some("ROI_00000"), Some("ROI_00001")]);
        let record = std::fs::read_to_string(out.path().join("split.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(record["where"], serde_json::json!(["real_proj_shape=509"]));
        let written = samples::open(&out.path().join("train_split.pkl")).unwrap();
        let expected = expected();
        for (position, index) in indices.into_iter().enumerate() {
            assert_eq!(
                image(written.as_ref(), position),
                numbers(&expected[index]["image"])
            );
            let label = written.read(position, &[3]).unwrap();
            let label: Vec<f64> = label.iter().map(|v| f64::from(*v)).collect();
            assert_eq!(label, numbers(&expected[index]["label"]));
        }
        let none = SplitOptions {
            filters: vec!["nothing=1".parse().unwrap()],
            ..options.clone()
        };
        let error = split(&file(name), None, out.path(), &none, |_, _, _| {}).unwrap_err();
        assert!(error.to_string().contains("no column `nothing`"), "{error}");
    }
}

#[test]
fn training_reads_a_container_through_its_filter() {
    let config = |name: &str, more: &[&str]| {
        let mut settings = vec![
            format!("data.train={:?}", file(name)),
            "data.channels=[\"red\",\"green\",\"blue\"]".to_owned(),
            "data.label_channel=3".to_owned(),
        ];
        settings.extend(more.iter().map(|text| (*text).to_owned()));
        Config::parse("", "test", &settings)
    };
    let expected = expected();
    for name in FILES {
        let (train, val) = open_training(&config(name, &[]).unwrap()).unwrap();
        assert_eq!((train.len(), val.is_none()), (5, true));
        let example = train.get(4).unwrap();
        let label: Vec<f64> = example.label.iter().map(|v| f64::from(*v)).collect();
        assert_eq!(label, numbers(&expected[4]["label"]));
    }
    let filter = "data.filter=[\"label_type!=nolabel\", \"cloud_share>0.1\"]";
    let (train, val) = open_training(&config("v1.taco", &[filter]).unwrap()).unwrap();
    assert_eq!(train.len(), 3);
    assert!(val.is_none());
    assert_eq!(train.name(0), expected[1]["name"].as_str().unwrap());
    assert!(config("v1.taco", &["data.filter=[\"nonsense\"]"]).is_err());
    let nowhere = config("v1.taco", &["data.filter=[\"nowhere=1\"]"]).unwrap();
    assert!(open_training(&nowhere).is_err());
}

#[test]
fn errors_of_broken_containers_name_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.taco");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        TacoSource::open(&path).err().map(|error| error.to_string())
    };
    let whole = std::fs::read(file("v1.taco")).unwrap();
    assert_eq!(open(&whole), None);
    // A footer with a wrong position.
    for (place, number) in [
        (2, u64::MAX),
        (10, u64::MAX),
        (2, 0),
        (10, 1 << 40),
        (10, 0),
    ] {
        let mut bytes = whole.clone();
        bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
        let message = open(&bytes).unwrap();
        assert!(
            message.contains("at byte 2") && message.contains("footer"),
            "{message}"
        );
    }
    let mlstac = std::fs::read(file("old.mlstac")).unwrap();
    for number in [u64::MAX, 1 << 40, 3, 0] {
        let mut bytes = mlstac.clone();
        bytes[2..10].copy_from_slice(&number.to_le_bytes());
        assert!(open(&bytes).is_some(), "{number}");
    }
    let text = b"{\"a\": [0, 18446744073709551615]}";
    let mut bytes = b"#y".to_vec();
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text);
    let message = open(&bytes).unwrap();
    assert!(message.contains("`a` is not within the file"), "{message}");
    for bytes in [&b"#y"[..], b"WX", b"PK\x03\x04", b"", b"nothing"] {
        assert!(open(bytes).is_some());
    }
}

/// Opens and reads all there is; the results must be consistent.
fn read_all(path: &Path) -> Result<(), Error> {
    let source = TacoSource::open(path)?;
    for index in 0..source.len() {
        let read = || {
            let [channels, h, w] = source.shape(index)?;
            let all: Vec<usize> = (0..channels).collect();
            let image = source.read(index, &all)?;
            assert_eq!(image.dim(), (channels, h, w));
            if let Some(label) = source.read_label(index)? {
                assert_eq!(label.dim(), (h, w));
            }
            Ok::<(), Error>(())
        };
        let _ = read();
    }
    Ok(())
}

#[test]
fn a_container_that_is_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for name in FILES {
        let whole = std::fs::read(file(name)).unwrap();
        // The collection at the end of a .taco is not needed.
        let needed = match name {
            "v1.taco" => std::fs::read(file("v1.tortilla")).unwrap().len(),
            _ => whole.len(),
        };
        for length in (0..needed).step_by(97).chain(needed - 20..needed) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read_all(&path).is_err(), "{name} cut to {length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever bits flip, a container is read or refused.
    #[test]
    fn flipped_bits_never_panic(
        name in prop::sample::select(FILES.to_vec()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..12),
        in_table in any::<bool>(),
    ) {
        let mut bytes = std::fs::read(file(name)).unwrap();
        // Half of the time where the tables are, at the end.
        let first = if in_table { bytes.len() * 3 / 4 } else { 0 };
        for (index, bit) in flips {
            let place = first + index.index(bytes.len() - first);
            bytes[place] ^= 1 << bit;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, &bytes).unwrap();
        let _ = read_all(&path);
    }
}
