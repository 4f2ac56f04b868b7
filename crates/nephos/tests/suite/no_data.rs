//! No data: undeclared fill values, masks and metadata beside a raster,
//! transparency; and pictures that are cut off.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use ndarray::Array3;
use nephos::mask::{CogSpec, CogWriter, Resampling};
use nephos::raster::Georeference;
use nephos::scene::{Origin, Scene, SceneOptions, open_scene};

use super::raster_scenes::{ALL, COLS, ROWS, Tiff, open};

/// Columns that are filled.
const FILLED: usize = 6;

/// The columns of a band that have no data, as a run of them from the left; panics where
/// they are no such run.
fn empty_columns(scene: &dyn Scene, band: usize) -> usize {
    let pixels = scene.read(&[band], ALL).unwrap();
    let column = |col: usize| pixels.slice(ndarray::s![0, .., col]).to_owned();
    let is_empty = |col: &usize| column(*col).iter().all(|v| v.is_nan());
    let count = (0..COLS).take_while(is_empty).count();
    let rest = (count..COLS).flat_map(|col| column(col).to_vec());
    assert!(rest.into_iter().all(f32::is_finite), "no data in part");
    count
}

fn with_nodata(path: &Path, nodata: f64) -> Box<dyn Scene> {
    let options = SceneOptions {
        nodata: Some(nodata),
        ..SceneOptions::default()
    };
    open_scene(path, &options).unwrap()
}

/// A raster of three bands with numbers from 300 to about 4000, or 0.03 to 0.4 as floats,
/// that is `fill` in the first columns.
fn filled(format: &str, fill: f64) -> Tiff {
    let number = |band: usize, row: usize, col: usize| match col < FILLED {
        true => fill,
        false => 300.0 + (row * 150 + col * 11 + band * 5) as f64,
    };
    match format {
        "i16" => Tiff::i16(3, |b, r, c| number(b, r, c) as i16),
        "u16" => Tiff::u16(3, |b, r, c| number(b, r, c) as u16),
        "u8" => Tiff::u8(3, |b, r, c| match number(b, r, c) {
            stored if c < FILLED => stored as u8,
            stored => (stored / 20.0) as u8,
        }),
        _ => Tiff::f32(3, |b, r, c| match number(b, r, c) {
            stored if c < FILLED => stored as f32,
            stored => (stored / 1e4) as f32,
        }),
    }
}

#[test]
fn undeclared_fills_are_recognised_with_a_note_and_can_be_switched_off() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    for (format, fill) in [
        ("i16", -9999.0),
        ("i16", -32_768.0),
        ("i16", 32_767.0),
        ("i16", 0.0),
        ("u16", 65_535.0),
        ("u16", 0.0),
        ("u8", 0.0),
        ("f32", -9999.0),
        ("f32", f64::from(f32::MIN)),
        ("f32", 1e20),
        ("f32", 0.0),
    ] {
        filled(format, fill).write(&path);
        let scene = open(&path);
        let called = format!("{format} {fill}: {:?}", scene.info().notes);
        for band in 0..3 {
            assert_eq!(empty_columns(scene.as_ref(), band), FILLED, "{called}");
        }
        assert_eq!(scene.no_data().len(), 1, "{called}");
        let found = scene.no_data()[0].trim_end_matches('.');
        let is_noted = |note: &String| note.starts_with(found);
        assert!(scene.info().notes.iter().any(is_noted), "{called}");
        // The fill does not affect the inferred scale.
        let gain = scene.info().bands[0].radiometry.gain;
        let expected = match format {
            "u8" => 1.0 / 255.0,
            "f32" => 1.0,
            _ => 1e-4,
        };
        assert_eq!(gain, expected, "{called}");
        // NaN means none.
        let none = with_nodata(&path, f64::NAN);
        let empty = empty_columns(none.as_ref(), 0);
        assert_eq!(empty, 0, "{called}");
        assert!(none.no_data().is_empty());
    }
}

#[test]
fn declared_no_data_can_be_switched_off_too() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    let mut tiff = filled("u16", 0.0);
    tiff.nodata = "0".into();
    tiff.write(&path);
    assert_eq!(empty_columns(open(&path).as_ref(), 0), FILLED);
    assert!(open(&path).no_data().is_empty());
    let none = with_nodata(&path, f64::NAN);
    assert_eq!(empty_columns(none.as_ref(), 0), 0);
    assert_eq!(none.info().bands[0].radiometry.nodata, None);
    // Another number than the declared one.
    let mut tiff = filled("i16", -9999.0);
    tiff.nodata = "0".into();
    tiff.write(&path);
    assert_eq!(empty_columns(open(&path).as_ref(), 0), FILLED);
}

#[test]
fn brightness_that_is_saturated_and_dark_ground_are_data() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    Tiff::u16(3, |_, r, c| match c < FILLED {
        true => 65_535,
        false => 2000 + (r * 2600) as u16,
    })
    .write(&path);
    assert_eq!(empty_columns(open(&path).as_ref(), 0), 0);
    // 0 in one band alone.
    Tiff::u16(3, |b, r, c| match (b, c < FILLED) {
        (1, true) => 0,
        _ => 300 + (r * 150) as u16,
    })
    .write(&path);
    assert_eq!(empty_columns(open(&path).as_ref(), 1), 0);
    assert!(open(&path).no_data().is_empty());
}

/// Writes a mask of `bands` bands, 0 where `valid` does not hold.
fn write_mask(path: &Path, bands: usize, valid: impl Fn(usize, usize) -> bool) {
    let spec = CogSpec {
        width: COLS,
        height: ROWS,
        bands,
        georeference: Georeference::default(),
        nodata: None,
        palette: None,
        band_names: Vec::new(),
        scale: None,
        tags: Vec::new(),
        overview: Resampling::Mean,
    };
    let mut writer = CogWriter::create(path, spec).unwrap();
    let pixels = Array3::from_shape_fn(
        (bands, ROWS, COLS),
        |(band, _, col)| {
            if valid(band, col) { 255 } else { 0 }
        },
    );
    writer.write_rows(pixels.view()).unwrap();
    writer.finish().unwrap();
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

/// A raster without any fill.
fn plain() -> Tiff {
    Tiff::u16(3, |b, r, c| (300 + r * 150 + c * 11 + b * 5) as u16)
}

#[test]
fn an_external_mask_is_applied() {
    let scratch = tempfile::tempdir().unwrap();
    let path = plain().write(&scratch.path().join("a.tif"));
    let mask = beside(&path, ".msk");
    write_mask(&mask, 1, |_, col| col >= FILLED);
    let scene = open(&path);
    let empty = |scene: &dyn Scene| [0, 1, 2].map(|band| empty_columns(scene, band));
    assert_eq!(empty(scene.as_ref()), [FILLED; 3]);
    let said = |scene: &dyn Scene| scene.info().notes.iter().any(|n| n.contains("a.tif.msk"));
    assert!(said(scene.as_ref()), "{:?}", scene.info().notes);
    // One for each band.
    write_mask(&mask, 3, |band, col| col >= band);
    assert_eq!(empty(open(&path).as_ref()), [0, 1, 2]);

    // Bands of a folder each have their own.
    let folder = scratch.path().join("bands");
    std::fs::create_dir(&folder).unwrap();
    for name in ["red", "nir"] {
        Tiff::u16(1, |_, r, _| 300 + r as u16).write(&folder.join(format!("{name}.tif")));
    }
    write_mask(&beside(&folder.join("nir.tif"), ".msk"), 1, |_, col| {
        col >= 3
    });
    let scene = open(&folder);
    let nir = scene
        .info()
        .bands
        .iter()
        .position(|band| band.name == "nir")
        .unwrap();
    assert_eq!(empty_columns(scene.as_ref(), nir), 3);
    assert_eq!(empty_columns(scene.as_ref(), 1 - nir), 0);

    // Pictures.
    let picture = scratch.path().join("p.png");
    let pixels = RgbImage::from_fn(COLS as u32, ROWS as u32, |x, y| {
        Rgb([20 + x as u8, y as u8, 9])
    });
    pixels.save(&picture).unwrap();
    write_mask(&beside(&picture, ".msk"), 1, |_, col| col >= 2);
    assert_eq!(empty(open(&picture).as_ref()), [2; 3]);

    // A mask that does not fit, or is broken, is an error that names it.
    let error = |path: &Path| {
        let opened = open_scene(path, &SceneOptions::default());
        opened.map(|_| ()).unwrap_err().to_string()
    };
    write_mask(&mask, 2, |_, _| true);
    assert!(error(&path).contains("a.tif.msk"), "{}", error(&path));
    assert!(error(&path).contains("2 bands"), "{}", error(&path));
    std::fs::write(&mask, b"II*\0").unwrap();
    assert!(error(&path).contains("a.tif.msk"), "{}", error(&path));
}

#[test]
fn auxiliary_metadata_take_precedence() {
    let scratch = tempfile::tempdir().unwrap();
    let items = [
        ("scale", 0, "0.5"),
        ("description", 0, "red"),
        ("description", 1, "green"),
    ];
    let mut tiff = filled("u16", 7.0).items(&items);
    tiff.nodata = "9".into();
    let path = tiff.write(&scratch.path().join("a.tif"));
    let text = "<PAMDataset><PAMRasterBand band=\"1\"><Description>nir</Description>\
                <NoDataValue>7.0</NoDataValue><Offset>-0.1</Offset><Scale>0.0001</Scale>\
                </PAMRasterBand></PAMDataset>";
    let sidecar = beside(&path, ".aux.xml");
    let check = |scene: &dyn Scene| {
        let band = &scene.info().bands[0];
        assert_eq!(band.name, "nir");
        let radiometry = &band.radiometry;
        assert_eq!((radiometry.gain, radiometry.bias), (0.0001, -0.1));
        assert_eq!(radiometry.nodata, Some(7.0));
        assert_eq!(radiometry.origin, Origin::Metadata);
        assert_eq!(empty_columns(scene, 0), FILLED);
        // Metadata of one band do not apply to the others.
        assert_eq!(scene.info().bands[1].name, "green");
        assert_eq!(scene.info().bands[1].radiometry.nodata, Some(9.0));
        assert_eq!(empty_columns(scene, 1), 0);
        assert!(
            scene.info().notes.iter().any(|n| n.contains("aux.xml")),
            "said"
        );
    };
    std::fs::write(&sidecar, text).unwrap();
    check(open(&path).as_ref());
    // Some programs put it in place of the ending.
    std::fs::rename(&sidecar, path.with_extension("aux.xml")).unwrap();
    check(open(&path).as_ref());
    std::fs::write(&sidecar, &text[..text.len() - 20]).unwrap();
    let error = open_scene(&path, &SceneOptions::default())
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("a.tif.aux.xml"), "{error}");

    // Pixels that hold one number per band at once.
    std::fs::write(
        &sidecar,
        "<PAMDataset><Metadata><MDI key=\"NODATA_VALUES\">7 7 7</MDI></Metadata></PAMDataset>",
    )
    .unwrap();
    let scene = open(&path);
    assert_eq!(
        [0, 1, 2].map(|band| empty_columns(scene.as_ref(), band)),
        [FILLED; 3]
    );

    let picture = scratch.path().join("p.png");
    let pixels = RgbImage::from_fn(COLS as u32, ROWS as u32, |x, y| match x < 2 {
        true => Rgb([77, 77, 77]),
        false => Rgb([20 + x as u8, y as u8, 9]),
    });
    pixels.save(&picture).unwrap();
    let band = |band: usize| {
        format!(
            "<PAMRasterBand band=\"{band}\"><NoDataValue>77</NoDataValue><Scale>0.005</Scale>\
             </PAMRasterBand>"
        )
    };
    let text = format!("<PAMDataset>{}{}{}</PAMDataset>", band(1), band(2), band(3));
    std::fs::write(beside(&picture, ".aux.xml"), text).unwrap();
    let scene = open(&picture);
    assert_eq!(empty_columns(scene.as_ref(), 2), 2);
    assert_eq!(scene.info().bands[2].radiometry.gain, 0.005);
}

#[test]
fn transparent_pixels_have_no_data() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.png");
    let (w, h) = (COLS as u32, ROWS as u32);
    let opacity = |x: u32| if x < 4 { 0u8 } else { 1 + 10 * x as u8 };
    let rgba = RgbaImage::from_fn(w, h, |x, y| {
        Rgba([90 + x as u8, 80 + y as u8, 200, opacity(x)])
    });
    let grey = image::GrayAlphaImage::from_fn(w, h, |x, y| LumaA([90 + y as u8, opacity(x)]));
    let deep = DynamicImage::ImageRgba8(rgba.clone()).into_rgba16();
    for picture in [
        DynamicImage::ImageRgba8(rgba),
        DynamicImage::ImageLumaA8(grey),
        DynamicImage::ImageRgba16(deep),
    ] {
        picture.save(&path).unwrap();
        let scene = open(&path);
        for band in 0..scene.info().bands.len() {
            assert_eq!(
                empty_columns(scene.as_ref(), band),
                4,
                "{:?}",
                picture.color()
            );
        }
        let said = format!("{} pixels (20.0 %) are transparent", 4 * ROWS);
        assert!(
            scene.info().notes.iter().any(|n| n.starts_with(&said)),
            "{said}"
        );
    }
    // A palette whose first colour is transparent.
    let mut bytes = Vec::new();
    {
        let mut encoder = png::Encoder::new(&mut bytes, w, h);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(vec![1, 2, 3, 200, 150, 100, 60, 50, 40]);
        encoder.set_trns(vec![0]);
        let mut writer = encoder.write_header().unwrap();
        let place = |at: u32| match at % w {
            x if x < 4 => 0,
            x => 1 + (x % 2) as u8,
        };
        let pixels: Vec<u8> = (0..w * h).map(place).collect();
        writer.write_image_data(&pixels).unwrap();
    }
    std::fs::write(&path, bytes).unwrap();
    let scene = open(&path);
    assert_eq!(empty_columns(scene.as_ref(), 0), 4);
    assert_eq!(scene.read(&[0], ALL).unwrap()[[0, 0, 5]], 60.0 / 255.0);
    assert!(scene.info().notes.iter().any(|n| n.contains("palette")));
}

#[test]
fn pictures_that_are_cut_off_are_errors() {
    let scratch = tempfile::tempdir().unwrap();
    let pixels = RgbImage::from_fn(64, 48, |x, y| Rgb([x as u8 * 3, y as u8 * 4, 120]));
    for (ending, format) in [("png", ImageFormat::Png), ("jpg", ImageFormat::Jpeg)] {
        let path = scratch.path().join(format!("a.{ending}"));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(pixels.clone())
            .write_to(&mut bytes, format)
            .unwrap();
        let bytes = bytes.into_inner();
        std::fs::write(&path, &bytes).unwrap();
        open(&path);
        for end in (30..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let error = open_scene(&path, &SceneOptions::default())
                .map(|_| ())
                .unwrap_err();
            let error = error.to_string();
            assert!(error.contains(&format!("a.{ending}")), "{end}: {error}");
        }
    }
}

#[test]
fn rasters_that_are_cut_off_are_errors() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    write_mask(&path, 1, |_, col| col % 3 == 0);
    let bytes = std::fs::read(&path).unwrap();
    // Tiles are at the end of the file.
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let error = open_scene(&path, &SceneOptions::default())
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("a.tif"), "{error}");
}

#[test]
fn a_jpeg_in_a_raster_that_is_cut_off_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.tif");
    let grey = image::GrayImage::from_fn(COLS as u32, ROWS as u32, |x, y| {
        image::Luma([(60 + 7 * x + 3 * y) as u8])
    });
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(grey)
        .write_to(&mut jpeg, ImageFormat::Jpeg)
        .unwrap();
    let jpeg = jpeg.into_inner();
    let mut tiff = Tiff::u8(1, |_, _, _| 0);
    tiff.compression = 7;
    tiff.pixels.clone_from(&jpeg);
    tiff.write(&path);
    let read = open(&path).read(&[0], ALL).unwrap();
    assert!((read[[0, 0, 0]] * 255.0 - 60.0).abs() < 6.0);
    tiff.pixels = jpeg[..jpeg.len() - 60].to_vec();
    tiff.write(&path);
    let opened = open_scene(&path, &SceneOptions::default()).map(|_| ());
    let error = opened.unwrap_err().to_string();
    assert!(
        error.contains("cut off") && error.contains("a.tif"),
        "{error}"
    );
}
