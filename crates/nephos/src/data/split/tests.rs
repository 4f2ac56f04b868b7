//! Choosing from a container in memory.

use ndarray::Array3;

use super::*;
use crate::raster::DType;

/// Samples of one channel, 2 × 2, that are their own labels.
struct Labels(Vec<[f32; 4]>);

impl SampleSource for Labels {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        format!("s{index}")
    }

    fn shape(&self, _: usize) -> Result<[usize; 3]> {
        Ok([1, 2, 2])
    }

    fn dtype(&self, _: usize) -> Result<DType> {
        Ok(DType::U8)
    }

    fn read(&self, index: usize, _: &[usize]) -> Result<Array3<f32>> {
        Ok(Array3::from_shape_fn((1, 2, 2), |(_, row, col)| {
            self.0[index][row * 2 + col]
        }))
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        Ok((
            DType::U8,
            [1, 2, 2],
            self.0[index].map(|v| v as u8).to_vec(),
        ))
    }
}

fn options(counts: [usize; 3]) -> SplitOptions {
    SplitOptions {
        counts,
        seed: 3,
        label_channel: 0,
        filters: vec![],
        group_by: None,
    }
}

/// 24 samples: every third has two classes, each four in a row are one region.
fn samples() -> Labels {
    Labels(
        (0..24)
            .map(|k| [0.0, 0.0, 255.0, (k % 3 == 0) as u8 as f32])
            .collect(),
    )
}

fn table(extension: &str, text: &str) -> Result<Metadata> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("m.{extension}"));
    std::fs::write(&path, text).unwrap();
    Metadata::read(&path)
}

fn regions() -> Metadata {
    let rows: String = (0..24)
        .map(|k| format!("{k},r{},{}\n", k / 4, 509 - k % 2))
        .collect();
    table("csv", &format!("index,roi_id,proj_shape\n{rows}")).unwrap()
}

fn run(metadata: Option<&Metadata>, options: &SplitOptions) -> Result<Split> {
    choose(&samples(), Path::new("x.pkl"), metadata, options, |_, _| {})
}

#[test]
fn splits_have_equal_shares_of_distinct_classes() {
    let split = run(None, &options([12, 6, 3])).unwrap();
    for (part, (count, two)) in split.parts.iter().zip([(12, 4), (6, 2), (3, 1)]) {
        assert_eq!(part.len(), count);
        assert_eq!(part.iter().filter(|s| s.distinct() == 2).count(), two);
    }
    assert_eq!(split, run(None, &options([12, 6, 3])).unwrap());
    let other = SplitOptions {
        seed: 4,
        ..options([12, 6, 3])
    };
    assert_ne!(split, run(None, &other).unwrap());
}

#[test]
fn regions_in_two_splits_are_named_or_kept_together() {
    let regions = regions();
    let split = run(Some(&regions), &options([12, 6, 3])).unwrap();
    assert!(!split.shared_groups.is_empty());
    let by_region = SplitOptions {
        group_by: Some("roi_id".to_owned()),
        ..options([12, 6, 3])
    };
    let split = run(Some(&regions), &by_region).unwrap();
    assert!(split.shared_groups.is_empty());
    assert_eq!(split.parts.each_ref().map(Vec::len), [12, 6, 3]);
    let too_many = SplitOptions {
        counts: [21, 1, 1],
        ..by_region
    };
    let message = run(Some(&regions), &too_many).unwrap_err().to_string();
    assert!(
        message.contains("at most train 16 beside val 1 and test 1"),
        "{message}"
    );
}

#[test]
fn filters_choose_rows() {
    let filtered = |value: &str| SplitOptions {
        filters: vec![format!("proj_shape={value}").parse().unwrap()],
        ..options([12, 0, 0])
    };
    let split = run(Some(&regions()), &filtered("509.0")).unwrap();
    assert!(split.parts[0].iter().all(|sample| sample.index % 2 == 0));
    let message = run(Some(&regions()), &filtered("1"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("has 0 that fit the filters"), "{message}");
    assert!(run(None, &filtered("509")).is_err());
}

#[test]
fn metadata_are_matched_by_name_index_or_order() {
    let source = Labels(vec![[0.0; 4]; 3]);
    let pairs = |extension: &str, text: &str| {
        let table = table(extension, text)?;
        table.samples(&source, &table.matching(&[])?)
    };
    assert_eq!(
        pairs("csv", "id,a\ns2,x\ns0,y\n").unwrap(),
        [(0, 1), (2, 0)]
    );
    assert_eq!(
        pairs("csv", "id,index\nROI_1,2\nROI_2,1\n").unwrap(),
        [(1, 1), (2, 0)]
    );
    assert_eq!(
        pairs("csv", "id\nq\nr\ns\n").unwrap(),
        [(0, 0), (1, 1), (2, 2)]
    );
    assert_eq!(
        pairs("json", r#"[{"index": 1, "x": null}, {"index": 0}]"#).unwrap(),
        [(0, 1), (1, 0)]
    );
    for (extension, text, complaint) in [
        ("csv", "a\n1\n2\n", "2 rows for 3 samples"),
        ("csv", "index\n0\n3\n", "row 2: index `3`"),
        (
            "csv",
            "index\n0\n0\n",
            "rows 1 and 2 are about the same sample",
        ),
        ("csv", "a,b\n1\n", "CSV error"),
        ("csv", "a,a\n1,2\n", "same name"),
        ("json", "{}", "expected a list"),
        ("json", "[1]", "row 1: expected an object"),
        (
            "json",
            "[{\"a\":1},{\"b\":1}]",
            "row 2: the first row has no `b`",
        ),
        ("json", "[", "EOF"),
    ] {
        let message = pairs(extension, text).unwrap_err().to_string();
        assert!(message.contains(complaint), "{message}");
    }
}

#[test]
fn labels_that_are_none_are_errors() {
    let stray = |value: f32, channel: usize| {
        let source = Labels(vec![[0.0, 1.0, 99.0, value]]);
        let options = SplitOptions {
            label_channel: channel,
            ..options([1, 0, 0])
        };
        choose(&source, Path::new("x.pkl"), None, &options, |_, _| {})
    };
    assert_eq!(stray(3.0, 0).unwrap().parts[0][0].pixels, [1, 1, 0, 1]);
    for (value, channel, complaint) in [
        (7.0, 0, "x.pkl: sample s0: label 7 is no class"),
        (0.5, 0, "label 0.5"),
        (f32::NAN, 0, "label NaN"),
        (-1.0, 0, "label -1"),
        (0.0, 13, "no label in channel 13"),
    ] {
        let message = stray(value, channel).unwrap_err().to_string();
        assert!(message.contains(complaint), "{message}");
    }
}
