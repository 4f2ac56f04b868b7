//! Containers of a mixture, each with labels, a teacher and a split of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nephos::config::Config;
use nephos::data::{DataSource, Dataset, Example, open_training};

use crate::raster_scenes::Tiff;

const BANDS: [(&str, usize, &str); 3] = [
    ("description", 0, "red"),
    ("description", 1, "green"),
    ("description", 2, "blue"),
];

/// Clear or shadow, and thick or thin.
const DARK: u8 = 128 + 1 + 8;
const CLOUD: u8 = 128 + 2 + 4;

/// `image/NAME.tif`, each pixel as bright, with `label/NAME.tif` where there is a label: 0,
/// and 1 in the first row.
fn write_sample(folder: &Path, name: &str, label: bool) {
    for part in ["image", "label"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    let file = format!("{name}.tif");
    (Tiff::u16(3, |band, row, col| {
        (2000 + 100 * band + 10 * row + col) as u16
    })
    .items(&BANDS))
    .write(&folder.join("image").join(&file));
    if label {
        Tiff::u8(1, |_, row, _| u8::from(row == 0)).write(&folder.join("label").join(&file));
    }
}

/// Every sample of an epoch, by name.
fn epoch(config: &Config) -> BTreeMap<String, Example> {
    let (train, _) = open_training(config).unwrap();
    let source = DataSource::new(&train, config).unwrap();
    let draws = source.epoch(0, &[]);
    (draws.into_iter().enumerate())
        .map(|(slot, draw)| source.get(draw, 0, slot).unwrap())
        .map(|example| (example.name.clone(), example))
        .collect()
}

fn labels(example: &Example) -> [u8; 2] {
    [example.label[[0, 0]], example.label[[1, 0]]]
}

fn parse(text: &str) -> Config {
    Config::parse(text, "t.toml", &[]).unwrap()
}

#[test]
fn labels_are_mapped_per_container_and_narrowed_by_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let [own, other] = ["own", "other"].map(|name| folder.path().join(name));
    write_sample(&own, "o", true);
    for name in ["a", "b", "c", "d"] {
        write_sample(&other, name, true);
    }
    let table = folder.path().join("tags.csv");
    fs::write(
        &table,
        "scene,thin,shadow\nc,1,0\nb,0,3.5\na,0,0\nz,1,0\nd,0,1\n",
    )
    .unwrap();
    let held = folder.path().join("held-out.txt");
    fs::write(&held, "# never trained on\nd   # the last\n\n").unwrap();
    let config = parse(&format!(
        "[data]\ntrain = '{}'\nscale = 10000.0\nsampling.epoch = 16\n\
         [[data.mix]]\ntrain = '{}'\nshare = 0.75\nwithout = '{}'\n\
         [data.mix.labels]\nmap = {{ 0 = ['clear', 'shadow'], 1 = ['thick', 'thin'] }}\ntable = '{}'\n\
         [[data.mix.labels.narrow]]\nwhere = ['shadow=0']\nmap = {{ 0 = 'clear' }}\n\
         [[data.mix.labels.narrow]]\nwhere = ['thin=1', 'shadow<1']\nmap = {{ 1 = 'thin' }}\n",
        own.display(),
        other.display(),
        held.display(),
        table.display()
    ));
    let samples = epoch(&config);
    let names: Vec<&str> = samples.keys().map(String::as_str).collect();
    assert_eq!(names, ["a", "b", "c", "o"], "d is held out");
    assert_eq!(labels(&samples["o"]), [1, 0]);
    assert_eq!(labels(&samples["a"]), [CLOUD, 0]);
    assert_eq!(labels(&samples["b"]), [CLOUD, DARK]);
    assert_eq!(labels(&samples["c"]), [2, 0]);
}

#[test]
fn a_teacher_decides_only_among_the_labels_possible_classes() {
    let folder = tempfile::tempdir().unwrap();
    let [own, other, said] = ["own", "other", "said"].map(|name| folder.path().join(name));
    write_sample(&own, "o", true);
    write_sample(&other, "labelled", true);
    write_sample(&other, "unlabelled", false);
    fs::create_dir(&said).unwrap();
    let names = [("description", 0, "cloud"), ("description", 1, "shadow")];
    // Row 0: cloud unknown, shadow; row 1: shadow; row 2: cloud; others: neither.
    let number = |band: usize, row: usize, _: usize| match (band, row) {
        (0, 0) => 255,
        (1, 0 | 1) | (0, 2) => 250,
        _ => 0,
    };
    for name in ["labelled", "unlabelled"] {
        (Tiff::u8(2, number).items(&names)).write(&said.join(format!("{name}.tif")));
    }
    let text = |labels: &str| {
        format!(
            "[data]\ntrain = '{}'\nscale = 10000.0\nsampling.epoch = 9\n\
             [[data.mix]]\ntrain = '{}'\nshare = 0.7\nteacher = '{}'\nlabels.map = {labels}\n",
            own.display(),
            other.display(),
            said.display()
        )
    };
    let column = |example: &Example| [0, 1, 2, 3].map(|row| example.label[[row, 0]]);
    let samples = epoch(&parse(&text("{ 0 = ['clear', 'shadow'] }")));
    assert_eq!(column(&samples["unlabelled"]), [3, 3, CLOUD, 0]);
    // Cloud where the label excludes it is a contradiction.
    assert_eq!(column(&samples["labelled"]), [1, 3, DARK, 0]);
    assert!(samples["o"].teacher.is_none());
    let sure = epoch(&parse(&text("{}")));
    assert_eq!(column(&sure["labelled"]), [1, 0, 0, 0], "people come first");

    // Validation samples have no teacher.
    let config = parse(&text("{}")).data;
    let dataset = Dataset::open(&other, &config).unwrap();
    assert!(dataset.get(0).unwrap().teacher.is_none());
}

#[test]
fn errors_of_parts_name_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    write_sample(&own, "o", true);
    write_sample(&own, "p", true);
    let list = folder.path().join("list.txt");
    fs::write(&list, "nobody\n").unwrap();
    let said = folder.path().join("said");
    fs::create_dir(&said).unwrap();
    Tiff::u8(1, |_, _, _| 0).write(&said.join("o.tif"));
    let table = folder.path().join("t.csv");
    fs::write(&table, "scene,x\no,1\np,0\n").unwrap();
    let fails = |key: &str, expected: &[&str]| {
        let config = parse(&format!(
            "[data]\ntrain = '{0}'\nscale = 10000.0\n[[data.mix]]\ntrain = '{0}'\nshare = 0.5\n{key}",
            own.display()
        ));
        let error = open_training(&config).and_then(|(train, _)| {
            let source = DataSource::new(&train, &config)?;
            let draws = source.epoch(0, &[]);
            (draws.into_iter().enumerate())
                .try_for_each(|(slot, draw)| source.get(draw, 0, slot).map(|_| ()))
        });
        let error = error.unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    };
    fails(
        &format!("without = '{}'", list.display()),
        &["list.txt", "`nobody`"],
    );
    fails("without = 'gone.txt'", &["gone.txt"]);
    fails("teacher = 'gone'", &["gone", "docs/teacher.md"]);
    fails(
        &format!("teacher = '{}'", said.display()),
        &["o.tif", "bands named cloud and shadow"],
    );
    fails(
        &format!(
            "labels = {{ table = '{}', narrow = [{{ where = ['y=1'], map = {{}} }}] }}",
            table.display()
        ),
        &["t.csv", "no column `y`", "scene, x"],
    );
}
