//! How stored numbers become reflectance, in scenes, pairs and arrays; and
//! what is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::tiny::save_untrained;

const DATA: &str = r#"
[data]
bands = ["red", "green", "blue", "nir"]
channels = ["blue", "green", "red", "nir"]
label_channel = 4
scale = 5000.0
"#;
const SIDE: usize = 40;
const NAMES: [&str; 4] = ["blue", "green", "red", "nir"];

/// Reflectance × 10000: from 100 to about 4000, brighter to the right and the bottom.
fn number(band: usize, row: usize, col: usize) -> u16 {
    (100 + 20 * band + 60 * row + (25 + 3 * band) * col) as u16
}

/// Numbers in one of two formats.
#[derive(Clone, Copy)]
enum Numbers {
    U16(fn(usize, usize, usize) -> u16),
    F32(fn(usize, usize, usize) -> f32),
}

impl Numbers {
    fn bytes(self, band: usize, row: usize, col: usize) -> Vec<u8> {
        match self {
            Self::U16(of) => of(band, row, col).to_le_bytes().to_vec(),
            Self::F32(of) => of(band, row, col).to_le_bytes().to_vec(),
        }
    }
}

/// A little-endian TIFF without compression, bands by pixel, with GDAL's items (role, text)
/// for each band and its no-data number.
fn tiff(path: &Path, bands: usize, numbers: Numbers, items: &[(&str, &str)], nodata: &str) {
    let mut pixels = Vec::new();
    for (row, col) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |col| (row, col))) {
        (0..bands).for_each(|band| pixels.extend(numbers.bytes(band, row, col)));
    }
    let (format, bits) = match numbers {
        Numbers::U16(_) => (1u16, 16u16),
        Numbers::F32(_) => (3, 32),
    };
    let mut metadata = String::new();
    for (band, name) in NAMES.iter().enumerate().take(bands) {
        let name = [("description", *name)];
        let name = if bands == 4 { &name[..] } else { &[] };
        for (role, text) in name.iter().chain(items) {
            metadata += &format!(r#"<Item name="N" sample="{band}" role="{role}">{text}</Item>"#);
        }
    }
    let metadata = format!("<GDALMetadata>{metadata}</GDALMetadata>");
    let shorts = |v: &[u16]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let long = |v: usize| (v as u32).to_le_bytes().to_vec();
    let text = |v: &str| [v.as_bytes(), &[0]].concat();
    let mut tags: Vec<(u16, u16, usize, Vec<u8>)> = vec![
        (256, 4, 1, long(SIDE)),
        (257, 4, 1, long(SIDE)),
        (258, 3, bands, shorts(&vec![bits; bands])),
        (259, 3, 1, shorts(&[1])),
        (262, 3, 1, shorts(&[1])),
        (273, 4, 1, long(8)),
        (277, 3, 1, shorts(&[bands as u16])),
        (278, 4, 1, long(SIDE)),
        (279, 4, 1, long(pixels.len())),
        (339, 3, bands, shorts(&vec![format; bands])),
        (42112, 2, metadata.len() + 1, text(&metadata)),
    ];
    if !nodata.is_empty() {
        tags.push((42113, 2, nodata.len() + 1, text(nodata)));
    }
    let directory = 8 + pixels.len();
    let mut file = b"II\x2a\0".to_vec();
    file.extend(long(directory));
    file.extend(&pixels);
    let mut far = directory + 2 + 12 * tags.len() + 4;
    let mut values = Vec::new();
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, count, mut value) in tags {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(long(count));
        if value.len() <= 4 {
            value.resize(4, 0);
            file.extend(value);
        } else {
            file.extend(long(far));
            far += value.len();
            values.extend(value);
        }
    }
    file.extend(long(0));
    file.extend(values);
    std::fs::write(path, file).unwrap();
}

fn npy(path: &Path, descr: &str, shape: &str, numbers: &[u8]) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    std::fs::write(path, bytes).unwrap();
}

/// A folder with `m.nephos`, an untrained model.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        save_untrained(DATA, &place.path("m.nephos"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds a pair to the folder `folder`.
    fn pair(
        &self,
        folder: &str,
        name: &str,
        numbers: Numbers,
        items: &[(&str, &str)],
        nodata: &str,
    ) {
        for part in ["image", "label"] {
            std::fs::create_dir_all(self.path(&format!("{folder}/{part}"))).unwrap();
        }
        let image = self.path(&format!("{folder}/image/{name}.tif"));
        tiff(&image, 4, numbers, items, nodata);
        let label = Numbers::U16(|_, row, col| ((row / 10 + col / 10) % 4) as u16);
        tiff(
            &self.path(&format!("{folder}/label/{name}.tif")),
            1,
            label,
            &[],
            "",
        );
    }

    fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nephos"))
            .current_dir(self.0.path())
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Messages of a command.
    fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {said}");
        said
    }

    fn fail(&self, arguments: &str, expected: &[&str]) {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments} did not fail");
        for text in expected {
            assert!(error.contains(text), "{arguments}: `{text}` in {error}");
        }
    }

    /// Loss, labelled pixels and overall accuracy.
    fn scores(&self, arguments: &str) -> (f64, u64, f64) {
        let output = self.run(&format!("evaluate {arguments} --model m.nephos --json"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {said}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let scores = &json["scores"];
        (
            json["loss"].as_f64().unwrap(),
            scores["pixels"].as_u64().unwrap(),
            scores["overall_accuracy"].as_f64().unwrap(),
        )
    }

    fn mask(&self, name: &str) -> ndarray::Array2<u8> {
        nephos::mask::read(&self.path(name)).unwrap()
    }

    /// Whether the mask's record holds `text`.
    fn records(&self, mask: &str, text: &str) -> bool {
        let bytes = std::fs::read(self.path(mask)).unwrap();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

const PLAIN: Numbers = Numbers::U16(number);
const ADDED: Numbers = Numbers::U16(|band, row, col| number(band, row, col) + 1000);
const FRACTION: Numbers = Numbers::F32(|band, row, col| f32::from(number(band, row, col)) / 1e4);
const SCALED: [(&str, &str); 2] = [("scale", "0.0001"), ("offset", "-0.1")];

fn near(a: (f64, u64, f64), b: (f64, u64, f64)) -> bool {
    (a.0 - b.0).abs() < 1e-4 && a.1 == b.1 && (a.2 - b.2).abs() < 2e-3
}

#[test]
fn pairs_are_read_like_scenes() {
    let place = Place::new();
    place.pair("plain", "a", PLAIN, &[], "");
    place.pair("offset", "a", ADDED, &SCALED, "");
    place.pair("fraction", "a", FRACTION, &[], "");
    let right = place.scores("plain");
    assert_eq!(right.1, (SIDE * SIDE) as u64);
    for folder in ["plain", "offset", "fraction"] {
        assert!(near(place.scores(folder), right), "{folder}");
        let scene = format!("{folder}/image/a.tif --labels {folder}/label");
        assert!(near(place.scores(&scene), right), "{scene}");
    }
    // A tenth of the image is no data.
    let gap = Numbers::U16(|band, row, col| match row {
        0..4 => 65_535,
        _ => number(band, row, col) + 1000,
    });
    place.pair("gap", "a", gap, &SCALED, "65535");
    let as_pair = place.scores("gap");
    assert_eq!(as_pair.1, (36 * SIDE) as u64);
    assert!(near(
        as_pair,
        place.scores("gap/image/a.tif --labels gap/label")
    ));
    // What states its scale and what does not, in one folder.
    for name in ["b", "c"] {
        place.pair("mixed", name, PLAIN, &[], "");
    }
    place.pair("mixed", "a", ADDED, &SCALED, "");
    place.pair("mixed", "d", FRACTION, &[], "");
    let mixed = place.scores("mixed");
    assert!(near((mixed.0, mixed.1 / 4, mixed.2), right), "{mixed:?}");
    // The user's options go before the file's metadata.
    let given = place.scores("offset --scale 10000 --offset -1000");
    assert!(near(given, right), "{given:?}");
    let set = place.scores("offset --set data.scale=5000 --set data.offset=-1000");
    assert!(near(set, right), "{set:?}");
    assert!(!near(place.scores("plain --scale 20000"), right));
    // Masks of pairs record the radiometry.
    place.succeed("predict offset --model m.nephos --out-dir masks");
    assert!(place.records("masks/a.tif", "stored × 0.0001 − 0.1 (metadata)"));
    place.succeed("predict plain --model m.nephos --out-dir plain_masks");
    assert!(place.records("plain_masks/a.tif", "stored × 0.0001 (configuration)"));
    assert_eq!(place.mask("masks/a.tif"), place.mask("plain_masks/a.tif"));
}

#[test]
fn numbers_that_can_not_be_reflectance_are_refused() {
    let place = Place::new();
    let added = Numbers::U16(|band, row, col| 1000 + number(band, row, col) / 2);
    tiff(&place.path("added.tif"), 4, added, &[], "");
    tiff(&place.path("good.tif"), 4, PLAIN, &[], "");
    let options = ["--scale", "--offset", "--assume-reflectance"];
    place.fail("predict added.tif --model m.nephos --out m.tif", &options);
    place.fail(
        "predict added.tif --model m.nephos --out m.tif",
        &["added.tif", "1000"],
    );
    assert!(!place.path("m.tif").exists());
    let assumed = "predict added.tif --model m.nephos --assume-reflectance --out m.tif";
    assert!(
        place
            .succeed(assumed)
            .contains("hardly a number is below 1000")
    );
    assert!(place.records("m.tif", "(guessed, assumed to be right)"));
    place.succeed(
        "predict added.tif --model m.nephos --scale 10000 --offset -1000 --overwrite --out m.tif",
    );
    assert!(place.records("m.tif", "stored × 0.0001 − 0.1 (given)"));
    // In a batch that scene fails, and the others are made.
    let batch = "predict added.tif good.tif --model m.nephos --out-dir masks";
    place.fail(batch, &["FAILED", "--scale", "1 of 2 scenes failed"]);
    assert!(place.path("masks/good.tif").exists() && !place.path("masks/added.tif").exists());
    // Far too bright, and an offset applied twice, stated by any source.
    let bright = Numbers::U16(|band, row, col| 9 * number(band, row, col));
    tiff(&place.path("bright.tif"), 4, bright, &[], "");
    place.fail("predict bright.tif --model m.nephos --out b.tif", &options);
    let half = Numbers::U16(|band, row, col| number(band, row, col) / 2);
    tiff(&place.path("twice.tif"), 4, half, &SCALED, "");
    place.fail(
        "predict twice.tif --model m.nephos --out t.tif",
        &["below 0", "--offset"],
    );
    let once = "predict twice.tif --model m.nephos --offset 0 --out t.tif";
    place.succeed(once);
    // With a scale of the user's own that is but a warning.
    let given = place.succeed("predict bright.tif --model m.nephos --scale 5000 --out b.tif");
    assert_eq!(given.matches("too bright").count(), 1, "{given}");
    // Samples: the error names container and sample.
    place.pair("pairs", "good", PLAIN, &[], "");
    place.pair("pairs", "wrong", added, &[], "");
    place.fail(
        "evaluate pairs --model m.nephos",
        &["pairs", "sample wrong", "--scale"],
    );
    place.succeed("evaluate pairs --model m.nephos --assume-reflectance");
}

#[test]
fn errors_of_keys_without_effect_on_scenes_name_the_option() {
    let place = Place::new();
    place.pair("s", "a", PLAIN, &[], "");
    for (set, option) in [
        ("data.scale=255", "--scale"),
        ("data.quantification=255", "--scale"),
        ("data.offset=-1000", "--offset"),
        ("data.nodata=0", "--nodata"),
        (r#"data.channels=["red","green","blue"]"#, "--bands"),
        (r#"data.bands=["red","green"]"#, "--bands"),
        ("data.label_channel=3", "label_channel"),
        ("data.size=16", "size"),
    ] {
        let predict = format!("predict s/image/a.tif --model m.nephos --out m.tif --set {set}");
        place.fail(&predict, &[option, "--set data."]);
        let evaluate =
            format!("evaluate s/image/a.tif --labels s/label --model m.nephos --set {set}");
        place.fail(&evaluate, &[option, "--set data."]);
        for draw in ["explain", "overlay"] {
            let draw = format!("{draw} s/image/a.tif --model m.nephos -o p.png --set {set}");
            place.fail(&draw, &[option, "--set data."]);
        }
    }
    assert!(!place.path("p.png").exists());
    assert!(!place.path("m.tif").exists());
    let labels = "s/image/a.tif --labels s/label --set data.labels.map={'0'=255}";
    assert!(place.scores(labels).1 < (SIDE * SIDE) as u64);
    let alone = "evaluate s --model m.nephos --set data.quantification=255";
    place.fail(alone, &["--scale"]);
}

#[test]
fn the_scale_of_arrays_is_inferred_from_their_numbers() {
    let place = Place::new();
    let mut planes = [Vec::new(), Vec::new(), Vec::new()];
    for band in 0..4 {
        for (row, col) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |col| (row, col))) {
            planes[0].extend(PLAIN.bytes(band, row, col));
            planes[1].extend(FRACTION.bytes(band, row, col));
        }
    }
    for (row, col) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |col| (row, col))) {
        (0..4).for_each(|band| planes[2].extend(PLAIN.bytes(band, row, col)));
    }
    let first = format!("(4, {SIDE}, {SIDE})");
    npy(&place.path("whole.npy"), "<u2", &first, &planes[0]);
    npy(
        &place.path("fraction.npy"),
        "<f4",
        &format!("(1, 4, {SIDE}, {SIDE})"),
        &planes[1],
    );
    npy(
        &place.path("last.npy"),
        "<u2",
        &format!("({SIDE}, {SIDE}, 4)"),
        &planes[2],
    );
    let predict = |name: &str| format!("predict {name}.npy --model m.nephos --out {name}.tif");
    place.succeed(&predict("whole"));
    assert!(place.records("whole.tif", "stored × 0.0001 (configuration)"));
    let said = place.succeed(&predict("fraction"));
    assert!(said.contains("taken as reflectance"), "{said}");
    assert!(place.records("fraction.tif", "stored × 1 (guessed)"));
    assert_eq!(place.mask("fraction.tif"), place.mask("whole.tif"));
    let given = "predict fraction.npy --scale 1 --model m.nephos --out given.tif";
    place.succeed(given);
    assert!(place.records("given.tif", "stored × 1 (given)"));
    // Channels last are never read as 40 bands.
    place.fail(&predict("last"), &["[40, 40, 4]", "--channels-last"]);
    place.succeed(&format!("{} --channels-last", predict("last")));
    assert_eq!(place.mask("last.tif"), place.mask("whole.tif"));
}

#[test]
fn predict_reads_no_labels_and_errors_explain_how_to_save_samples() {
    let place = Place::new();
    place.pair("pairs", "a", PLAIN, &[], "");
    std::fs::write(place.path("pairs/label/a.tif"), b"broken").unwrap();
    place.succeed("predict pairs --model m.nephos --out-dir masks");
    // The label channel holds what can't be labels.
    let numbers = (0..5 * SIDE * SIDE).flat_map(|i| match i / (SIDE * SIDE) {
        4 => 777u16.to_le_bytes(),
        band => number(band, i / SIDE % SIDE, i % SIDE).to_le_bytes(),
    });
    let numbers: Vec<u8> = numbers.collect();
    npy(
        &place.path("odd.npy"),
        "<u2",
        &format!("(5, {SIDE}, {SIDE})"),
        &numbers,
    );
    place.succeed("predict odd.npy --model m.nephos --out odd.tif");
    place.fail("evaluate odd.npy --model m.nephos", &["777"]);
    // A list of pairs, a list of dicts, an object array.
    let save = "np.save('images.npy', np.stack(images))";
    std::fs::write(place.path("pairs.pkl"), b"\x80\x02]K\x01K\x02\x86a.").unwrap();
    let pairs = "predict pairs.pkl --model m.nephos --out x.tif";
    place.fail(
        pairs,
        &["item 0 is a tuple of 2, as of image and mask", save],
    );
    std::fs::write(place.path("dicts.pkl"), b"\x80\x02]}a.").unwrap();
    let dicts = "predict dicts.pkl --model m.nephos --out x.tif";
    place.fail(dicts, &["item 0 is a dict", save]);
    npy(&place.path("objects.npy"), "|O", "(3,)", &[0; 24]);
    let objects = "predict objects.npy --model m.nephos --out x.tif";
    place.fail(objects, &["object array", save]);
}
