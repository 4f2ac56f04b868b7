//! Landsat products: reflectance right to the number, metadata that are broken.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use ndarray_npy::ReadNpyExt;
use nephos::raster::Window;
use nephos::scene::landsat::{LandsatScene, Mtl};
use nephos::scene::{SATURATED_REFLECTANCE, Scene, SceneOptions, open_scene};
use proptest::prelude::*;

use super::outside;

const PRODUCTS: [(&str, &str); 5] = [
    (
        "LC08_L1TP_020039_20150804_20200908_02_T1",
        "Landsat 8 Collection 2 Level-1 (L1TP)",
    ),
    (
        "LC09_L2SP_020039_20220804_20220806_02_T1",
        "Landsat 9 Collection 2 Level-2 (L2SP)",
    ),
    (
        "LE07_L1TP_020039_20010804_20200917_02_T1",
        "Landsat 7 Collection 2 Level-1 (L1TP)",
    ),
    (
        "LT04_L2SP_020039_19890804_20200916_02_T1",
        "Landsat 4 Collection 2 Level-2 (L2SP)",
    ),
    (
        "LT05_L1TP_020039_19950804_20200912_02_T1",
        "Landsat 5 Collection 2 Level-1 (L1TP)",
    ),
];

fn folder(product: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/parity/landsat")
        .join(product)
}

/// Opened as any scene, and as a Landsat scene.
fn open(path: &Path) -> LandsatScene {
    let scene = open_scene(path, &SceneOptions::default()).unwrap();
    assert!(scene.info().product.starts_with("Landsat"));
    LandsatScene::open(path, &SceneOptions::default()).unwrap()
}

fn whole(scene: &LandsatScene) -> Array3<f32> {
    let [rows, cols] = scene.info().size;
    let bands: Vec<usize> = (0..scene.info().bands.len()).collect();
    let window = Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    scene.read(&bands, window).unwrap()
}

/// Equal to a unit in the last place of f32, which two orders of the same f64
/// operations may differ by; NaN equals NaN.
fn assert_same(got: &Array3<f32>, expected: &Array3<f32>, what: &str) {
    assert_eq!(got.dim(), expected.dim(), "{what}");
    for ((place, got), expected) in got.indexed_iter().zip(expected) {
        let same = (got.is_nan() && expected.is_nan())
            || (got - expected).abs() <= f32::EPSILON * expected.abs();
        assert!(same, "{what} at {place:?}: {got}, not {expected}");
    }
}

#[test]
fn reflectance_is_right_to_the_number_in_every_product() {
    for (product, words) in PRODUCTS {
        let folder = folder(product);
        let expected =
            Array3::<f32>::read_npy(std::fs::File::open(folder.join("expected.npy")).unwrap());
        let expected = expected.unwrap();
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let described: serde_json::Value = serde_json::from_str(&text).unwrap();
        for path in [
            folder.clone(),
            folder.join(format!("{product}_MTL.txt")),
            folder.join(format!("{product}_MTL.json")),
        ] {
            let scene = open(&path);
            let info = scene.info();
            assert_eq!(info.product, words);
            assert_eq!(info.name, product);
            assert_eq!(
                info.acquired.as_deref(),
                Some("2015-08-04T16:19:21.7917420Z")
            );
            assert_eq!(info.sun.unwrap().azimuth, 115.87210674);
            let names: Vec<&str> = info.bands.iter().map(|band| band.name.as_str()).collect();
            let sources: Vec<&str> = info.bands.iter().map(|b| b.source.as_str()).collect();
            assert_eq!(serde_json::json!(names), described["names"], "{product}");
            assert_eq!(
                serde_json::json!(sources),
                described["sources"],
                "{product}"
            );
            assert_eq!(info.georeference.keys.as_ref().unwrap().epsg(), Some(32616));
            assert_eq!(
                info.georeference.transform,
                Some([384000.0, 30.0, 0.0, 3469500.0, 0.0, -30.0])
            );
            // The note on the sun is there exactly where it was divided by.
            let said = info
                .notes
                .iter()
                .any(|note| note.contains("sun's elevation"));
            assert_eq!(said, words.contains("Level-1"), "{:?}", info.notes);
            let got = whole(&scene);
            assert_same(&got, &expected, product);
            assert!(got.iter().any(|v| v.is_nan()));
            assert!(got.iter().any(|v| *v == SATURATED_REFLECTANCE));
            assert!(got.iter().any(|v| *v < 0.0), "negative reflectance is kept");
        }
    }
}

/// The metadata of a product in the JSON form as XML, as USGS writes it.
fn as_xml(product: &str) -> String {
    let text = std::fs::read_to_string(folder(product).join(format!("{product}_MTL.json")));
    let json: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    for (root, groups) in json.as_object().unwrap() {
        xml += &format!("<{root}>\n");
        for (group, entries) in groups.as_object().unwrap() {
            xml += &format!("  <{group}>\n");
            for (key, value) in entries.as_object().unwrap() {
                xml += &format!("    <{key}>{}</{key}>\n", value.as_str().unwrap());
            }
            xml += &format!("  </{group}>\n");
        }
        xml += &format!("</{root}>\n");
    }
    xml
}

#[test]
fn metadata_as_xml_are_those_as_text() {
    for (product, words) in PRODUCTS {
        let copy = edited(product, |text| text);
        std::fs::remove_file(copy.path().join("x_mtl.TXT")).unwrap();
        let file = copy.path().join("x_MTL.xml");
        std::fs::write(&file, as_xml(product)).unwrap();
        for path in [copy.path(), file.as_path()] {
            let scene = open(path);
            assert_eq!(
                (scene.info().product.as_str(), scene.info().name.as_str()),
                (words, product)
            );
            assert_same(&whole(&scene), &whole(&open(&folder(product))), product);
        }
        // A key that is missing is named, as in text.
        std::fs::write(&file, as_xml(product).replace("SPACECRAFT_ID", "OTHER")).unwrap();
        let error = LandsatScene::open(copy.path(), &SceneOptions::default());
        let message = error.err().unwrap().to_string();
        assert!(
            message.contains("no SPACECRAFT_ID") && message.contains("x_MTL.xml"),
            "{message}"
        );
    }
}

/// Thermal constants of the months in which Landsat 8's sensor was off.
#[test]
fn a_thermal_band_without_a_gain_is_left_out_with_a_note() {
    let (level1, level2) = (PRODUCTS[0].0, PRODUCTS[1].0);
    let gain = |text: &str, key: &str, value: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for line in &mut lines {
            if line.trim_start().starts_with(&format!("{key} =")) {
                *line = match value {
                    "" => String::new(),
                    value => format!("    {key} = {value}"),
                };
            }
        }
        lines.join("\n") + "\n"
    };
    for (product, key, value, left) in [
        (
            level1,
            "RADIANCE_MULT_BAND_10",
            "0.0000E+00",
            "B10 (lwir11)",
        ),
        (level1, "K1_CONSTANT_BAND_11", "0", "B11 (lwir12)"),
        (level1, "K2_CONSTANT_BAND_10", "", "B10 (lwir11)"),
        (level1, "RADIANCE_ADD_BAND_10", "", "B10 (lwir11)"),
        (level1, "RADIANCE_MULT_BAND_11", "NaN", "B11 (lwir12)"),
        (
            level2,
            "TEMPERATURE_MULT_BAND_ST_B10",
            "0",
            "ST_B10 (lwir11)",
        ),
        (level2, "TEMPERATURE_ADD_BAND_ST_B10", "", "ST_B10 (lwir11)"),
    ] {
        let copy = edited(product, |text| gain(&text, key, value));
        let scene = open(copy.path());
        let notes = scene.info().notes.join("\n");
        assert!(
            notes.contains(&format!("{left} is left out")) && notes.contains(key),
            "{notes}"
        );
        let before = open(&folder(product));
        // As bands are named in messages: name (source).
        let (source, name) = left.trim_end_matches(')').split_once(" (").unwrap();
        let swapped = format!("{name} ({source})");
        let kept: Vec<usize> = (0..before.info().bands.len())
            .filter(|band| before.info().bands[*band].label() != swapped)
            .collect();
        assert_eq!(scene.info().bands.len(), kept.len(), "{notes}");
        let [rows, cols] = scene.info().size;
        let window = Window {
            row: 0,
            col: 0,
            rows,
            cols,
        };
        assert_same(&whole(&scene), &before.read(&kept, window).unwrap(), key);
        // The error of reading it has the reason.
        let name = left.split(['(', ')']).nth(1).unwrap().to_owned();
        let error = scene.info().positions(&[name]).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_broken_band_is_an_error_only_when_read() {
    let product = PRODUCTS[0].0;
    let read = |scene: &LandsatScene, name: &str| {
        let band = scene.info().positions(&[name.to_owned()]).unwrap();
        let [rows, cols] = scene.info().size;
        let window = Window {
            row: 0,
            col: 0,
            rows,
            cols,
        };
        scene.read(&band, window).map_err(|error| error.to_string())
    };
    for (file, name, content) in [
        ("x_b10.tif", "lwir11", &b"no TIFF"[..]),
        ("x_b1.tif", "coastal", &b""[..]),
        ("x_b9.tif", "cirrus", &b"II\x2a\0\x08\0"[..]),
    ] {
        let copy = edited(product, |text| text);
        std::fs::write(copy.path().join(file), content).unwrap();
        let scene = open(copy.path());
        assert!(scene.info().notes.iter().any(|note| note.contains(file)));
        assert!(read(&scene, "red").is_ok() && read(&scene, "nir").is_ok());
        let error = read(&scene, name).unwrap_err();
        assert!(error.contains(file), "{error}");
    }
    // All of them broken is an error at once.
    let copy = edited(product, |text| text);
    for entry in std::fs::read_dir(copy.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "tif") {
            std::fs::write(path, b"x").unwrap();
        }
    }
    assert!(LandsatScene::open(copy.path(), &SceneOptions::default()).is_err());
}

#[test]
fn the_multispectral_scanner_is_refused_by_name() {
    let copy = edited(PRODUCTS[4].0, |text| text.replace("\"TM\"", "\"MSS\""));
    let error = open_scene(copy.path(), &SceneOptions::default());
    let message = error.err().unwrap().to_string();
    assert!(
        message.contains("MSS") && message.contains("no blue band"),
        "{message}"
    );
}

#[test]
fn names_given_may_skip_bands() {
    let names = "-,blue,B3,red,-,-,-,-,-,lwir12";
    let options = SceneOptions {
        bands: Some(names.split(',').map(str::to_owned).collect()),
        ..SceneOptions::default()
    };
    let scene = LandsatScene::open(&folder(PRODUCTS[0].0), &options).unwrap();
    let found: Vec<&str> = scene
        .info()
        .bands
        .iter()
        .map(|band| band.name.as_str())
        .collect();
    assert_eq!(found, ["blue", "green", "red", "lwir12"]);
    let before = open(&folder(PRODUCTS[0].0));
    let [rows, cols] = scene.info().size;
    let window = Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    assert_same(
        &whole(&scene),
        &before.read(&[1, 2, 3, 9], window).unwrap(),
        names,
    );
}

#[test]
fn windows_are_cut_from_the_whole() {
    let scene = open(&folder(PRODUCTS[0].0));
    let all = whole(&scene);
    let window = Window {
        row: 7,
        col: 2,
        rows: 10,
        cols: 18,
    };
    let part = scene.read(&[9, 3], window).unwrap();
    for (position, band) in [9, 3].into_iter().enumerate() {
        for row in 0..10 {
            for col in 0..18 {
                let (got, expected) = (part[[position, row, col]], all[[band, row + 7, col + 2]]);
                assert!(got == expected || got.is_nan() && expected.is_nan());
            }
        }
    }
    let outside = Window { row: 9, ..window };
    assert!(scene.read(&[0], outside).is_err());
    assert!(scene.read(&[10], window).is_err());
}

#[test]
fn the_near_infrared_has_two_names() {
    for (product, _) in PRODUCTS {
        let info = open(&folder(product)).info().clone();
        let find = |name: &str| info.positions(&[name.to_owned()]).map(|found| found[0]);
        let nir = find("nir08").unwrap();
        assert!(
            info.bands[nir]
                .source
                .ends_with(if product.starts_with("LC") {
                    "B5"
                } else {
                    "B4"
                })
        );
        assert_eq!(find("nir").unwrap(), nir);
        assert_eq!(find("B8A").unwrap(), nir);
        let message = find("rededge071").unwrap_err().to_string();
        assert!(
            message.contains("`rededge071`") && message.contains("red ("),
            "{message}"
        );
    }
}

/// A copy of a product whose metadata are `edit`ed and whose files are renamed.
fn edited(product: &str, edit: impl Fn(String) -> String) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(product)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with("_MTL.txt") {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(copy.path().join("x_mtl.TXT"), edit(text)).unwrap();
        } else if let Some((_, band)) = name.split_once("_T1_")
            && name.ends_with(".TIF")
        {
            let renamed = format!("x_{}", band.to_lowercase());
            std::fs::copy(&path, copy.path().join(renamed)).unwrap();
        }
    }
    copy
}

#[test]
fn renamed_files_are_found_by_their_ending() {
    for (product, _) in PRODUCTS {
        let copy = edited(product, |text| text);
        assert_same(
            &whole(&open(copy.path())),
            &whole(&open(&folder(product))),
            product,
        );
    }
    // Two that fit are an error.
    let copy = edited(PRODUCTS[0].0, |text| text);
    std::fs::copy(copy.path().join("x_b4.tif"), copy.path().join("y_B4.TIF")).unwrap();
    let error = LandsatScene::open(copy.path(), &SceneOptions::default());
    let message = error.err().unwrap().to_string();
    assert!(message.contains("x_b4.tif and y_B4.TIF"), "{message}");
}

#[test]
fn a_missing_key_is_named() {
    let (level1, level2) = (PRODUCTS[0].0, PRODUCTS[1].0);
    for (product, key) in [
        (level1, "REFLECTANCE_MULT_BAND_4"),
        (level1, "REFLECTANCE_ADD_BAND_9"),
        (level1, "SUN_ELEVATION"),
        (level1, "SPACECRAFT_ID"),
        (level2, "REFLECTANCE_ADD_BAND_7"),
    ] {
        let gone = format!("{key} =");
        let copy = edited(product, |text| text.replacen(&gone, "OTHER =", 1));
        let error = LandsatScene::open(copy.path(), &SceneOptions::default());
        let message = error.err().unwrap().to_string();
        assert!(message.contains(&format!("no {key} ")), "{message}");
        assert!(message.contains("x_mtl.TXT"), "{message}");
    }
    // The gains of Level-1 that a Level-2 file repeats are no substitute.
    let copy = edited(level2, |text| {
        text.replacen("REFLECTANCE_MULT_BAND_4 =", "OTHER =", 1)
    });
    let error = LandsatScene::open(copy.path(), &SceneOptions::default());
    let message = error.err().unwrap().to_string();
    assert!(message.contains("LEVEL2_SURFACE_REFLECTANCE"), "{message}");
}

#[test]
fn a_missing_band_is_left_out_with_a_note() {
    let copy = edited(PRODUCTS[0].0, |text| text);
    std::fs::remove_file(copy.path().join("x_b9.tif")).unwrap();
    let scene = open(copy.path());
    let notes = scene.info().notes.join("\n");
    assert!(notes.contains("Band B9 (cirrus) is left out"), "{notes}");
    assert_eq!(scene.info().bands.len(), 9);
    let requested = ["cirrus".to_owned()];
    assert!(scene.info().positions(&requested).is_err());
}

#[test]
fn options_go_before_the_metadata() {
    let options = SceneOptions {
        scale: Some(10000.0),
        offset: Some(-500.0),
        nodata: Some(1.0),
        ..SceneOptions::default()
    };
    let scene = LandsatScene::open(&folder(PRODUCTS[0].0), &options).unwrap();
    let info = scene.info();
    assert_eq!(info.bands[3].radiometry.apply(2500.0), 0.2);
    assert!(info.bands[3].radiometry.apply(1.0).is_nan());
    assert_eq!(info.bands[3].radiometry.apply(0.0), -0.05);
    // Temperature has a scale of its own.
    assert!(info.bands[8].radiometry.thermal.is_some());
    let offset = SceneOptions {
        offset: Some(-100.0),
        ..SceneOptions::default()
    };
    let shifted = LandsatScene::open(&folder(PRODUCTS[0].0), &offset).unwrap();
    let own = open(&folder(PRODUCTS[0].0));
    let band = |scene: &LandsatScene| scene.info().bands[3].radiometry.clone();
    assert_eq!(band(&shifted).gain, band(&own).gain);
    assert_eq!(band(&shifted).apply(100.0), 0.0);
    for options in [
        SceneOptions {
            resolution: Some(15.0),
            ..SceneOptions::default()
        },
        SceneOptions {
            bands: Some(vec!["red".to_owned()]),
            ..SceneOptions::default()
        },
    ] {
        assert!(LandsatScene::open(&folder(PRODUCTS[0].0), &options).is_err());
    }
}

#[test]
fn a_file_on_another_grid_is_an_error_only_when_read() {
    let copy = edited(PRODUCTS[1].0, |text| text);
    let other = folder("../raster");
    let tiff = std::fs::read_dir(other)
        .unwrap()
        .flatten()
        .map(|e| e.path());
    let tiff = tiff.filter(|path| path.extension().is_some_and(|e| e == "tif"));
    let mut refused = 0;
    for path in tiff {
        std::fs::copy(path, copy.path().join("x_sr_b4.tif")).unwrap();
        let scene = open(copy.path());
        let read = |name: &str| {
            let band = scene.info().positions(&[name.to_owned()]).unwrap();
            let window = Window {
                row: 0,
                col: 0,
                rows: 1,
                cols: 1,
            };
            scene.read(&band, window).map_err(|error| error.to_string())
        };
        assert!(read("green").is_ok());
        let error = read("red").unwrap_err();
        assert!(error.contains("x_sr_b4.tif"), "{error}");
        refused += 1;
    }
    assert!(refused > 0);
}

#[test]
fn metadata_that_are_cut_off_are_refused() {
    let text = std::fs::read(folder(PRODUCTS[0].0).join(format!("{}_MTL.txt", PRODUCTS[0].0)));
    let text = text.unwrap();
    let end = text.len() - "END_GROUP = LANDSAT_METADATA_FILE\nEND\n".len();
    for length in 0..=end {
        assert!(Mtl::parse(Path::new("x"), &text[..length]).is_err());
    }
    let json = std::fs::read(folder(PRODUCTS[0].0).join(format!("{}_MTL.json", PRODUCTS[0].0)));
    let json = json.unwrap();
    for length in 0..json.len() - 2 {
        assert!(Mtl::parse(Path::new("x"), &json[..length]).is_err());
    }
    let long = vec![b' '; (1 << 20) + 1];
    assert!(Mtl::parse(Path::new("x"), &long).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever bits flip in the metadata, the product opens or is refused, and what
    /// opens has numbers that mean something.
    #[test]
    fn flipped_bits_never_panic(
        product in 0..PRODUCTS.len(),
        json in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..6),
    ) {
        let product = PRODUCTS[product].0;
        let ending = if json { "json" } else { "txt" };
        let source = folder(product).join(format!("{product}_MTL.{ending}"));
        let mut bytes = std::fs::read(source).unwrap();
        for (index, bit) in flips {
            let place = index.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        if let Ok(mtl) = Mtl::parse(Path::new("x"), &bytes) {
            let copy = edited(product, |_| String::from_utf8_lossy(&bytes).into_owned());
            if let Ok(scene) = LandsatScene::open(copy.path(), &SceneOptions::default()) {
                for band in &scene.info().bands {
                    prop_assert!(band.radiometry.gain > 0.0);
                    prop_assert!(band.radiometry.bias.is_finite());
                }
            }
            prop_assert_eq!(mtl.path(), Path::new("x"));
        }
    }
}

/// The real scene against GDAL's decoding of it, with the formula of its metadata.
#[test]
fn the_real_scene_is_read_as_by_gdal() {
    let Some(folder) = outside::images("landsat8_scene") else {
        return;
    };
    let scene = open(&folder);
    let info = scene.info();
    assert_eq!(info.product, "Landsat 8 pre-collection Level-1 (L1T)");
    assert_eq!(info.bands.len(), 10);
    assert_eq!(info.size, [603, 627]);
    let Some(mut python) = outside::python("numpy, rasterio") else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let script = "\
import sys, math, numpy as np, rasterio
folder, out = sys.argv[1:]
sine = math.sin(math.radians(64.74360932))
planes = []
for band in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11):
    with rasterio.open(f'{folder}/l8_B{band}.tif') as file:
        dn = file.read(1).astype(np.float64)
        where = (*file.transform.to_gdal(), file.crs.to_epsg())
    if band < 10:
        value = (dn * 2e-5 - 0.1) / sine
        value[dn == 65535] = 2
    else:
        k1, k2 = ((774.8853, 1321.0789), (480.8883, 1201.1442))[band - 10]
        value = k2 / np.log(k1 / (dn * 3.3420e-04 + 0.1) + 1) / 100
    value[dn == 0] = np.nan
    planes.append(value.astype(np.float32))
np.save(out, np.stack(planes))
print(*where)
";
    let file = scratch.path().join("expected.npy");
    let place = outside::output(python.args(["-c", script]).arg(&folder).arg(&file));
    let expected = Array3::<f32>::read_npy(std::fs::File::open(&file).unwrap()).unwrap();
    assert_same(&whole(&scene), &expected, "landsat8_scene");
    let place: Vec<f64> = place
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(info.georeference.transform.unwrap().as_slice(), &place[..6]);
    let epsg = info.georeference.keys.as_ref().unwrap().epsg().unwrap();
    assert_eq!(f64::from(epsg), place[6]);
}

#[test]
fn the_files_own_no_data_and_masks_are_honoured() {
    use nephos::mask::{CogSpec, CogWriter, Resampling};
    use nephos::raster::Georeference;

    let (product, _) = PRODUCTS[0];
    let scratch = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(product)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), scratch.path().join(entry.file_name())).unwrap();
    }
    let before = whole(&open(scratch.path()));
    let info = open(scratch.path());
    let info = info.info();
    let red = info
        .bands
        .iter()
        .position(|band| band.source == "B4")
        .unwrap();
    let nir = info
        .bands
        .iter()
        .position(|band| band.source == "B5")
        .unwrap();
    let [height, width] = info.size;
    let file = |source: &str| scratch.path().join(format!("{product}_{source}.TIF"));
    // The number that says saturated, as the file's own metadata would state it.
    let sidecar = format!("{}.aux.xml", file("B4").display());
    let text = "<PAMDataset><PAMRasterBand band=\"1\"><NoDataValue>65535</NoDataValue>\
                </PAMRasterBand></PAMDataset>";
    std::fs::write(&sidecar, text).unwrap();
    let spec = CogSpec {
        width,
        height,
        bands: 1,
        georeference: Georeference::default(),
        nodata: None,
        palette: None,
        band_names: Vec::new(),
        scale: None,
        tags: Vec::new(),
        overview: Resampling::Mean,
    };
    let mask = PathBuf::from(format!("{}.msk", file("B5").display()));
    let mut writer = CogWriter::create(&mask, spec).unwrap();
    let valid = Array3::from_shape_fn(
        (1, height, width),
        |(_, row, _)| {
            if row < 3 { 0 } else { 255 }
        },
    );
    writer.write_rows(valid.view()).unwrap();
    writer.finish().unwrap();

    let scene = open(scratch.path());
    let notes = &scene.info().notes;
    assert!(
        notes.iter().any(|note| note.contains("65535 is no data")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.contains("B5.TIF.msk")),
        "{notes:?}"
    );
    let after = whole(&scene);
    let mut lost = 0;
    for ((place, now), then) in after.indexed_iter().zip(&before) {
        let (band, row, _) = place;
        let gone = (band == red && *then == SATURATED_REFLECTANCE) || (band == nir && row < 3);
        lost += usize::from(gone && !then.is_nan());
        match gone {
            true => assert!(now.is_nan(), "{place:?}"),
            false => assert!(now == then || now.is_nan() && then.is_nan(), "{place:?}"),
        }
    }
    assert!(lost > 0);
    // The user's number replaces all others.
    let options = SceneOptions {
        nodata: Some(f64::NAN),
        ..SceneOptions::default()
    };
    let scene = LandsatScene::open(scratch.path(), &options).unwrap();
    assert!(
        whole(&scene)
            .index_axis(ndarray::Axis(0), red)
            .iter()
            .all(|v| v.is_finite())
    );
}
