//! Sentinel-2 products: made-up ones with known numbers, a real one against GDAL,
//! and broken ones.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, s};
use nephos::raster::Window;
use nephos::scene::{Scene, SceneInfo, SceneOptions, fuzz, open_scene};
use proptest::prelude::*;
use rayon::prelude::*;
use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::outside;

const MISLED: &str = "S2A_MSIL1C_20230615T104631_N0209_R051_T31TCJ_20230615T125012";
const PLAIN: &str = "S2B_MSIL1C_20180710T000239_N0206_R030_T55HBV_20180710T012345";
const REPROCESSED: &str = "S2A_MSIL1C_20160605T105032_N0500_R051_T31TCJ_20231011T203344";
const SURFACE: &str = "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126";
const LONG: &str = "S2A_OPER_PRD_MSIL1C_PDMC_20151214T181523_R051_V20151214T105032_20151214T105032";
/// In the order of tests/parity/safe/make.py, which numbers them from 0.
const PRODUCTS: [&str; 5] = [MISLED, PLAIN, REPROCESSED, SURFACE, LONG];

const BANDS: [&str; 13] = [
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
];
const NATIVE: [usize; 13] = [60, 10, 10, 10, 20, 20, 20, 10, 20, 60, 60, 20, 20];

fn parity() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/safe")
}

fn product(name: &str) -> PathBuf {
    parity().join(format!("products/{name}.SAFE"))
}

fn at(resolution: usize) -> SceneOptions {
    SceneOptions {
        resolution: Some(resolution as f64),
        ..SceneOptions::default()
    }
}

fn open(path: &Path, options: &SceneOptions) -> Box<dyn Scene> {
    open_scene(path, options).unwrap()
}

fn whole(info: &SceneInfo) -> Window {
    let [rows, cols] = info.size;
    let [row, col] = [0, 0];
    Window {
        row,
        col,
        rows,
        cols,
    }
}

/// All bands of all pixels.
fn read_all(scene: &dyn Scene) -> Array3<f32> {
    let info = scene.info();
    let bands: Vec<usize> = (0..info.bands.len()).collect();
    scene.read(&bands, whole(info)).unwrap()
}

/// The stored number of a made-up image, as in make.py; `row` and `col` count its
/// own pixels.
fn stored(seed: usize, band: usize, resolution: usize, [row, col]: [usize; 2]) -> u16 {
    let (x, y) = (col * resolution / 10, row * resolution / 10);
    if x * 2 + y < 60 {
        return 0;
    }
    if seed == 2 && x >= 90 && (96..110).contains(&y) {
        return u16::MAX;
    }
    let hash = (row * 31 + col * 17 + band * 13 + seed * 7) * 2654435761 / 65536 % 4;
    (900 + 211 * band + 13 * x + 7 * y + resolution + 3 * seed + hash) as u16
}

/// Pixel sizes at which a made-up product has a band.
fn resolutions(seed: usize, band: usize) -> Vec<usize> {
    match (seed, BANDS[band]) {
        (3, "B02" | "B03" | "B04") => vec![10, 20, 60],
        (3, "B05" | "B06" | "B07" | "B8A" | "B11" | "B12") => vec![20, 60],
        (3, "B10") => vec![],
        (4, name) if !["B02", "B05", "B09"].contains(&name) => vec![],
        _ => vec![NATIVE[band]],
    }
}

/// Reflectance of a band on a grid, pixel by pixel from what make.py stores.
fn expected(seed: usize, band: usize, grid: usize) -> Array2<f64> {
    let have = resolutions(seed, band);
    let own = if have.contains(&grid) { grid } else { have[0] };
    let offset = match PRODUCTS[seed] {
        PLAIN | LONG => 0.0,
        SURFACE => -1000.0 - 10.0 * band as f64,
        _ => -1000.0,
    };
    let value = |number: u16| match number {
        0 => None,
        u16::MAX => Some(2.0),
        number => Some((f64::from(number) + offset) / 10000.0),
    };
    Array2::from_shape_fn((1200 / grid, 1200 / grid), |(row, col)| {
        if own >= grid {
            let n = own / grid;
            return value(stored(seed, band, own, [row / n, col / n])).unwrap_or(f64::NAN);
        }
        let n = grid / own;
        let inside = (0..n * n).map(|i| [row * n + i / n, col * n + i % n]);
        let valid: Vec<f64> = inside
            .filter_map(|pixel| value(stored(seed, band, own, pixel)))
            .collect();
        valid.iter().sum::<f64>() / valid.len() as f64
    })
}

/// Equal to less than a hundredth of a stored number, NaN where NaN is expected.
fn assert_same<'a>(
    found: impl IntoIterator<Item = &'a f32>,
    expected: impl IntoIterator<Item = &'a f64>,
    what: &str,
) {
    let mut found = found.into_iter();
    for (index, expected) in expected.into_iter().enumerate() {
        let found = found.next().unwrap();
        let same = match expected.is_nan() {
            true => found.is_nan(),
            false => (f64::from(*found) - expected).abs() < 1e-6,
        };
        assert!(
            same,
            "{what}, pixel {index}: {found}, expected is {expected}"
        );
    }
    assert!(found.next().is_none(), "{what}: too many");
}

/// Bands of a made-up product and their reflectance on each grid.
fn check_product(path: &Path, seed: usize) {
    let have = |band: &usize| !resolutions(seed, *band).is_empty();
    let bands: Vec<usize> = (0..13).filter(have).collect();
    for grid in [10, 20, 60] {
        let scene = open(path, &at(grid));
        let sources: Vec<_> = (scene.info().bands.iter())
            .map(|b| b.source.as_str())
            .collect();
        let names: Vec<_> = bands.iter().map(|band| BANDS[*band]).collect();
        assert_eq!(sources, names);
        let found = read_all(scene.as_ref());
        for (plane, band) in found.outer_iter().zip(&bands) {
            let what = format!("{} {} at {grid} m", PRODUCTS[seed], BANDS[*band]);
            assert_same(plane, &expected(seed, *band, grid), &what);
        }
    }
}

#[test]
fn reflectance_is_right_to_the_stored_number() {
    for (seed, name) in PRODUCTS.iter().enumerate() {
        check_product(&product(name), seed);
    }
}

#[test]
fn metadata_are_available_without_reading_pixels() {
    let scene = open(&product(MISLED), &SceneOptions::default());
    let info = scene.info();
    assert_eq!(info.name, MISLED);
    assert_eq!(info.product, "Sentinel-2A L1C, processing baseline 05.09");
    assert_eq!((info.size, info.block), ([120, 120], [48, 48]));
    let place = &info.georeference;
    assert_eq!(
        place.transform,
        Some([300000.0, 10.0, 0.0, 4900020.0, 0.0, -10.0])
    );
    assert_eq!(place.keys.as_ref().unwrap().epsg(), Some(32631));
    let sun = info.sun.unwrap();
    assert_eq!((sun.elevation, sun.azimuth), (63.5, 143.25));
    assert_eq!(
        info.acquired.as_deref(),
        Some("2023-06-15T10:46:31.500000Z")
    );
    assert_eq!(
        info.bands[3].radiometry.to_string(),
        "stored × 0.0001 − 0.1, no data 0, saturated 65535 (metadata)"
    );
    // The name contradicts the metadata, with a note.
    assert!(
        info.notes
            .iter()
            .any(|note| note.contains("02.09") && note.contains("05.09"))
    );

    let plain = open(&product(PLAIN), &SceneOptions::default());
    assert!(plain.info().notes.is_empty(), "{:?}", plain.info().notes);
    let red = &plain.info().bands[3];
    assert_eq!((red.name.as_str(), red.source.as_str()), ("red", "B04"));
    assert_eq!(
        red.radiometry.to_string(),
        "stored × 0.0001, no data 0, saturated 65535 (metadata)"
    );
    let long = open(&product(LONG), &SceneOptions::default());
    assert_eq!(long.info().name, LONG);
}

#[test]
fn options_replace_the_metadata() {
    let options = SceneOptions {
        scale: Some(5000.0),
        offset: Some(0.0),
        nodata: Some(1.0),
        ..at(60)
    };
    let scene = open(&product(MISLED), &options);
    let band = scene.read(&[0], whole(scene.info())).unwrap();
    let numbers: Vec<f64> = (0..400)
        .map(|i| f64::from(stored(0, 0, 60, [i / 20, i % 20])) / 5000.0)
        .collect();
    assert_same(&band, &numbers, "given");
    let error = |options: &SceneOptions| match open_scene(&product(MISLED), options) {
        Ok(_) => panic!("opened"),
        Err(error) => error.to_string(),
    };
    assert!(error(&at(30)).contains("10, 20, 60"));
    let bands = Some(vec!["red".to_owned()]);
    let named = SceneOptions { bands, ..at(10) };
    assert!(error(&named).contains("`options.bands`"));
}

#[test]
fn windows_and_threads_do_not_change_a_pixel() {
    for (name, grid) in [(MISLED, 10), (SURFACE, 20), (REPROCESSED, 60)] {
        let path = product(name);
        let all = read_all(open(&path, &at(grid)).as_ref());
        let [rows, cols] = [all.dim().1, all.dim().2];
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let scene = open(&path, &at(grid));
            let bits = |a: &Array3<f32>| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&pool.install(|| read_all(scene.as_ref()))), bits(&all));
            for (row, col, height, width) in
                [(0, 0, 1, 1), (7, 3, 11, 13), (17, 1, 2, 18), (0, 5, 0, 3)]
            {
                let window = Window {
                    row,
                    col,
                    rows: height,
                    cols: width,
                };
                let bands = [4, 0, 4];
                let part = pool.install(|| scene.read(&bands, window)).unwrap();
                let expected = all.select(ndarray::Axis(0), &bands);
                let expected = expected
                    .slice(s![.., row..row + height, col..col + width])
                    .to_owned();
                assert_eq!(bits(&part), bits(&expected));
            }
        }
        let scene = open(&path, &at(grid));
        // Several threads may read at once.
        let windows: Vec<Window> = (0..rows)
            .map(|row| Window {
                row,
                rows: 1,
                ..whole(scene.info())
            })
            .collect();
        let lines = windows.par_iter().map(|w| scene.read(&[0, 2], *w).unwrap());
        let lines: Vec<Array3<f32>> = lines.collect();
        let lines: Vec<_> = lines.iter().map(|line| line.view()).collect();
        let joined = ndarray::concatenate(ndarray::Axis(1), &lines).unwrap();
        let expected = all.select(ndarray::Axis(0), &[0, 2]);
        assert!((joined.iter().zip(&expected)).all(|(a, b)| a.to_bits() == b.to_bits()));
        let outside = Window {
            row: 1,
            col: 0,
            rows,
            cols,
        };
        assert!(scene.read(&[0], outside).is_err());
        assert!(scene.read(&[99], whole(scene.info())).is_err());
    }
}

/// The product in a zip, entries compressed by `method`.
fn zipped(folder: &Path, name: &str, method: CompressionMethod) -> PathBuf {
    let path = folder.join(format!("{method:?}.zip"));
    let mut zip = ZipWriter::new(fs::File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(method);
    let root = product(name);
    for file in files(&root) {
        let inner = file.strip_prefix(root.parent().unwrap()).unwrap();
        zip.start_file(inner.to_str().unwrap(), options).unwrap();
        zip.write_all(&fs::read(&file).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    path
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn a_zip_or_the_metadata_file_is_the_folder() {
    let folder = TempDir::new().unwrap();
    let expected = read_all(open(&product(SURFACE), &at(20)).as_ref());
    let bits = |a: &Array3<f32>| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for path in [
        product(SURFACE).join("MTD_MSIL2A.xml"),
        zipped(folder.path(), SURFACE, CompressionMethod::Stored),
        zipped(folder.path(), SURFACE, CompressionMethod::Deflated),
    ] {
        let scene = open(&path, &at(20));
        assert_eq!(scene.info().name, SURFACE);
        assert_eq!(
            bits(&read_all(scene.as_ref())),
            bits(&expected),
            "{}",
            path.display()
        );
    }
}

#[test]
fn the_generator_in_python_reproduces_the_products() {
    let Some(mut python) = outside::python("numpy, rasterio") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let script = parity().join("make.py");
    outside::output(python.arg(script).arg(folder.path()).arg("--expected"));
    for (seed, name) in PRODUCTS.iter().enumerate() {
        let path = folder.path().join(format!("{name}.SAFE"));
        check_product(&path, seed);
        for grid in [10, 20, 60] {
            let file = folder.path().join(format!("{name}_{grid}.npy"));
            let expected: Array3<f64> = ndarray_npy::read_npy(file).unwrap();
            let found = read_all(open(&path, &at(grid)).as_ref());
            assert_same(&found, &expected, &format!("{name} at {grid} m"));
        }
    }
}

#[test]
fn every_kind_of_jpeg_2000_is_decoded_as_gdal_does() {
    let Some(mut python) = outside::python("numpy, rasterio") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    outside::output(python.arg(parity().join("variants.py")).arg(folder.path()));
    let images: Vec<_> = files(folder.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "jp2"))
        .collect();
    assert!(images.len() > 30);
    for path in images {
        let expected: Array2<u16> = ndarray_npy::read_npy(path.with_extension("npy")).unwrap();
        let found = fuzz::jp2(&path, expected.len()).unwrap();
        assert_eq!(found, expected, "{}", path.display());
        // A bare codestream is read as well as a JP2 file.
        let bytes = fs::read(&path).unwrap();
        let start = bytes
            .windows(4)
            .position(|w| w == b"\xff\x4f\xff\x51")
            .unwrap();
        let bare = path.with_extension("j2k");
        fs::write(&bare, &bytes[start..]).unwrap();
        assert_eq!(fuzz::jp2(&bare, expected.len()).unwrap(), expected);
    }
}

#[test]
fn a_real_product_is_decoded_as_gdal_does() {
    let Some(folder) = outside::images("sentinel2_safe_60m") else {
        return;
    };
    let path = fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let scene = open(&path, &SceneOptions::default());
    let info = scene.info();
    assert_eq!(info.product, "Sentinel-2A L2A, processing baseline 04.00");
    assert_eq!(info.size, [1830, 1830]);
    assert_eq!(info.georeference.keys.as_ref().unwrap().epsg(), Some(32629));
    let sources: Vec<_> = info.bands.iter().map(|band| band.source.as_str()).collect();
    assert_eq!(sources, ["B02", "B03", "B04", "B8A", "B11", "B12"]);
    assert_eq!(info.notes.len(), 2, "{:?}", info.notes);
    let found = read_all(scene.as_ref());
    let Some(mut python) = outside::python("numpy, rasterio") else {
        return;
    };
    let out = TempDir::new().unwrap();
    let program = "import sys, pathlib, numpy, rasterio\n\
        for path in pathlib.Path(sys.argv[1]).glob('GRANULE/*/IMG_DATA/R60m/*_B*.jp2'):\n    \
        numpy.save(sys.argv[2] + '/' + path.stem[-7:-4] + '.npy', rasterio.open(path).read(1))";
    outside::output(python.args(["-c", program]).arg(&path).arg(out.path()));
    for (plane, source) in found.outer_iter().zip(sources) {
        let stored: Array2<u16> =
            ndarray_npy::read_npy(out.path().join(format!("{source}.npy"))).unwrap();
        let expected = stored.mapv(|number| match number {
            0 => f64::NAN,
            number => (f64::from(number) - 1000.0) / 10000.0,
        });
        assert_same(plane, &expected, source);
        let back = plane.mapv(|v| {
            if v.is_nan() {
                0
            } else {
                (v * 10000.0 + 1000.0).round() as u16
            }
        });
        assert_eq!(back, stored, "{source}");
    }
}

/// A copy of a product that may be broken.
fn copy(name: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let root = product(name);
    let to = folder.path().join(root.file_name().unwrap());
    for file in files(&root) {
        let target = to.join(file.strip_prefix(&root).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    (folder, to)
}

/// The error of opening or reading a product.
fn error(path: &Path) -> String {
    let read = open_scene(path, &SceneOptions::default()).and_then(|scene| {
        let bands: Vec<usize> = (0..scene.info().bands.len()).collect();
        scene.read(&bands, whole(scene.info()))
    });
    match read {
        Ok(_) => panic!("{} was read", path.display()),
        Err(error) => error.to_string(),
    }
}

fn image(root: &Path, band: &str) -> PathBuf {
    let end = format!("{band}.jp2");
    let is_wanted = |path: &PathBuf| path.to_string_lossy().ends_with(&end);
    files(root).into_iter().find(is_wanted).unwrap()
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn broken_metadata_is_an_error_that_names_file_and_element() {
    let main = "MTD_MSIL1C.xml";
    let tile = "GRANULE/L1C_T31TCJ_A041680_20230615T104628/MTD_TL.xml";
    for (file, from, to, names) in [
        (
            main,
            "<PROCESSING_LEVEL>Level-1C",
            "<PROCESSING_LEVEL>Level-0",
            "PROCESSING_LEVEL",
        ),
        (
            main,
            "PROCESSING_BASELINE",
            "BASELINE",
            "PROCESSING_BASELINE",
        ),
        (main, ">10000<", ">ten thousand<", "QUANTIFICATION_VALUE"),
        (main, ">10000<", ">0<", "QUANTIFICATION_VALUE"),
        (main, "band_id=\"3\"", "band_id=\"13\"", "RADIO_ADD_OFFSET"),
        (main, "band_id=\"3\"", "band_id=\"4\"", "RADIO_ADD_OFFSET"),
        (main, "band_id=\"3\"", "band=\"3\"", "RADIO_ADD_OFFSET"),
        (
            main,
            "<RADIO_ADD_OFFSET band_id=\"3\">-1000</RADIO_ADD_OFFSET>",
            "",
            "(B04)",
        ),
        (main, ">65535<", "><", "SPECIAL_VALUE_INDEX"),
        (
            main,
            "physicalBand=\"B4\"",
            "physicalBand=\"B44\"",
            "Spectral_Information",
        ),
        (main, "</n1:Level", "</n1:Lewel", "broken XML"),
        (tile, "EPSG:32631", "32631", "HORIZONTAL_CS_CODE"),
        (tile, "<NROWS>120", "<NROWS>1200000000", "NROWS"),
        (tile, "<NROWS>120", "<NROWS>119", "Size"),
        (tile, "<ULX>300000</ULX>", "", "ULX"),
        (tile, "<XDIM>10<", "<XDIM>0<", "XDIM"),
        (
            tile,
            "Geoposition resolution=\"60\"",
            "Geoposition resolution=\"61\"",
            "Geoposition",
        ),
        (tile, "26.5", "high", "ZENITH_ANGLE"),
    ] {
        let (_folder, root) = copy(MISLED);
        replace(&root.join(file), from, to);
        let error = error(&root);
        assert!(error.contains(names), "{names}: {error}");
        assert!(error.contains(".SAFE/"), "{error}");
    }
    let (_folder, root) = copy(MISLED);
    fs::remove_file(root.join(tile)).unwrap();
    assert!(error(&root).contains("MTD_TL.xml"));
    fs::remove_file(root.join(main)).unwrap();
    assert!(error(&root).contains(main));
}

#[test]
fn offsets_are_never_guessed() {
    // Without a list, the offset is 0, whatever the baseline; with a note.
    let (_folder, root) = copy(MISLED);
    replace(&root.join("MTD_MSIL1C.xml"), "RADIO_ADD_OFFSET", "OTHER");
    let scene = open(&root, &at(60));
    let note = &scene.info().notes[0];
    assert!(
        note.contains("05.09") && note.contains("`options.offset = -1000`"),
        "{note}"
    );
    assert_eq!(scene.info().bands[0].radiometry.bias, 0.0);
    // The table of bands defines the number of a band.
    let (_folder, root) = copy(MISLED);
    let main = root.join("MTD_MSIL1C.xml");
    replace(
        &main,
        "bandId=\"3\" physicalBand=\"B4\"",
        "bandId=\"77\" physicalBand=\"B4\"",
    );
    replace(&main, "band_id=\"3\">-1000", "band_id=\"77\">-1234");
    let scene = open(&root, &at(60));
    assert_eq!(scene.info().bands[3].radiometry.bias, -0.1234);
    assert_eq!(scene.info().bands[4].radiometry.bias, -0.1);
}

#[test]
fn missing_images_are_left_out_with_a_note() {
    let (_folder, root) = copy(MISLED);
    for band in ["B02", "B03", "B04", "B08"] {
        fs::remove_file(image(&root, band)).unwrap();
    }
    let scene = open(&root, &SceneOptions::default());
    let info = scene.info();
    assert_eq!((info.size, info.bands.len()), ([60, 60], 9));
    assert!(
        info.notes
            .iter()
            .any(|note| note.contains("B02, B03, B04, B08"))
    );
    assert!(
        info.notes
            .iter()
            .any(|note| note.contains("20 m") && note.contains("`options.resolution`"))
    );
    // Files that the list does not have are found in their folder.
    let (_folder, root) = copy(MISLED);
    replace(&root.join("MTD_MSIL1C.xml"), "IMAGE_FILE", "IMAGE");
    assert_eq!(open(&root, &SceneOptions::default()).info().bands.len(), 13);
}

#[test]
fn an_image_cut_anywhere_is_an_error() {
    let (_folder, root) = copy(MISLED);
    let path = image(&root, "B04");
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len() - 2).step_by(97) {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = error(&root);
        assert!(error.contains("B04.jp2"), "{length}: {error}");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_before_memory_is_asked_for() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let good = fs::read(image(&product(MISLED), "B02")).unwrap();
    let siz = good.windows(2).position(|w| w == b"\xff\x51").unwrap();
    let field = |number: usize| siz + 6 + 4 * number;
    let with = |changes: &[(usize, u32)]| {
        let mut bytes = good.clone();
        for (number, value) in changes {
            bytes[field(*number)..][..4].copy_from_slice(&value.to_be_bytes());
        }
        fs::write(file.path(), bytes).unwrap();
        fuzz::jp2(file.path(), usize::MAX).unwrap_err().to_string()
    };
    let large = u32::MAX;
    assert!(with(&[(0, large), (1, large)]).contains("131072"));
    assert!(with(&[(0, 1 << 17), (1, 1 << 17)]).contains("tiles"));
    assert!(with(&[(0, 1 << 17), (1, 1 << 17), (4, large), (5, large)]).contains("a tile of"));
    assert!(with(&[(4, 0)]).contains("can't be"));
    assert!(with(&[(2, 120)]).contains("can't be"));
    assert!(with(&[(6, 1)]).contains("can't be"));
    // Tiles that are there but not in the file.
    assert!(with(&[(4, 8), (5, 8)]).contains("parts of tile"));
    // Precincts of one sample each, for every tile.
    let cod = good.windows(2).position(|w| w == b"\xff\x52").unwrap();
    let mut bytes = good.clone();
    bytes[cod + 6..cod + 8].copy_from_slice(&65535u16.to_be_bytes());
    fs::write(file.path(), bytes).unwrap();
    let error = fuzz::jp2(file.path(), usize::MAX).unwrap_err().to_string();
    assert!(error.contains("code-blocks"), "{error}");
}

#[test]
fn boxes_and_lengths_may_be_written_in_every_way() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |bytes: &[u8]| {
        fs::write(file.path(), bytes).unwrap();
        fuzz::jp2(file.path(), usize::MAX)
    };
    let good = fs::read(image(&product(MISLED), "B02")).unwrap();
    let samples = read(&good).unwrap();
    assert_eq!(samples[[60, 100]], stored(0, 1, 10, [60, 100]));
    let jp2c = good.windows(4).position(|w| w == b"jp2c").unwrap() - 4;
    let (before, stream) = (&good[..jp2c], &good[jp2c + 8..]);
    // To the end of the file; a long length; an unknown box before.
    let open = [before, &[0; 4], b"jp2c", stream].concat();
    let long = (16 + stream.len() as u64).to_be_bytes();
    let long = [before, &[0, 0, 0, 1], b"jp2c", &long, stream].concat();
    let other = [before, b"\0\0\0\x0cuuid1234", &good[jp2c..]].concat();
    // Without EOC; the last tile-part without a length, with and without EOC.
    let unended = [before, &[0; 4], b"jp2c", &stream[..stream.len() - 2]].concat();
    let sot = (open.windows(4))
        .rposition(|w| w == b"\xff\x90\0\x0a")
        .unwrap();
    let mut last = open.clone();
    last[sot + 6..sot + 10].fill(0);
    let last_unended = last[..last.len() - 2].to_vec();
    for bytes in [open, long, other, unended, last, last_unended] {
        assert_eq!(read(&bytes).unwrap(), samples);
    }
    for length in [2u32, 7, u32::MAX] {
        let broken = [before, &length.to_be_bytes(), b"jp2c", stream].concat();
        assert!(read(&broken).is_err());
    }
    for length in [7, 15, u64::MAX] {
        let length: [u8; 8] = u64::to_be_bytes(length);
        let broken = [before, &[0, 0, 0, 1], b"jp2c", &length, stream].concat();
        assert!(read(&broken).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn changed_images_never_panic(
        band in prop::sample::select(vec!["B02", "B05", "B09"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        headers in any::<bool>(),
    ) {
        let mut bytes = fs::read(image(&product(MISLED), band)).unwrap();
        let reach = if headers { 220 } else { bytes.len() };
        for (index, byte) in changes {
            bytes[index.index(reach)] = byte;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let _ = fuzz::jp2(file.path(), 1 << 18);
    }

    #[test]
    fn changed_metadata_never_panic(
        tile in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let end = if tile { "MTD_TL.xml" } else { "MTD_MSIL1C.xml" };
        let path = files(&product(MISLED)).into_iter().find(|path| path.ends_with(end)).unwrap();
        let mut bytes = fs::read(path).unwrap();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = fuzz::sentinel2_metadata(&bytes);
        let _ = fuzz::sentinel2_metadata(&bytes[..cut.index(bytes.len())]);
    }
}
