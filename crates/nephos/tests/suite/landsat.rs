//! Landsat products: reflectance right to the number, metadata that are broken.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use ndarray_npy::ReadNpyExt;
use nephos::scene::landsat::{LandsatScene, Mtl};
use nephos::scene::{SATURATED_REFLECTANCE, Scene, SceneOptions, Window, open_scene};
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

/// Through the door that every scene comes in by, and then as what it is.
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
            // The sun is spoken of where it was divided by, and nowhere else.
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
                let (got, want) = (part[[position, row, col]], all[[band, row + 7, col + 2]]);
                assert!(got == want || got.is_nan() && want.is_nan());
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
    // Two that fit are no choice to make silently.
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
        (level1, "RADIANCE_MULT_BAND_10"),
        (level1, "K1_CONSTANT_BAND_11"),
        (level1, "SUN_ELEVATION"),
        (level1, "SPACECRAFT_ID"),
        (level2, "TEMPERATURE_ADD_BAND_ST_B10"),
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
fn a_missing_band_is_left_out_and_said() {
    let copy = edited(PRODUCTS[0].0, |text| text);
    std::fs::remove_file(copy.path().join("x_b9.tif")).unwrap();
    let scene = open(copy.path());
    let notes = scene.info().notes.join("\n");
    assert!(notes.contains("Band B9 (cirrus) is left out"), "{notes}");
    assert_eq!(scene.info().bands.len(), 9);
    let wanted = ["cirrus".to_owned()];
    assert!(scene.info().positions(&wanted).is_err());
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
fn files_of_two_grids_are_refused() {
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
        refused += usize::from(LandsatScene::open(copy.path(), &SceneOptions::default()).is_err());
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
fn the_real_scene_is_what_gdal_reads() {
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
