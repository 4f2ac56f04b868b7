//! Sentinel-2's images outside of a product, folders that hold products, and incomplete
//! metadata.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array3;
use nephos::raster::Window;
use nephos::scene::{Scene, SceneOptions, open_scene};
use tempfile::TempDir;

const SURFACE: &str = "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126";
const PLAIN: &str = "S2B_MSIL1C_20180710T000239_N0206_R030_T55HBV_20180710T012345";
const MISLED: &str = "S2A_MSIL1C_20230615T104631_N0209_R051_T31TCJ_20230615T125012";

fn product(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/parity/safe/products/{name}.SAFE"))
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            copy(&path, &to.join(path.file_name().unwrap()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// The granule's folder of a product.
fn granule(name: &str) -> PathBuf {
    let mut granules = fs::read_dir(product(name).join("GRANULE")).unwrap();
    granules.next().unwrap().unwrap().path()
}

fn main_file(name: &str) -> PathBuf {
    let file = if name.contains("L2A") {
        "MTD_MSIL2A.xml"
    } else {
        "MTD_MSIL1C.xml"
    };
    product(name).join(file)
}

fn all(scene: &dyn Scene) -> Array3<f32> {
    let info = scene.info();
    let [rows, cols] = info.size;
    let bands: Vec<usize> = (0..info.bands.len()).collect();
    let window = Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    scene.read(&bands, window).unwrap()
}

fn at(resolution: f64) -> SceneOptions {
    SceneOptions {
        resolution: Some(resolution),
        ..SceneOptions::default()
    }
}

fn open(path: &Path, options: &SceneOptions) -> Box<dyn Scene> {
    open_scene(path, options).unwrap()
}

fn error(path: &Path, options: &SceneOptions) -> String {
    match open_scene(path, options) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

fn assert_same(found: &dyn Scene, expected: &dyn Scene) {
    let sources = |scene: &dyn Scene| -> Vec<String> {
        scene
            .info()
            .bands
            .iter()
            .map(|band| band.source.clone())
            .collect()
    };
    assert_eq!(sources(found), sources(expected));
    let bits = |pixels: &Array3<f32>| pixels.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&all(found)), bits(&all(expected)));
}

#[test]
fn images_with_metadata_beside_them_are_the_product() {
    for (name, resolution) in [(SURFACE, 20.0), (PLAIN, 10.0)] {
        let expected = open(&product(name), &at(resolution));
        let scratch = TempDir::new().unwrap();
        let images = scratch.path().join("place/IMG_DATA");
        copy(&granule(name).join("IMG_DATA"), &images);
        // Beside the folder, and then in it.
        let main = main_file(name);
        let own = main.file_name().unwrap();
        fs::copy(&main, scratch.path().join("place").join(own)).unwrap();
        let tile = granule(name).join("MTD_TL.xml");
        fs::copy(&tile, images.join("MTD_TL.xml")).unwrap();
        let scene = open(&images, &at(resolution));
        assert_same(scene.as_ref(), expected.as_ref());
        assert_eq!(scene.info().georeference, expected.info().georeference);
        assert_eq!(scene.info().sun, expected.info().sun);
        fs::rename(scratch.path().join("place").join(own), images.join(own)).unwrap();
        for path in [&images, &images.join(own), &scratch.path().join("place")] {
            assert_same(open(path, &at(resolution)).as_ref(), expected.as_ref());
        }
    }
    // Within its product a folder of images is that product.
    let images = granule(SURFACE).join("IMG_DATA");
    let expected = open(&product(SURFACE), &at(60.0));
    for path in [images.clone(), images.join("R20m")] {
        assert_same(open(&path, &at(60.0)).as_ref(), expected.as_ref());
    }
    // Metadata of another product are not those of these images.
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path().join("x");
    copy(&granule(PLAIN).join("IMG_DATA"), &folder);
    fs::copy(main_file(MISLED), folder.join("MTD_MSIL1C.xml")).unwrap();
    let said = error(&folder, &SceneOptions::default());
    assert!(
        said.contains("another product") && said.contains("MTD_MSIL1C.xml"),
        "{said}"
    );
}

#[test]
fn images_without_metadata_need_a_scale() {
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path().join("T33XWJ");
    copy(&granule(SURFACE).join("IMG_DATA"), &folder);
    let said = error(&folder, &SceneOptions::default());
    for part in [
        "T33XWJ",
        "B02, B03, B04",
        "MTD_MSIL2A.xml",
        "`options.scale = 10000` with `options.offset = -1000`",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let options = SceneOptions {
        scale: Some(10_000.0),
        offset: Some(-1000.0),
        ..at(20.0)
    };
    let whole = open(&product(SURFACE), &options);
    assert_same(open(&folder, &options).as_ref(), whole.as_ref());
    // Two dates in one folder.
    fs::copy(
        folder.join("R10m/T33XWJ_20220413T150759_B02_10m.jp2"),
        folder.join("R10m/T33XWJ_20220513T150759_B02_10m.jp2"),
    )
    .unwrap();
    let said = error(&folder, &options);
    assert!(
        said.contains("both B02") && said.contains("20220513"),
        "{said}"
    );
}

#[test]
fn a_tile_of_aws_is_read_or_refused_with_a_remedy() {
    let scratch = TempDir::new().unwrap();
    // Level-2A: a folder for each pixel size; Level-1C: all in one.
    for (name, resolution) in [(SURFACE, 20.0), (PLAIN, 10.0)] {
        let folder = scratch.path().join(name).join("tiles/33/X/WJ/2022/4/13/0");
        fs::create_dir_all(&folder).unwrap();
        let mut pending = vec![(granule(name).join("IMG_DATA"), folder.clone())];
        while let Some((from, to)) = pending.pop() {
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(&from).unwrap() {
                let path = entry.unwrap().path();
                let own = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() {
                    pending.push((path.clone(), to.join(own)));
                } else {
                    let band = own
                        .split(['_', '.'])
                        .find(|part| part.len() == 3 && part.starts_with('B'));
                    fs::copy(&path, to.join(format!("{}.jp2", band.unwrap()))).unwrap();
                }
            }
        }
        fs::create_dir(folder.join("qi")).unwrap();
        fs::write(folder.join("qi/MSK_QUALIT_B02.jp2"), b"x").unwrap();
        fs::write(folder.join("tileInfo.json"), "{}").unwrap();
        fs::write(
            folder.join("productInfo.json"),
            format!("{{\"name\": \"{name}\"}}"),
        )
        .unwrap();
        fs::copy(
            granule(name).join("MTD_TL.xml"),
            folder.join("metadata.xml"),
        )
        .unwrap();
        let said = error(&folder, &SceneOptions::default());
        assert!(
            said.contains(name) && said.contains("`options.scale = 10000`"),
            "{said}"
        );
        let options = SceneOptions {
            scale: Some(10_000.0),
            offset: Some(0.0),
            ..at(resolution)
        };
        let expected = open(&product(name), &options);
        let scene = open(&folder, &options);
        assert_same(scene.as_ref(), expected.as_ref());
        assert_eq!(scene.info().georeference, expected.info().georeference);
        fs::copy(main_file(name), folder.join("product.xml")).unwrap();
        let expected = open(&product(name), &at(resolution));
        assert_same(open(&folder, &at(resolution)).as_ref(), expected.as_ref());
    }
}

#[test]
fn a_folder_of_one_product_is_opened_as_that_product() {
    let scratch = TempDir::new().unwrap();
    let parent = scratch.path();
    copy(&product(PLAIN), &parent.join(format!("{PLAIN}.SAFE")));
    fs::write(parent.join("notes.txt"), "x").unwrap();
    let expected = open(&product(PLAIN), &at(60.0));
    let scene = open(parent, &at(60.0));
    assert_eq!(scene.info().name, PLAIN);
    assert_same(scene.as_ref(), expected.as_ref());
    copy(&product(MISLED), &parent.join(format!("{MISLED}.SAFE")));
    let landsat = "LC08_L1TP_020039_20150804_20200908_02_T1";
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/parity/landsat")
        .join(landsat);
    copy(&from, &parent.join(landsat));
    let said = error(parent, &SceneOptions::default());
    for part in ["3 products", PLAIN, MISLED, landsat, "/*"] {
        assert!(said.contains(part), "{said}");
    }
    let scratch = TempDir::new().unwrap();
    copy(&from, &scratch.path().join(landsat));
    assert_eq!(
        open(scratch.path(), &SceneOptions::default()).info().name,
        landsat
    );
}

/// A copy of a product, and its tile's metadata.
fn copied(name: &str) -> (TempDir, PathBuf, PathBuf) {
    let scratch = TempDir::new().unwrap();
    let root = scratch.path().join(format!("{name}.SAFE"));
    copy(&product(name), &root);
    let granule = granule(name);
    let tile = root
        .join("GRANULE")
        .join(granule.file_name().unwrap())
        .join("MTD_TL.xml");
    (scratch, root, tile)
}

#[test]
fn unknown_sun_angles_are_no_error() {
    let (_scratch, root, tile) = copied(MISLED);
    let text = fs::read_to_string(&tile).unwrap();
    for angle in ["NaN", "nan", "-nan", "INF", ""] {
        fs::write(&tile, text.replace("26.5", angle)).unwrap();
        let scene = open(&root, &at(60.0));
        assert_eq!(scene.info().sun, None, "{angle}");
        assert_same(scene.as_ref(), open(&product(MISLED), &at(60.0)).as_ref());
    }
    assert!(open(&product(MISLED), &at(60.0)).info().sun.is_some());
}

#[test]
fn local_baselines_get_a_note_without_advice() {
    for (baseline, name) in [("99.99", "N9999"), ("99.33", "N9999"), ("99.00", "N9900")] {
        let (_scratch, root, _) = copied(MISLED);
        let main = root.join("MTD_MSIL1C.xml");
        let text = fs::read_to_string(&main).unwrap();
        let text = text.replace("RADIO_ADD_OFFSET", "OTHER");
        let text = text
            .replace(">05.09<", &format!(">{baseline}<"))
            .replace("N0209", name);
        fs::write(&main, text).unwrap();
        let renamed = root.with_file_name(MISLED.replace("N0209", name) + ".SAFE");
        fs::rename(&root, &renamed).unwrap();
        let scene = open(&renamed, &at(60.0));
        let notes = scene.info().notes.join("\n");
        assert!(
            !notes.contains("-1000") && !notes.contains("WARNING"),
            "{notes}"
        );
        assert!(
            notes.contains("local") && notes.contains("no offset"),
            "{notes}"
        );
        assert_eq!(scene.info().bands[0].radiometry.bias, 0.0);
    }
}

#[test]
fn a_broken_image_is_an_error_only_when_read() {
    let (_scratch, root, _) = copied(MISLED);
    let granule = granule(MISLED);
    let images = root
        .join("GRANULE")
        .join(granule.file_name().unwrap())
        .join("IMG_DATA");
    let image = images.join("T31TCJ_20230615T104631_B01.jp2");
    let fine = fs::read(images.join("T31TCJ_20230615T104631_B02.jp2")).unwrap();
    // Empty, no image at all, and of another size.
    for content in [&b""[..], b"x", &fine] {
        fs::write(&image, content).unwrap();
        let scene = open(&root, &at(60.0));
        let info = scene.info();
        assert!(
            info.notes.iter().any(|note| note.contains("_B01.jp2")),
            "{:?}",
            info.notes
        );
        let window = Window {
            row: 0,
            col: 0,
            rows: 2,
            cols: 2,
        };
        let band = |name: &str| info.positions(&[name.to_owned()]).unwrap();
        assert!(scene.read(&band("red"), window).is_ok());
        let error = scene
            .read(&band("coastal"), window)
            .unwrap_err()
            .to_string();
        assert!(error.contains("_B01.jp2"), "{error}");
    }
}

/// Opening a pipe would block until a writer opens it.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_unopened() {
    let scratch = TempDir::new().unwrap();
    let pipe = scratch.path().join("pipe.tif");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let said = error(&pipe, &SceneOptions::default());
    assert!(said.contains("a pipe or device"), "{said}");
    let said = nephos::samples::open(&pipe).err().unwrap().to_string();
    assert!(said.contains("a pipe or device"), "{said}");
}
