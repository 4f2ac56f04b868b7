//! Bands by the names that files have: HLS, Landsat, Earth Engine, Planet, and those a
//! user gives; grids that are one however they are written.

use std::path::{Path, PathBuf};

use nephos::raster::Window;
use nephos::scene::{Origin, Scene, SceneOptions, open_scene};

use super::raster_scenes::{COLS, ROWS, Tiff};

const PIXEL: Window = Window {
    row: 0,
    col: 0,
    rows: 1,
    cols: 1,
};

fn open(path: &Path) -> Box<dyn Scene> {
    open_scene(path, &SceneOptions::default()).unwrap()
}

fn error(path: &Path, options: &SceneOptions) -> String {
    match open_scene(path, options) {
        Ok(scene) => panic!("{} was opened: {:?}", path.display(), scene.info().bands),
        Err(error) => error.to_string(),
    }
}

fn names(scene: &dyn Scene) -> Vec<String> {
    let bands = scene.info().bands.iter();
    bands.map(|band| band.name.clone()).collect()
}

fn noted(scene: &dyn Scene, part: &str) -> bool {
    scene.info().notes.iter().any(|note| note.contains(part))
}

fn with_bands(names: &str) -> SceneOptions {
    SceneOptions {
        bands: Some(names.split(',').map(str::to_owned).collect()),
        ..SceneOptions::default()
    }
}

/// Numbers that identify the bands: band `b` starts at 1000 (b + 1).
fn numbered(band: usize, row: usize, col: usize) -> u16 {
    (1000 * (band + 1) + row * COLS + col) as u16
}

/// A file whose bands are described, reflectance × 10000.
fn described(path: &Path, descriptions: &[&str]) -> PathBuf {
    let mut items: Vec<(&str, usize, &str)> = Vec::new();
    for (band, description) in descriptions.iter().enumerate() {
        items.push(("description", band, description));
        items.push(("scale", band, "0.0001"));
    }
    Tiff::u16(descriptions.len(), numbered)
        .items(&items)
        .write(path)
}

/// A folder with one file for each of `files`, int16 with HLS's tags or without.
fn folder(path: &Path, files: &[&str], tags: bool) {
    std::fs::create_dir(path).unwrap();
    for (band, file) in files.iter().enumerate() {
        let mut tiff = Tiff::i16(1, |_, row, col| {
            if (row, col) == (1, 1) {
                -9999
            } else {
                numbered(band, row, col) as i16
            }
        });
        if tags {
            tiff = tiff.items(&[("scale", 0, "0.0001")]);
            tiff.nodata = "-9999".into();
        }
        tiff.corner = Some([500_000.0, 4_900_000.0]);
        tiff.write(&path.join(file));
    }
}

#[test]
fn hls_of_landsat_has_landsats_numbers() {
    let scratch = tempfile::tempdir().unwrap();
    let name = "HLS.L30.T29UNU.2022278T115411.v2.0";
    let bands = [
        "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B09", "B10", "B11",
    ];
    let layers = ["Fmask", "SAA", "SZA", "VAA", "VZA"];
    let files: Vec<String> = (bands.iter().chain(&layers))
        .map(|band| format!("{name}.{band}.tif"))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    for (tags, of) in [(true, name), (false, "anything")] {
        let path = scratch.path().join(of);
        folder(&path, &files, tags);
        let scene = open(&path);
        assert_eq!(
            names(scene.as_ref()),
            [
                "coastal", "blue", "green", "red", "nir08", "swir16", "swir22", "cirrus", "lwir11",
                "lwir12"
            ]
        );
        let read = scene.read(&[1, 4, 8], PIXEL).unwrap();
        assert_eq!([read[[0, 0, 0]], read[[1, 0, 0]]], [0.2, 0.5]);
        // Degrees Celsius × 100 become kelvin / 100.
        assert!((read[[2, 0, 0]] - (90.0 + 273.15) / 100.0).abs() < 1e-6);
        let fill = Window {
            row: 1,
            col: 1,
            ..PIXEL
        };
        assert!(scene.read(&[1], fill).unwrap()[[0, 0, 0]].is_nan());
        // Numbers are the specification's where the tags are missing, with a note.
        let origin = scene.info().bands[1].radiometry.origin;
        assert_eq!(
            origin,
            if tags {
                Origin::Metadata
            } else {
                Origin::Specification
            }
        );
        assert_eq!(noted(scene.as_ref(), "HLS specification"), !tags);
        assert_eq!(scene.info().positions(&["nir".into()]).unwrap(), [4]);
        // Sentinel-2's band of the same number is another one.
        assert!(scene.info().positions(&["B05".into()]).is_err());
    }
    let path = scratch.path().join("HLS.S30.T29UNU.2022278T115411.v2.0");
    let files = [
        "B02", "B03", "B04", "B05", "B08", "B8A", "B10", "B11", "B12", "Fmask",
    ];
    let files = files.map(|band| format!("HLS.S30.T29UNU.2022278T115411.v2.0.{band}.tif"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    folder(&path, &files, true);
    // In the order of the files' names.
    assert_eq!(
        names(open(&path).as_ref()).join(" "),
        "blue green red rededge071 nir cirrus swir16 swir22 nir08"
    );
    // One file of all bands, named after the product.
    let stack = scratch
        .path()
        .join("HLS.L30.T29UNU.2022278T115411.v2.0.stack.tif");
    described(&stack, &["B04", "B05", "B09", "Fmask"]);
    assert_eq!(
        names(open(&stack).as_ref()),
        ["red", "nir08", "cirrus", "Fmask"]
    );
}

#[test]
fn descriptions_of_many_makers_are_bands() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    for (file, given, expected) in [
        (
            "a",
            "blue green red NIR1 SWIR1 SWIR2",
            "blue green red nir swir16 swir22",
        ),
        ("a", "B02_10m B8A_20m nir_08 swir_22", "blue nir08 - swir22"),
        (
            "a",
            "red nir_08 swir_16 rededge1",
            "red nir08 swir16 rededge071",
        ),
        (
            "a",
            "B2 B3 B4 B8 B8A B11 B12 QA60",
            "blue green red nir nir08 swir16 swir22 -",
        ),
        ("a", "0_B2 0_B3 0_B4 0_B8", "blue green red nir"),
        (
            "a",
            "20200101_B2 20200101_B3 20200101_B4 20200101_B12",
            "blue green red swir22",
        ),
        (
            "a",
            "coastal_blue blue green_i green yellow red rededge nir",
            "coastal blue green05 green yellow red rededge071 nir",
        ),
        (
            "LC09_L2SP_190024_20220101_02_T1",
            "SR_B2 SR_B5 SR_B6 SR_B7 ST_B10 QA_PIXEL",
            "blue nir08 swir16 swir22 lwir11 -",
        ),
        (
            "LT05_L2SP_190024_19900101_02_T1",
            "SR_B1 SR_B3 SR_B4 SR_B5 SR_B7",
            "blue red nir08 swir16 swir22",
        ),
        (
            "landsat7_toa",
            "B1 B2 B3 B4 B5 B7",
            "blue green red nir08 swir16 swir22",
        ),
        (
            "export_LC08",
            "B2 B3 B4 B5 B6 B7 B9",
            "blue green red nir08 swir16 swir22 cirrus",
        ),
        (
            "a",
            "SR_B2 SR_B3 SR_B4 SR_B5 SR_B6 SR_B7",
            "blue green red nir08 swir16 swir22",
        ),
        ("a", "cloud_mask sza red_std Band_4", "- - - -"),
    ] {
        let path = scratch.path().join(format!("{file}.tif"));
        let given: Vec<&str> = given.split(' ').collect();
        if given.contains(&"B8A_20m") {
            // The same band by two names.
            let error = error(&described(&path, &given), &SceneOptions::default());
            assert!(
                error.contains("bands 2 (`B8A_20m`) and 3 (`nir_08`)"),
                "{error}"
            );
            continue;
        }
        let scene = open(&described(&path, &given));
        for ((band, given), expected) in (scene.info().bands.iter())
            .zip(&given)
            .zip(expected.split(' '))
        {
            let expected = if expected == "-" { given } else { expected };
            assert_eq!(
                (band.name.as_str(), band.source.as_str()),
                (expected, *given)
            );
        }
    }
    // The product in the file's tags.
    let names_of = |text: &str| {
        let items = [("description", 0, "B4"), ("description", 1, "B5")];
        let mut tiff = Tiff::u16(2, numbered).items(&items);
        tiff.metadata = tiff.metadata.replace(
            "</GDALMetadata>",
            &format!("<Item name=\"SPACECRAFT\">{text}</Item></GDALMetadata>"),
        );
        names(open(&tiff.write(&path)).as_ref())
    };
    assert_eq!(names_of("LANDSAT_8"), ["red", "nir08"]);
    assert_eq!(names_of("Sentinel-2A"), ["red", "rededge071"]);
    assert_eq!(names_of("a mosaic"), ["red", "B5"]);
}

#[test]
fn an_ambiguous_number_is_no_band() {
    let scratch = tempfile::tempdir().unwrap();
    let path = described(&scratch.path().join("a.tif"), &["SR_B2", "SR_B3", "SR_B4"]);
    let scene = open(&path);
    assert_eq!(names(scene.as_ref()), ["SR_B2", "SR_B3", "SR_B4"]);
    let error = scene
        .info()
        .positions(&["red".into()])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Landsat 8 and 9, Landsat 4 and 5") && error.contains("`options.bands`"),
        "{error}"
    );
    let given = open_scene(&path, &with_bands("blue,green,red")).unwrap();
    assert_eq!(names(given.as_ref()), ["blue", "green", "red"]);
    // Red, green and blue have these numbers on both; the others have not.
    let path = described(
        &scratch.path().join("b.tif"),
        &["B2", "B3", "B4", "B5", "B6", "B7"],
    );
    let scene = open(&path);
    assert_eq!(
        names(scene.as_ref()),
        ["blue", "green", "red", "B5", "B6", "B7"]
    );
    assert!(noted(scene.as_ref(), "B5, B6, B7"));
}

#[test]
fn stacked_dates_are_refused_with_a_remedy() {
    let scratch = tempfile::tempdir().unwrap();
    let stacked = [
        "20200101_B4",
        "20200101_B8",
        "mask",
        "20200111_B4",
        "20200111_B8",
    ];
    let path = described(&scratch.path().join("a.tif"), &stacked);
    let said = error(&path, &SceneOptions::default());
    for part in [
        "bands 1 (`20200101_B4`) and 4 (`20200111_B4`)",
        "`red`",
        "dates",
        "`options.bands = red,nir,-,-,-`",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let scene = open_scene(&path, &with_bands("-,-,-,red,nir")).unwrap();
    assert_eq!(names(scene.as_ref()), ["red", "nir"]);
    let read = scene.read(&[1, 0], PIXEL).unwrap();
    assert_eq!([read[[0, 0, 0]], read[[1, 0, 0]]], [0.5, 0.4]);
    // Unknown names may be there twice.
    let path = described(&scratch.path().join("b.tif"), &["red", "angle", "angle"]);
    assert_eq!(names(open(&path).as_ref()), ["red", "angle", "angle"]);
}

#[test]
fn names_given_are_bands() {
    let scratch = tempfile::tempdir().unwrap();
    let path = described(&scratch.path().join("a.tif"), &["x", "y", "z"]);
    for (given, part) in [
        (
            "red,green,bleu",
            "`bleu` is not a band name. Did you mean `blue`?",
        ),
        ("red,green,nri", "`nir`"),
        ("red,green,red", "bands 1 and 3 are both `red`"),
        ("red,green", "gives 2 names, there are 3 bands"),
        ("-,-,-", "no band is left"),
        ("x1,y,z", "coastal (0.443 µm)"),
    ] {
        let error = error(&path, &with_bands(given));
        assert!(error.contains(part), "{given}: {error}");
    }
    let landsat = described(&scratch.path().join("LC08_x.tif"), &["x", "y", "z"]);
    let scene = open_scene(&landsat, &with_bands("B4,-,B5")).unwrap();
    assert_eq!(names(scene.as_ref()), ["red", "nir08"]);
    // In a picture.
    let picture = scratch.path().join("p.png");
    image::RgbImage::from_pixel(4, 4, image::Rgb([10, 20, 30]))
        .save(&picture)
        .unwrap();
    let scene = open_scene(&picture, &with_bands("nir,-,green")).unwrap();
    assert_eq!(names(scene.as_ref()), ["nir", "green"]);
    assert_eq!(scene.read(&[1], PIXEL).unwrap()[[0, 0, 0]], 30.0 / 255.0);
}

#[test]
fn the_multispectral_scanner_has_no_blue() {
    let scratch = tempfile::tempdir().unwrap();
    let name = "LM05_L1TP_001001_19850524_20210918_02_T2";
    let path = scratch.path().join(name);
    let files = ["B1", "B2", "B3", "B4"].map(|band| format!("{name}_{band}.TIF"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    folder(&path, &files, false);
    let stack = scratch.path().join("LM03_stack.tif");
    described(&stack, &["B4", "B5", "B6", "B7"]);
    let plain = Tiff::u16(4, numbered).write(&scratch.path().join("LM02_plain.tif"));
    for path in [path.as_path(), &path.join(files[0]), &stack, &plain] {
        let error = error(path, &SceneOptions::default());
        assert!(
            error.contains("MSS") && error.contains("no blue band"),
            "{error}"
        );
    }
    // Given names are accepted.
    let scene = open_scene(&stack, &with_bands("green,red,nir,-")).unwrap();
    assert_eq!(names(scene.as_ref()), ["green", "red", "nir"]);
}

#[test]
fn grids_are_equal_in_all_spellings() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = |change: &dyn Fn(&mut Tiff)| {
        let path = scratch.path().join("grid");
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        for (band, name) in ["B02.tif", "B03.tif", "B04.tif"].iter().enumerate() {
            let mut tiff = Tiff::u16(1, |_, row, col| numbered(band, row, col));
            tiff.corner = Some([500_000.0, 4_900_000.0]);
            if band == 2 {
                change(&mut tiff);
            }
            tiff.write(&path.join(name));
        }
        let scene = open(&path);
        let size = scene.info().size;
        assert_eq!(size, [ROWS, COLS]);
        scene
            .read(&[0, 1, 2], PIXEL)
            .map_err(|error| error.to_string())
    };
    let own = [1024, 0, 1, 1, 3072, 0, 1, 32767, 3074, 0, 1, 16031];
    for change in [
        &(|_: &mut Tiff| {}) as &dyn Fn(&mut Tiff),
        // Another order of keys, and a citation.
        &|tiff| {
            tiff.keys = vec![1024, 0, 1, 1, 1026, 34737, 9, 0, 3072, 0, 1, 32631];
            tiff.citation = "some citation|".into();
        },
        // The position of the first pixel's centre.
        &|tiff| {
            tiff.keys = vec![1024, 0, 1, 1, 1025, 0, 1, 2, 3072, 0, 1, 32631];
            tiff.corner = Some([500_005.0, 4_899_995.0]);
        },
        &|tiff| tiff.corner = Some([500_000.0 + 1e-10, 4_900_000.0 - 1e-9]),
    ] {
        assert_eq!(folder(change).unwrap()[[2, 0, 0]], 0.3);
    }
    for (change, part) in [
        (
            &(|tiff: &mut Tiff| tiff.corner = Some([500_001.0, 4_900_000.0])) as &dyn Fn(&mut Tiff),
            "transform",
        ),
        (
            &|tiff| tiff.keys = vec![1024, 0, 1, 1, 3072, 0, 1, 32632],
            "EPSG:32632",
        ),
        (&|tiff| tiff.keys = own.to_vec(), "one of its own"),
    ] {
        let error = folder(change).unwrap_err();
        assert!(error.contains("B04.tif") && error.contains(part), "{error}");
    }
}

#[test]
fn layers_of_a_folder_are_no_bands() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch
        .path()
        .join("LC08_L2SP_020039_20150118_20200101_02_T1");
    let name = "LC08_L2SP_020039_20150118_20200101_02_T1";
    let files = ["SR_B2", "SR_B3", "SR_B4", "SR_B5"].map(|band| format!("{name}_{band}.TIF"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    folder(&path, &files, false);
    // Of another size, of several bands, broken: none of them is read.
    for layer in ["QA_PIXEL", "SR_QA_AEROSOL", "ST_EMIS_mask"] {
        std::fs::write(path.join(format!("{name}_{layer}.TIF")), b"broken").unwrap();
    }
    std::fs::write(path.join(format!("{name}_B8.TIF")), b"broken").unwrap();
    let scene = open(&path);
    assert_eq!(
        names(scene.as_ref()),
        ["pan", "blue", "green", "red", "nir08"]
    );
    assert!(noted(scene.as_ref(), "pan can't be read"));
    assert!(noted(scene.as_ref(), "MTL"), "{:?}", scene.info().notes);
    assert!(scene.read(&[1, 2, 3, 4], PIXEL).is_ok());
    assert!(
        scene
            .read(&[0], PIXEL)
            .unwrap_err()
            .to_string()
            .contains("_B8.TIF")
    );
}
