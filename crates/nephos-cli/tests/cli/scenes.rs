//! `nephos predict` and `nephos evaluate` on scenes: batches, several processes on
//! one folder, leftovers of a kill or a full disk.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ndarray::Array3;
use nephos::mask::{self, CogSpec, CogWriter, Resampling};
use nephos::raster::{GeoKeys, Georeference};

use super::tiny::save_untrained;

const DATA: &str = r#"
[data]
bands = ["red", "green", "blue"]
scale = 10000.0
"#;

/// Rows and columns of a scene: several windows of 32 pixels.
const SIZE: [usize; 2] = [150, 90];

/// A folder with `m.nephos`, an untrained model, and scenes `a.tif`, `b.tif`, ….
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new(scenes: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        save_untrained(DATA, &folder.path().join("m.nephos"));
        let place = Self { folder };
        for (seed, name) in scenes.iter().enumerate() {
            write_scene(&place.path(&format!("{name}.tif")), SIZE, seed);
        }
        place
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nephos"));
        command
            .current_dir(self.folder.path())
            .args(arguments.split_whitespace())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    pub fn fail(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    /// Names of the files of a folder, sorted; hidden ones too.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.path(folder).read_dir().unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A scene of 8 bits in blue, green and red with a corner without data (255).
pub fn write_scene(path: &Path, size: [usize; 2], seed: usize) {
    write_with(path, spec(3, size), size, seed);
}

fn spec(bands: usize, [rows, cols]: [usize; 2]) -> CogSpec {
    CogSpec {
        width: cols,
        height: rows,
        bands,
        georeference: utm(30.0),
        nodata: Some(255),
        palette: None,
        band_names: ["blue", "green", "red"].map(String::from).into(),
        scale: None,
        tags: Vec::new(),
        overview: Resampling::Mean,
    }
}

fn write_with(path: &Path, spec: CogSpec, [rows, cols]: [usize; 2], seed: usize) {
    let pixels = Array3::from_shape_fn((3, rows, cols), |(band, row, col)| {
        let bright = (row / 17 + col / 13 + seed) % 5;
        match row + col < 40 {
            true => 255,
            false => (20 + bright * 45 + band * 3 + (row * 7 + col) % 11) as u8,
        }
    });
    let mut writer = CogWriter::create(path, spec).unwrap();
    writer.write_rows(pixels.view()).unwrap();
    writer.finish().unwrap();
}

fn utm(pixel: f64) -> Georeference {
    Georeference::new(
        Some([500_000.0, pixel, 0.0, 5_000_000.0, 0.0, -pixel]),
        Some(GeoKeys::projected(32633)),
    )
}

pub const PREDICT: &str = "predict --scale 255 --model m.nephos";

#[test]
fn a_batch_survives_a_bad_scene_and_skips_up_to_date_ones() {
    let place = Place::new(&["a", "b"]);
    std::fs::write(place.path("broken.tif"), &place.read("a.tif")[..3000]).unwrap();
    let batch = format!("{PREDICT} a.tif broken.tif missing.tif b.tif --out-dir masks");
    let error = place.fail(&batch);
    assert!(error.contains("2 of 4 scenes failed"), "{error}");
    assert!(
        error.contains("broken") && error.contains("missing"),
        "{error}"
    );
    assert!(error.contains("2 done"), "{error}");
    let expected = ["a.json", "a.tif", "b.json", "b.tif"];
    let names = place.names("masks");
    let without_sidecars: Vec<&String> = names
        .iter()
        .filter(|name| !name.ends_with(".aux.xml"))
        .collect();
    assert_eq!(without_sidecars, expected);
    let mask = mask::read(&place.path("masks/a.tif")).unwrap();
    assert_eq!(mask.dim(), (SIZE[0], SIZE[1]));
    assert!(
        mask.indexed_iter()
            .all(|((row, col), class)| (row + col < 40) == (*class == 255))
    );

    // Nothing is written again, without --overwrite.
    let modified = |name: &str| place.path(name).metadata().unwrap().modified().unwrap();
    let before = modified("masks/a.tif");
    let good = format!("{PREDICT} a.tif b.tif --out-dir masks");
    let again = place.run(&good);
    assert!(again.status.success());
    assert!(
        text(&again.stderr).contains("2 skipped (up to date)"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!(modified("masks/a.tif"), before);
    let error = place.fail(&format!("{good} --overlap 0.4"));
    assert!(error.contains("other options; --overwrite"), "{error}");
    assert_eq!(modified("masks/a.tif"), before);
    place.succeed(&format!("{good} --overlap 0.4 --overwrite"));
    let other = modified("masks/a.tif");
    assert!(other > before);
    place.succeed(&format!("{good} --overlap 0.4 --overwrite"));
    assert!(modified("masks/a.tif") > other);
    // A missing output makes the scene incomplete.
    place.succeed(&format!("{good} --overlap 0.4 --with cloud"));
    assert!(place.path("masks/b_cloud.tif").is_file());
}

#[test]
fn all_files_beside_a_mask_are_written() {
    let place = Place::new(&["a"]);
    let with = "probabilities,cloud,polygons,stac,quicklook,html,style,summary";
    let said = place.succeed(&format!(
        "{PREDICT} a.tif --out out/m.tif --with {with} --dilate 45"
    ));
    assert!(
        said.contains("valid pixels") && said.contains("clear"),
        "{said}"
    );
    for name in [
        "m.tif",
        "m_probabilities.tif",
        "m_cloud.tif",
        "m.geojson",
        "m.stac.json",
        "m_quicklook.png",
        "m.html",
        "m.qml",
        "m.json",
    ] {
        assert!(!place.read(&format!("out/{name}")).is_empty(), "{name}");
    }
    let json = place.succeed(&format!("{PREDICT} a.tif --out m.tif --json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let valid = SIZE[0] * SIZE[1] - 40 * 41 / 2;
    assert_eq!(json["valid"], valid);
}

#[test]
fn threads_jobs_and_processes_write_the_same_bytes() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let place = Place::new(&names);
    let scenes = names.map(|name| format!("{name}.tif")).join(" ");
    place.succeed(&format!(
        "{PREDICT} {scenes} --out-dir one --threads 1 --with probabilities"
    ));
    place.succeed(&format!(
        "{PREDICT} {scenes} --out-dir two --threads 2 --jobs 3 --with probabilities"
    ));
    // Four processes share a folder and leave no lock behind.
    let shared = format!("{PREDICT} {scenes} --out-dir shared --with probabilities");
    let running: Vec<_> = (0..4)
        .map(|_| {
            let mut command = place.command(&shared);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut written = 0;
    for process in running {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        written += text(&output.stdout).lines().count();
    }
    assert_eq!(written, names.len());
    assert_eq!(place.names("shared"), place.names("one"));
    for name in place.names("one") {
        let one = place.read(&format!("one/{name}"));
        assert_eq!(one, place.read(&format!("two/{name}")), "{name}");
        assert_eq!(one, place.read(&format!("shared/{name}")), "{name}");
    }
}

#[test]
fn a_killed_run_leaves_whole_files_or_none() {
    let place = Place::new(&["a", "b", "c"]);
    let arguments = format!("{PREDICT} a.tif b.tif c.tif --with probabilities,cloud --out-dir");
    place.succeed(&format!("{arguments} whole"));
    let mut killed = 0;
    for attempt in 0..25 {
        let mut process = place
            .command(&format!("{arguments} parts --overwrite"))
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(10 + 17 * (attempt % 13)));
        if process.try_wait().unwrap().is_none() {
            process.kill().unwrap();
            killed += 1;
        }
        process.wait().unwrap();
        if place.path("parts").is_dir() {
            for name in place
                .names("parts")
                .iter()
                .filter(|name| !name.starts_with('.'))
            {
                let part = place.read(&format!("parts/{name}"));
                assert_eq!(part, place.read(&format!("whole/{name}")), "{name}");
            }
        }
    }
    assert!(killed > 0);
    place.succeed(&format!("{arguments} parts"));
    for name in place.names("whole") {
        assert_eq!(
            place.read(&format!("whole/{name}")),
            place.read(&format!("parts/{name}"))
        );
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let place = Place::new(&[]);
    write_scene(&place.path("large.tif"), [400, 700], 3);
    let full = place.command(&format!(
        "{PREDICT} large.tif --out m.tif --with probabilities"
    ));
    let mut shell = Command::new("sh");
    // No file may grow beyond four blocks of 512 bytes.
    let output = shell
        .current_dir(place.folder.path())
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh"])
        .arg(full.get_program())
        .args(full.get_args())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(
        error.contains("m") && error.contains("File too large"),
        "{error}"
    );
    assert_eq!(place.names("."), ["large.tif", "m.nephos"]);
}

#[test]
fn errors_name_what_was_expected() {
    let place = Place::new(&["a"]);
    let fails = |arguments: &str, expected: &str| {
        let error = place.fail(arguments);
        assert!(error.contains(expected), "{error}");
    };
    let nir = format!("{PREDICT} a.tif --out m.tif --bands red,green,nir");
    fails(&nir, "needs band `blue`; the scene has red");
    let nir = format!(r#"{PREDICT} a.tif --out m.tif --set data.bands=["red","green","nir"]"#);
    fails(&nir, "--bands names those of a scene");
    fails(
        &format!("{PREDICT} a.tif --out m.jpg"),
        ".tif, .png or .npy",
    );
    fails(
        &format!("{PREDICT} a.tif --out m.tif --with poligons"),
        "polygons",
    );
    fails(
        &format!("{PREDICT} a.tif --out m.tif --overlap 1"),
        "--overlap",
    );
    fails(
        &format!("{PREDICT} a.tif --out m.tif --dilate -3"),
        "--dilate",
    );
    fails(
        &format!("{PREDICT} a.tif --out m.tif --bands red,green"),
        "3",
    );
    fails(
        &format!("{PREDICT} a.tif --out m.tif --resolution 20"),
        "--resolution",
    );
    fails(
        "predict a.tif --scale 0 --model m.nephos --out m.tif",
        "--scale",
    );
    fails("predict m.nephos --model m.nephos --out m.tif", "m.nephos");
    assert!(!place.path("m.tif").exists());
}

#[test]
fn a_scale_that_cannot_be_is_a_warning() {
    let place = Place::new(&["a"]);
    let output = place.run("predict a.tif --scale 1 --model m.nephos --out m.tif");
    assert!(output.status.success());
    assert!(
        text(&output.stderr).contains("--scale"),
        "{}",
        text(&output.stderr)
    );
    // Inferred from its number format, with a note.
    let output = place.run("predict a.tif --model m.nephos --out n.tif");
    assert!(
        text(&output.stderr).contains("--scale"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn scenes_are_scored_against_rasters_of_their_names() {
    let place = Place::new(&["a", "b"]);
    place.succeed(&format!("{PREDICT} a.tif b.tif --out-dir labels"));
    std::fs::rename(place.path("labels/b.tif"), place.path("labels/b_label.tif")).unwrap();
    let evaluate = "evaluate --scale 255 --model m.nephos a.tif b.tif --labels labels";
    let scores = place.succeed(&format!("{evaluate} --json"));
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    // A model agrees with itself.
    assert_eq!(scores["scores"]["miou"], 1.0);
    let valid = 2 * (SIZE[0] * SIZE[1] - 40 * 41 / 2);
    assert_eq!(scores["scores"]["pixels"], valid);

    // With the given windows, and with one graph over the scene.
    let cut = "--window 32 --graph scene";
    place.succeed(&format!("{PREDICT} a.tif {cut} --out whole.tif"));
    let evaluate = "evaluate --scale 255 --model m.nephos a.tif";
    let scores = place.succeed(&format!("{evaluate} --labels whole.tif {cut} --json"));
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    assert_eq!(scores["scores"]["miou"], 1.0);
    let error = place.fail(&format!("{evaluate} {cut}"));
    assert!(error.contains("--labels"), "{error}");

    // Labels of twice the pixel size, shifted by one of the scene's rows.
    let fine = mask::read(&place.path("labels/a.tif")).unwrap();
    let coarse = Array3::from_shape_fn((1, 70, 45), |(_, row, col)| fine[[2 * row + 1, 2 * col]]);
    let mut place_of = utm(60.0);
    place_of.transform = Some([500_000.0, 60.0, 0.0, 5_000_000.0 - 30.0, 0.0, -60.0]);
    let mut writer =
        CogWriter::create(&place.path("coarse.tif"), CogSpec::mask(45, 70, place_of)).unwrap();
    writer.write_rows(coarse.view()).unwrap();
    writer.finish().unwrap();
    let output =
        place.run("evaluate --scale 255 --model m.nephos a.tif --labels coarse.tif --json");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("nearest"),
        "{}",
        text(&output.stderr)
    );
    let scores: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut pixels = 0;
    for row in 0..140 {
        for col in 0..90 {
            let (truth, class) = (coarse[[0, row / 2, col / 2]], fine[[row + 1, col]]);
            pixels += u64::from(truth != 255 && class != 255);
        }
    }
    assert_eq!(scores["scores"]["pixels"], pixels);
    let error = place.fail("evaluate --scale 255 --model m.nephos a.tif b.tif --labels masks");
    assert!(error.contains("--labels"), "{error}");
    std::fs::create_dir(place.path("empty")).unwrap();
    let error = place.fail("evaluate --scale 255 --model m.nephos a.tif --labels empty");
    assert!(error.contains("a_label.tif"), "{error}");
}

/// `info` on a mask prints its provenance.
#[test]
fn info_prints_the_record_of_a_mask() {
    let place = Place::new(&["a"]);
    let with = "probabilities,cloud,polygons,stac,summary";
    place.succeed(&format!(
        "{PREDICT} a.tif --out m.tif --with {with} --dilate 45"
    ));
    let sha = place.succeed("info m.tif --json");
    let record: serde_json::Value = serde_json::from_str(&sha).unwrap();
    assert_eq!(record["rows"], SIZE[0]);
    assert_eq!(record["no_data"], 40 * 41 / 2);
    assert_eq!(record["record"]["dilation_metres"], "45");
    assert_eq!(record["record"]["model_sha256"].as_str().unwrap().len(), 64);
    let counted: u64 = (record["classes"].as_array().unwrap().iter())
        .map(|class| class["pixels"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, (SIZE[0] * SIZE[1] - 40 * 41 / 2) as u64);
    for file in ["m.tif", "m_cloud.tif", "m_probabilities.tif"] {
        let text = place.succeed(&format!("info {file}"));
        for words in [
            "of nephos",
            "SHA-256:",
            "Model:",
            "Radiometry:",
            "Bands:",
            "Windows:",
            "EPSG:32633",
        ] {
            assert!(text.contains(words), "no `{words}` of {file} in\n{text}");
        }
    }
    let text = place.succeed("info m.tif");
    assert!(
        text.contains("thick cloud") && text.contains("Dilation:    45 m"),
        "{text}"
    );
    for (file, words) in [
        ("m.json", "summary of a mask"),
        ("m.stac.json", "STAC item"),
        ("m.geojson", "polygons (GeoJSON)"),
    ] {
        assert!(
            place.succeed(&format!("info {file}")).contains(words),
            "{file}"
        );
        place.succeed(&format!("info {file} --json"));
    }
    for name in ["p.png", "q.npy"] {
        place.succeed(&format!("{PREDICT} a.tif --out {name} --with summary"));
        let text = place.succeed(&format!("info {name}"));
        assert!(
            text.contains("Record, from ") && text.contains("SHA-256:"),
            "{text}"
        );
    }
    // A PNG of other colours is a scene.
    place.succeed(&format!("{PREDICT} a.tif --out x.tif --with quicklook"));
    assert!(place.succeed("info x_quicklook.png").contains("Scene:"));
}

/// Dates of STAC items: the option's, the file's own, else bounds; reported before the work.
#[test]
fn a_stac_item_has_a_date_or_bounds_of_an_unknown_one() {
    let place = Place::new(&["a"]);
    let item = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&place.read(&format!("{name}.stac.json"))).unwrap()
    };
    let output = place.run(&format!("{PREDICT} a.tif --out m.tif --with stac"));
    assert!(output.status.success() && text(&output.stderr).contains("--datetime"));
    let unknown = item("m");
    assert!(unknown["properties"]["datetime"].is_null());
    assert!(
        unknown["properties"]["end_datetime"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_ne!(unknown["id"], "a");
    assert_eq!(unknown["links"][0]["href"], "./a.tif");
    place.succeed(&format!(
        "{PREDICT} a.tif --out n/m.tif --with stac --datetime 2022-10-05T11:54:11+02:00"
    ));
    let known = item("n/m");
    assert_eq!(known["properties"]["datetime"], "2022-10-05T09:54:11Z");
    assert_eq!(known["links"][0]["href"], "../a.tif");
    // The record of another run: the tag ACQUIRED, and TIFF's own.
    let mut spec = spec(3, SIZE);
    spec.tags = vec![(
        "ACQUISITIONDATETIME".to_owned(),
        "2021-02-03T04:05:06Z".to_owned(),
    )];
    write_with(&place.path("dated.tif"), spec, SIZE, 0);
    place.succeed(&format!("{PREDICT} dated.tif --out d.tif --with stac"));
    assert_eq!(item("d")["properties"]["datetime"], "2021-02-03T04:05:06Z");
    let fails = |arguments: &str, expected: &str| {
        let error = place.fail(&format!("{PREDICT} a.tif --out f.tif {arguments}"));
        assert!(error.contains(expected), "{error}");
        assert!(!place.path("f.tif").exists());
    };
    fails("--with stac --datetime yesterday", "2022-10-05T11:54:11Z");
    fails("--datetime 2022-10-05", "--with stac");
    // Without a georeference neither is possible: refused before anything is written.
    let mut nowhere = self::spec(3, SIZE);
    nowhere.georeference = Georeference::default();
    write_with(&place.path("nowhere.tif"), nowhere, SIZE, 0);
    for with in ["stac", "polygons"] {
        let error = place.fail(&format!(
            "{PREDICT} nowhere.tif --out f.tif --with {with},summary"
        ));
        assert!(error.contains("needs"), "{error}");
        assert!(!place.path("f.tif").exists() && !place.path("f.json").exists());
    }
    let output = place.run(&format!("{PREDICT} nowhere.tif --out f.tif"));
    assert!(
        text(&output.stderr).contains("no georeference"),
        "{}",
        text(&output.stderr)
    );
    let output = place.run(&format!("{PREDICT} a.tif --out f.npy"));
    assert!(
        text(&output.stderr).contains("no georeference"),
        "{}",
        text(&output.stderr)
    );
}

/// Control characters in names of bands and files do not reach the terminal.
#[test]
fn control_characters_of_files_are_escaped() {
    let place = Place::new(&[]);
    // Of the control characters XML, and so a GeoTIFF, can hold those of C1 alone.
    let hostile = "red\u{9b}31m\nerror: all is lost\u{202e}";
    let mut spec = spec(3, SIZE);
    spec.band_names = ["blue", "green", hostile].map(String::from).into();
    let name = "s\u{1b}[2J\n☁è.tif";
    write_with(&place.path(name), spec, SIZE, 0);
    for arguments in [
        vec!["info"],
        vec!["info", "--json"],
        vec![
            "predict", "--model", "m.nephos", "--scale", "255", "--out", "m.tif",
        ],
        vec![
            "predict",
            "--model",
            "m.nephos",
            "--scale",
            "255",
            "--out-dir",
            "masks",
            "-v",
        ],
    ] {
        let mut command = place.command("");
        let output = command
            .arg(arguments[0])
            .arg(name)
            .args(&arguments[1..])
            .output()
            .unwrap();
        for stream in [text(&output.stdout), text(&output.stderr)] {
            let bad = |c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}';
            assert!(!stream.contains(bad), "{arguments:?}: {stream:?}");
            assert!(
                !stream.lines().any(|line| line.starts_with("error: all")),
                "{stream}"
            );
            assert!(
                !stream.lines().any(|line| line.starts_with('☁')),
                "{stream}"
            );
        }
        if arguments == ["info", "--json"] {
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["bands"][2]["source"], hostile);
        }
        if arguments == ["info"] {
            assert!(
                text(&output.stdout).contains("☁è"),
                "{}",
                text(&output.stdout)
            );
        }
    }
    let error = place.fail("info \u{1b}[31mmissing\u{7}.tif");
    assert!(
        !error.contains(['\u{1b}', '\u{7}']) && error.contains("missing"),
        "{error}"
    );
}
