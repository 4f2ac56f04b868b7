//! TIFFs of every kind, compared with what GDAL reads from them: `parity/tiff/make.py`
//! writes them and the expected values.

use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayD, Axis, Ix3, s};
use ndarray_npy::read_npy;
use nephos::raster::{DType, Georeference, Window};
use nephos::samples;
use nephos::scene::{self, Origin, Scene, SceneOptions};
use proptest::prelude::*;
use serde_json::Value;

use super::outside;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/tiff")
}

/// Stored numbers unchanged: every band is divided by 1.
fn as_stored() -> SceneOptions {
    SceneOptions {
        scale: Some(1.0),
        declared_only: true,
        ..SceneOptions::default()
    }
}

fn whole(scene: &dyn Scene) -> Window {
    let [rows, cols] = scene.info().size;
    Window {
        row: 0,
        col: 0,
        rows,
        cols,
    }
}

fn read(scene: &dyn Scene, window: Window) -> nephos::Result<Array3<f32>> {
    let bands: Vec<usize> = (0..scene.info().bands.len()).collect();
    scene.read(&bands, window)
}

/// Little-endian numbers as f64, in which all of them are exact.
fn widen(dtype: DType, raw: &[u8]) -> Vec<f64> {
    let numbers = raw.chunks_exact(dtype.size());
    match dtype {
        DType::U8 => raw.iter().map(|v| f64::from(*v)).collect(),
        DType::I8 => raw.iter().map(|v| f64::from(*v as i8)).collect(),
        DType::U16 => numbers
            .map(|b| u16::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        DType::I16 => numbers
            .map(|b| i16::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        DType::U32 => numbers
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        DType::I32 => numbers
            .map(|b| i32::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        DType::F32 => numbers
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        DType::F64 => numbers
            .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
            .collect(),
        other => panic!("{other:?} is not among the files"),
    }
}

/// Equal bit for bit, but that all NaN are the same.
fn same(found: f64, expected: f64) -> bool {
    found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
}

fn check_pixels(file: &Path, entry: &Value, name: &str) {
    let folder = file.parent().unwrap();
    let stored: ArrayD<f64> = read_npy(folder.join(entry["stored"].as_str().unwrap())).unwrap();
    let stored = stored.into_dimensionality::<Ix3>().unwrap();
    let valid: ArrayD<u8> = read_npy(folder.join(entry["valid"].as_str().unwrap())).unwrap();
    let valid = valid.into_dimensionality::<Ix3>().unwrap();

    let source = samples::open(file).unwrap();
    let (dtype, shape, raw) = source.read_raw(0).unwrap();
    assert_eq!(
        shape,
        [stored.dim().0, stored.dim().1, stored.dim().2],
        "{name}"
    );
    assert_eq!(dtype.name(), entry["dtype"].as_str().unwrap(), "{name}");
    for (position, (found, expected)) in widen(dtype, &raw).iter().zip(&stored).enumerate() {
        assert!(
            same(*found, *expected),
            "{name}: number {position} is {found}, not {expected}"
        );
    }

    let scene = scene::open_scene(file, &as_stored()).unwrap();
    let alpha = entry["alpha"].as_u64().map(|alpha| alpha as usize);
    let own: Vec<usize> = (0..stored.dim().0)
        .filter(|band| Some(*band) != alpha)
        .collect();
    let mut expected = stored.select(Axis(0), &own).mapv(|v| v as f32);
    ndarray::Zip::from(&mut expected)
        .and(&valid.select(Axis(0), &own))
        // An infinity is no measurement either.
        .for_each(|v, valid| {
            *v = if *valid == 0 || v.is_infinite() {
                f32::NAN
            } else {
                *v
            }
        });
    let all = read(scene.as_ref(), whole(scene.as_ref())).unwrap();
    assert_eq!(all.dim(), expected.dim(), "{name}");
    for (at, found) in all.indexed_iter() {
        let expected = expected[at];
        let same = *found == expected || found.is_nan() && expected.is_nan();
        assert!(same, "{name}: {found} at {at:?}, not {expected}");
    }

    let [rows, cols] = scene.info().size;
    let last = own.len() - 1;
    for (row, col) in [
        (0, 0),
        (rows / 3, cols / 2),
        (rows - 1, cols - 1),
        (1.min(rows - 1), 0),
    ] {
        for share in [1, 2, 5] {
            let window = Window {
                row,
                col,
                rows: (rows - row).div_ceil(share),
                cols: (cols - col).div_ceil(share),
            };
            let found = scene.read(&[last, 0], window).unwrap();
            let within = s![.., row..row + window.rows, col..col + window.cols];
            let expected = all.select(Axis(0), &[last, 0]).slice(within).to_owned();
            let bits = |array: &Array3<f32>| array.mapv(f32::to_bits);
            assert_eq!(bits(&found), bits(&expected), "{name}: {window:?}");
        }
    }
}

fn check_metadata(file: &Path, entry: &Value, name: &str) {
    let place = Georeference::read(file).unwrap();
    match entry["transform"].as_array() {
        None => assert_eq!(place.transform, None, "{name}"),
        Some(expected) => {
            let found = place
                .transform
                .unwrap_or_else(|| panic!("{name}: no transform"));
            for (found, expected) in found.iter().zip(expected) {
                let expected = expected.as_f64().unwrap();
                let close = (found - expected).abs() <= 1e-12 * expected.abs().max(1.0);
                assert!(close, "{name}: {found}, not {expected}");
            }
        }
    }
    let epsg = entry["epsg"].as_u64().map(|code| code as u16);
    let found = place.keys.as_ref().and_then(|keys| keys.epsg());
    assert_eq!(found, epsg, "{name}");
    assert!(place.keys.is_some() || entry["crs"] == false, "{name}");

    let scene = scene::open_scene(file, &SceneOptions::default()).unwrap();
    assert_eq!(scene.info().georeference, place, "{name}");
    let number = |key: &str, band: usize| entry[key][band].as_f64().unwrap();
    for (band, info) in scene.info().bands.iter().enumerate() {
        if let Some(description) = entry["descriptions"][band].as_str() {
            assert_eq!(info.source, description, "{name}");
        }
        let scaling = (number("scales", band), number("offsets", band));
        if scaling == (1.0, 0.0) {
            assert_eq!(info.radiometry.origin, Origin::Guessed, "{name}");
        } else {
            assert_eq!(
                (info.radiometry.gain, info.radiometry.bias),
                scaling,
                "{name}"
            );
            assert_eq!(info.radiometry.origin, Origin::Metadata, "{name}");
        }
    }
}

/// Every file that a folder's index lists; how many there are.
fn check_folder(folder: &Path) -> usize {
    let index = std::fs::read_to_string(folder.join("index.json")).unwrap();
    let index: Vec<Value> = serde_json::from_str(&index).unwrap();
    for entry in &index {
        let name = entry["file"].as_str().unwrap();
        check_pixels(&folder.join(name), entry, name);
        check_metadata(&folder.join(name), entry, name);
    }
    index.len()
}

#[test]
fn golden_tiffs_are_read_as_gdal_reads_them() {
    assert_eq!(check_folder(&folder().join("golden")), 6);
}

#[test]
fn tiffs_of_every_kind_are_read_as_gdal_reads_them() {
    let Some(mut python) = outside::python("rasterio, tifffile") else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    outside::output(python.arg(folder().join("make.py")).arg(scratch.path()));
    assert!(check_folder(scratch.path()) > 400);
}

/// The small files in the repository.
fn golden() -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder().join("golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "tif"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), 6);
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Reads bytes as a scene; whatever comes, it is no panic.
fn survive(bytes: &[u8]) -> bool {
    let scratch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(scratch.path(), bytes).unwrap();
    let _ = Georeference::read(scratch.path());
    let Ok(scene) = scene::open_scene(scratch.path(), &SceneOptions::default()) else {
        return false;
    };
    let [rows, cols] = scene.info().size;
    let window = Window {
        row: rows / 2,
        col: cols / 2,
        rows: (rows - rows / 2).min(64),
        cols: (cols - cols / 2).min(64),
    };
    let first = Window {
        row: 0,
        col: 0,
        ..window
    };
    read(scene.as_ref(), window).is_ok() && read(scene.as_ref(), first).is_ok()
}

#[test]
fn truncated_tiffs_are_errors() {
    for whole in golden() {
        assert!(survive(&whole));
        for len in (0..whole.len()).step_by(31) {
            // GDAL writes the header first, so that a cut hits pixels or the tables.
            survive(&whole[..len]);
        }
        assert!(!survive(&whole[..whole.len() / 4]));
    }
}

/// A little-endian TIFF of one strip with the tags given, and no pixels.
fn header(tags: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    bytes
}

#[test]
fn hostile_sizes_are_errors_before_anything_is_allocated() {
    let sizes = [1, 3, 70_000, 1 << 20, (1 << 20) + 1, u32::MAX];
    let scratch = tempfile::NamedTempFile::new().unwrap();
    for (width, height) in sizes.iter().flat_map(|w| sizes.map(|h| (*w, h))) {
        for (compression, offset, samples) in
            [(1, 8, 1), (1, 0, 1), (8, 8, 1), (8, 8, 60_000), (8, 0, 1)]
        {
            for rows in [1, 4096, u32::MAX] {
                let tiff = header(&[
                    (256, 4, 1, width),
                    (257, 4, 1, height),
                    (258, 3, 1, 16),
                    (259, 3, 1, compression),
                    (262, 3, 1, 1),
                    (273, 4, 1, offset),
                    (277, 3, 1, samples),
                    (278, 4, 1, rows),
                    (279, 4, 1, u32::MAX),
                ]);
                std::fs::write(scratch.path(), &tiff).unwrap();
                let pixels = u64::from(width) * u64::from(height);
                if compression == 1 && offset != 0 && pixels <= tiff.len() as u64 / 2 {
                    continue;
                }
                let name = format!(
                    "{width} × {height} × {samples}, compression {compression}, {rows} rows at {offset}"
                );
                let opened = scene::open_scene(scratch.path(), &as_stored());
                match opened {
                    // A block that is not in the file is no data, whatever its size.
                    Ok(scene) if offset == 0 => {
                        let side = Window {
                            row: 0,
                            col: 0,
                            rows: 1,
                            cols: 1,
                        };
                        assert_eq!(
                            read(scene.as_ref(), side).unwrap()[[0, 0, 0]],
                            0.0,
                            "{name}"
                        );
                    }
                    Ok(scene) => assert!(
                        read(scene.as_ref(), whole(scene.as_ref())).is_err(),
                        "{name}"
                    ),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn flipped_bits_are_survived(
        which in 0usize..6,
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        early in any::<bool>(),
    ) {
        let mut bytes = golden().swap_remove(which);
        for (place, byte) in flips {
            // Headers are the first few hundred bytes.
            let place = place.index(if early { bytes.len().min(400) } else { bytes.len() });
            bytes[place] ^= byte;
        }
        survive(&bytes);
    }
}
