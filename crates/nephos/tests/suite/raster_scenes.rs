//! Scenes from plain rasters: names, radiometry, no data, folders, pictures.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use nephos::Error;
use nephos::raster::Window;
use nephos::scene::{Origin, Scene, SceneInfo, SceneOptions, open_scene};

pub const ROWS: usize = 24;
pub const COLS: usize = 20;

/// A little-endian TIFF without compression, its bands interleaved by pixel.
#[derive(Default, Clone)]
pub struct Tiff {
    bands: usize,
    /// SampleFormat and bytes per number.
    format: (u16, u16),
    pub pixels: Vec<u8>,
    /// 0: none.
    pub compression: u16,
    pub metadata: String,
    pub nodata: String,
    pub corner: Option<[f64; 2]>,
    /// GeoTIFF keys after the header; those of a UTM zone where there are none.
    pub keys: Vec<u16>,
    /// GeoAsciiParamsTag.
    pub citation: String,
    photometric: u16,
}

impl Tiff {
    pub fn u16(bands: usize, number: impl Fn(usize, usize, usize) -> u16) -> Self {
        Self::of(bands, (1, 2), |b, r, c| number(b, r, c).to_le_bytes())
    }

    pub fn i16(bands: usize, number: impl Fn(usize, usize, usize) -> i16) -> Self {
        Self::of(bands, (2, 2), |b, r, c| number(b, r, c).to_le_bytes())
    }

    pub fn f32(bands: usize, number: impl Fn(usize, usize, usize) -> f32) -> Self {
        Self::of(bands, (3, 4), |b, r, c| number(b, r, c).to_le_bytes())
    }

    pub fn u8(bands: usize, number: impl Fn(usize, usize, usize) -> u8) -> Self {
        Self::of(bands, (1, 1), |b, r, c| [number(b, r, c)])
    }

    fn of<const N: usize>(
        bands: usize,
        format: (u16, u16),
        number: impl Fn(usize, usize, usize) -> [u8; N],
    ) -> Self {
        let mut pixels = Vec::new();
        for row in 0..ROWS {
            for col in 0..COLS {
                (0..bands).for_each(|band| pixels.extend(number(band, row, col)));
            }
        }
        Self {
            bands,
            format,
            pixels,
            photometric: 1,
            ..Self::default()
        }
    }

    /// Items of GDAL's metadata: role, band, text.
    pub fn items(mut self, items: &[(&str, usize, &str)]) -> Self {
        let items: String = (items.iter())
            .map(|(role, band, text)| {
                let name = role.to_uppercase();
                format!(r#"<Item name="{name}" sample="{band}" role="{role}">{text}</Item>"#)
            })
            .collect();
        self.metadata = format!("<GDALMetadata>\n{items}</GDALMetadata>\n");
        self
    }

    pub fn write(&self, path: &Path) -> PathBuf {
        let shorts = |v: &[u16]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let doubles = |v: &[f64]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let text = |v: &str| [v.as_bytes(), &[0]].concat();
        let (format, bytes) = self.format;
        let long = |v: usize| (v as u32).to_le_bytes().to_vec();
        // Tag, type, count, value.
        let mut tags: Vec<(u16, u16, usize, Vec<u8>)> = vec![
            (256, 4, 1, long(COLS)),
            (257, 4, 1, long(ROWS)),
            (258, 3, self.bands, shorts(&vec![8 * bytes; self.bands])),
            (259, 3, 1, shorts(&[self.compression.max(1)])),
            (262, 3, 1, shorts(&[self.photometric])),
            (273, 4, 1, long(8)),
            (277, 3, 1, shorts(&[self.bands as u16])),
            (278, 4, 1, long(ROWS)),
            (279, 4, 1, long(self.pixels.len())),
            (339, 3, self.bands, shorts(&vec![format; self.bands])),
        ];
        if let Some([x, y]) = self.corner {
            tags.push((33550, 12, 3, doubles(&[10.0, 10.0, 0.0])));
            tags.push((33922, 12, 6, doubles(&[0.0, 0.0, 0.0, x, y, 0.0])));
            let keys = match self.keys.as_slice() {
                [] => &[1024, 0, 1, 1, 3072, 0, 1, 32631][..],
                keys => keys,
            };
            let keys = [&[1, 1, 0, (keys.len() / 4) as u16], keys].concat();
            tags.push((34735, 3, keys.len(), shorts(&keys)));
            if !self.citation.is_empty() {
                tags.push((34737, 2, self.citation.len() + 1, text(&self.citation)));
            }
        }
        for (tag, value) in [(42112, &self.metadata), (42113, &self.nodata)] {
            if !value.is_empty() {
                tags.push((tag, 2, value.len() + 1, text(value)));
            }
        }
        let directory = 8 + self.pixels.len();
        let mut file = b"II\x2a\0".to_vec();
        file.extend(long(directory));
        file.extend(&self.pixels);
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
        path.to_owned()
    }
}

pub const ALL: Window = Window {
    row: 0,
    col: 0,
    rows: ROWS,
    cols: COLS,
};

pub fn open(path: &Path) -> Box<dyn Scene> {
    open_scene(path, &SceneOptions::default()).unwrap()
}

fn read(scene: &dyn Scene, bands: &[usize]) -> Array3<f32> {
    scene.read(bands, ALL).unwrap()
}

fn names(info: &SceneInfo) -> Vec<&str> {
    info.bands.iter().map(|band| band.name.as_str()).collect()
}

fn message(path: &Path, options: &SceneOptions) -> String {
    match open_scene(path, options) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

fn has_note(info: &SceneInfo, part: &str) -> bool {
    info.notes.iter().any(|note| note.contains(part))
}

#[test]
fn names_scale_and_no_data_are_read_from_metadata() {
    let scratch = tempfile::tempdir().unwrap();
    let mut tiff = Tiff::u16(2, |b, r, c| (1000 * b + 20 * r + c) as u16).items(&[
        ("description", 0, "B04"),
        ("description", 1, "near &amp; far"),
        ("scale", 0, "0.0001"),
        ("offset", 0, "-0.1"),
    ]);
    tiff.nodata = "21".into();
    tiff.corner = Some([500_000.0, 4_900_000.0]);
    let scene = open(&tiff.write(&scratch.path().join("a.tif")));
    let info = scene.info();
    assert_eq!((info.name.as_str(), info.size), ("a", [ROWS, COLS]));
    assert_eq!(names(info), ["red", "near & far"]);
    assert_eq!(info.bands[0].source, "B04");
    assert_eq!(info.bands[0].radiometry.origin, Origin::Metadata);
    assert_eq!(info.bands[1].radiometry.origin, Origin::Guessed);
    assert!(
        has_note(info, "`options.scale` and `options.offset` change it"),
        "{:?}",
        info.notes
    );
    assert!(!has_note(info, "`options.nodata"));
    let read = read(scene.as_ref(), &[0, 1]);
    assert!((read[[0, 2, 3]] - (43.0 * 0.0001 - 0.1)).abs() < 1e-7);
    assert!((read[[1, 2, 3]] - 0.1043).abs() < 1e-7);
    assert!(read[[0, 1, 1]].is_nan() && !read[[1, 1, 1]].is_nan());
    let place = &info.georeference;
    assert_eq!(place.to_map(1.0, 2.0), Some([500_010.0, 4_899_980.0]));
    assert_eq!(place.keys.as_ref().unwrap().epsg(), Some(32631));
}

#[test]
fn options_come_before_metadata() {
    let scratch = tempfile::tempdir().unwrap();
    let tiff = Tiff::u16(3, |b, r, _| (2000 + 1000 * b + r) as u16).items(&[("scale", 1, "0.5")]);
    let path = tiff.write(&scratch.path().join("a.tif"));
    let options = SceneOptions {
        bands: Some(["B02", "Green", "my band"].map(String::from).to_vec()),
        model_bands: vec!["my band".into()],
        scale: Some(10_000.0),
        offset: Some(-1000.0),
        nodata: Some(3000.0),
        ..SceneOptions::default()
    };
    let scene = open_scene(&path, &options).unwrap();
    assert_eq!(names(scene.info()), ["blue", "green", "my band"]);
    assert_eq!(scene.info().bands[1].source, "band 2");
    assert!((scene.info().bands.iter()).all(|band| band.radiometry.origin == Origin::Given));
    let read = read(scene.as_ref(), &[1, 2]);
    assert!(read[[0, 0, 0]].is_nan());
    assert_eq!([read[[0, 5, 0]], read[[1, 5, 0]]], [0.2005, 0.3005]);

    let only_offset = SceneOptions {
        offset: Some(-1000.0),
        ..SceneOptions::default()
    };
    let scene = open_scene(&path, &only_offset).unwrap();
    let read = scene.read(&[0, 1], ALL).unwrap();
    assert_eq!([read[[0, 0, 0]], read[[1, 0, 0]]], [0.1, 1000.0]);

    for (options, part) in [
        (
            SceneOptions {
                scale: Some(0.0),
                ..SceneOptions::default()
            },
            "`options.scale",
        ),
        (
            SceneOptions {
                scale: Some(f64::NAN),
                ..SceneOptions::default()
            },
            "`options.scale",
        ),
        (
            SceneOptions {
                offset: Some(f64::INFINITY),
                ..SceneOptions::default()
            },
            "`options.offset",
        ),
        (
            SceneOptions {
                nodata: Some(70_000.0),
                ..SceneOptions::default()
            },
            "`options.nodata",
        ),
        (
            SceneOptions {
                bands: Some(vec!["red".into()]),
                ..SceneOptions::default()
            },
            "3 bands",
        ),
        (
            SceneOptions {
                resolution: Some(10.0),
                ..SceneOptions::default()
            },
            "`options.resolution",
        ),
    ] {
        assert!(
            message(&path, &options).contains(part),
            "{}",
            message(&path, &options)
        );
    }
}

#[test]
fn the_scale_is_inferred_with_a_note() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    let gain = |tiff: Tiff| {
        let scene = open(&tiff.write(&path));
        let radiometry = scene.info().bands[0].radiometry.clone();
        assert_eq!(radiometry.origin, Origin::Guessed);
        assert!(has_note(
            scene.info(),
            "inferred from number format and range"
        ));
        (radiometry.gain, scene.info().notes.clone())
    };
    let ramp = |r: usize, c: usize| (r * COLS + c) as f32 / (ROWS * COLS) as f32;
    assert_eq!(
        gain(Tiff::u16(1, |_, r, c| (200.0 + 9000.0 * ramp(r, c)) as u16)).0,
        1e-4
    );
    assert_eq!(
        gain(Tiff::u8(1, |_, r, c| (1.0 + 250.0 * ramp(r, c)) as u8)).0,
        1.0 / 255.0
    );
    assert_eq!(
        gain(Tiff::u16(1, |_, r, c| (65_000.0 * ramp(r, c)) as u16)).0,
        // What can't be is refused when it is read for a model.
        1e-4
    );
    assert_eq!(gain(Tiff::f32(1, |_, r, c| 1.2 * ramp(r, c))).0, 1.0);
    assert_eq!(gain(Tiff::f32(1, |_, r, c| 90.0 * ramp(r, c))).0, 0.01);
    assert_eq!(gain(Tiff::f32(1, |_, r, c| 9000.0 * ramp(r, c))).0, 1e-4);

    let (_, notes) = gain(Tiff::u16(1, |_, r, c| {
        (1100.0 + 5000.0 * ramp(r, c)) as u16
    }));
    assert!(
        notes
            .iter()
            .any(|note| note.contains("`options.offset = -1000`")),
        "{notes:?}"
    );
    let (_, notes) = gain(Tiff::u16(
        2,
        |_, r, c| if c < 5 { 0 } else { 300 + r as u16 },
    ));
    assert!(
        notes
            .iter()
            .any(|note| note.contains("`options.nodata = none`")),
        "{notes:?}"
    );
    // Nothing but no data, and NaN everywhere.
    let mut empty = Tiff::u16(1, |_, _, _| 7);
    empty.nodata = "7".into();
    assert_eq!(gain(empty).0, 1e-4);
    assert_eq!(gain(Tiff::f32(1, |_, _, _| f32::NAN)).0, 1.0);

    let thermal = Tiff::u16(2, |b, r, _| [3000, 29_000][b] + r as u16);
    let scene = open(
        &thermal
            .items(&[("description", 0, "red"), ("description", 1, "lwir11")])
            .write(&path),
    );
    let read = read(scene.as_ref(), &[0, 1]);
    assert_eq!([read[[0, 0, 0]], read[[1, 0, 0]]], [0.3, 2.9]);
}

#[test]
fn usual_numbers_of_bands_are_named_with_a_note() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    let of = |tiff: Tiff| {
        let scene = open(&tiff.write(&path));
        let names: Vec<String> = names(scene.info())
            .iter()
            .map(|n| (*n).to_owned())
            .collect();
        (names, has_note(scene.info(), "`options.bands`"))
    };
    let tiff = |bands: usize| Tiff::u16(bands, |b, r, _| (100 * b + r) as u16);
    let (names, said) = of(tiff(13));
    assert_eq!(
        (
            names[3].as_str(),
            names[10].as_str(),
            names[12].as_str(),
            said
        ),
        ("red", "cirrus", "swir22", true)
    );
    let (names, said) = of(tiff(12));
    assert_eq!(
        (names[7].as_str(), names[10].as_str(), said),
        ("nir", "swir16", true)
    );
    let (names, said) = of(tiff(4));
    assert_eq!(
        (names[0].as_str(), names[3].as_str(), said),
        ("band 1", "band 4", false)
    );
    let mut rgb = Tiff::u8(3, |b, r, _| (10 * b + r) as u8);
    assert_eq!(of(rgb.clone()).0[0], "band 1");
    rgb.photometric = 2;
    assert_eq!(of(rgb).0, ["red", "green", "blue"]);

    let scene = open(&tiff(4).write(&path));
    let error = scene
        .info()
        .positions(&["red".into()])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("band 1, band 2") && error.contains("`options.bands`"),
        "{error}"
    );
}

#[test]
fn a_landsat_file_name_identifies_its_bands() {
    let scratch = tempfile::tempdir().unwrap();
    let tiff = Tiff::u16(2, |b, r, _| (100 * b + r) as u16)
        .items(&[("description", 0, "SR_B4"), ("description", 1, "SR_B5")]);
    let landsat = scratch
        .path()
        .join("LC08_L2SP_190024_20200101_20200113_02_T1.tif");
    let scene = open(&tiff.write(&landsat));
    assert_eq!(names(scene.info()), ["red", "nir08"]);
    // Where a sensor has but one near infrared, it is the substitute.
    let requested = ["nir", "SR_B4"].map(String::from);
    assert_eq!(scene.info().positions(&requested).unwrap(), [1, 0]);
    assert_eq!(
        names(open(&tiff.write(&scratch.path().join("a.tif"))).info()),
        ["SR_B4", "SR_B5"]
    );
}

#[test]
fn a_folder_has_one_file_per_band() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("T31TCJ");
    assert!(matches!(
        open_scene(&folder, &SceneOptions::default()),
        Err(Error::Io { .. })
    ));
    std::fs::create_dir(&folder).unwrap();
    let none = message(&folder, &SceneOptions::default());
    assert!(none.contains("without GeoTIFFs"), "{none}");
    let band = |name: &str, number: u16, change: &dyn Fn(&mut Tiff)| {
        let mut tiff = Tiff::u16(1, |_, r, c| number + (r * COLS + c) as u16);
        tiff.corner = Some([500_000.0, 4_900_000.0]);
        change(&mut tiff);
        tiff.write(&folder.join(name))
    };
    let keep = |_: &mut Tiff| {};
    band("T31TCJ_20200101T105441_B04_10m.tif", 3000, &keep);
    band("T31TCJ_20200101T105441_B8A_10m.TIF", 4000, &keep);
    band("T31TCJ_20200101T105441_B02_10m.tif", 1000, &|tiff| {
        tiff.nodata = "1001".into()
    });
    std::fs::write(folder.join("readme.txt"), "no band").unwrap();
    let scene = open(&folder);
    assert_eq!(scene.info().name, "T31TCJ");
    assert_eq!(names(scene.info()), ["blue", "red", "nir08"]);
    assert_eq!(scene.info().bands[2].source, "B8A");
    assert_eq!(scene.info().georeference.pixel_size(), Some([10.0, 10.0]));
    let read = read(scene.as_ref(), &[2, 0]);
    assert_eq!(read[[0, 0, 0]], 0.4);
    assert_eq!(read[[1, 1, 2]], 0.1022);
    assert!(read[[1, 0, 1]].is_nan());

    let change_is_within = |path: &Path| path.metadata().unwrap().len() < 800;
    // A broken file is an error only when its band is read.
    let extra = |name: &str, change: &dyn Fn(&mut Tiff), parts: &[&str]| {
        let mut tiff = Tiff::u16(1, |_, _, _| 1);
        tiff.corner = Some([500_000.0, 4_900_000.0]);
        change(&mut tiff);
        let path = tiff.write(&folder.join(name));
        let error = match open_scene(&folder, &SceneOptions::default()) {
            Err(error) => error.to_string(),
            Ok(scene) => {
                let band = |name: &str| scene.info().positions(&[name.into()]).unwrap()[0];
                assert_eq!(scene.read(&[band("blue")], ALL).unwrap()[[0, 0, 0]], 0.1);
                let error = scene.read(&[band("red"), band("green")], ALL);
                let error = error.unwrap_err().to_string();
                // Broken pixels are an error when read, a broken header when opened.
                let noted = has_note(scene.info(), &error);
                assert!(noted || change_is_within(&path), "{:?}", scene.info().notes);
                error
            }
        };
        std::fs::remove_file(path).unwrap();
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    };
    extra(
        "x_B03.tif",
        &|t| t.corner = Some([500_010.0, 4_900_000.0]),
        &["x_B03", "B02", "transform", "500010"],
    );
    extra(
        "x_B03.tif",
        &|t| t.corner = None,
        &["x_B03", "transform", "none"],
    );
    extra("x_B02.tif", &keep, &["x_B02", "B02_10m", "band `blue`"]);
    extra(
        "x_B03.tif",
        &|t| {
            *t = Tiff {
                corner: t.corner,
                ..Tiff::u16(2, |_, _, _| 1)
            }
        },
        &["x_B03", "2 bands"],
    );
    extra("x_B03.tif", &|t| t.pixels.truncate(100), &["x_B03"]);
}

#[test]
fn pictures_are_scenes_without_a_georeference() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("view.png");
    image::RgbImage::from_fn(8, 5, |x, y| image::Rgb([x as u8 * 30, 100 + y as u8, 255]))
        .save(&path)
        .unwrap();
    let scene = open(&path);
    assert_eq!(names(scene.info()), ["red", "green", "blue"]);
    assert_eq!(
        (scene.info().name.as_str(), scene.info().size),
        ("view", [5, 8])
    );
    assert_eq!(scene.info().georeference.transform, None);
    assert!(has_note(scene.info(), "8-bit"));
    let window = Window {
        row: 1,
        col: 2,
        rows: 3,
        cols: 4,
    };
    let read = scene.read(&[2, 0], window).unwrap();
    assert_eq!(read.dim(), (2, 3, 4));
    assert_eq!([read[[0, 0, 0]], read[[1, 0, 1]]], [1.0, 90.0 / 255.0]);
    let outside = Window { row: 3, ..window };
    assert!(matches!(scene.read(&[0], outside), Err(Error::Usage(_))));
    assert!(matches!(scene.read(&[3], window), Err(Error::Usage(_))));
}

#[test]
fn errors_of_unsupported_files_list_the_supported_formats() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.jp2");
    std::fs::write(&path, b"\0\0\0\x0cjP  \r\n\x87\n").unwrap();
    let error = message(&path, &SceneOptions::default());
    assert!(
        error.contains("a.jp2") && error.contains("the feature `gdal`"),
        "{error}"
    );
    std::fs::write(&path, b"").unwrap();
    assert!(message(&path, &SceneOptions::default()).contains("empty"));
}
