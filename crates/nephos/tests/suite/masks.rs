//! Masks and probabilities, written and read back.

use std::path::Path;

use ndarray::{Array2, Array3};
use nephos::class::Class;
use nephos::mask;
use nephos::scene::{GeoKeys, Georeference};
use tiff_reader::TiffFile;

use super::outside;

/// Every code a mask may hold, in a shape that is neither square nor a tile.
fn codes(height: usize, width: usize) -> Array2<u8> {
    Array2::from_shape_fn((height, width), |(row, col)| {
        [0, 1, 2, 3, 255][(row * 7 + col) % 5]
    })
}

#[test]
fn masks_come_back_as_they_went() {
    let folder = tempfile::tempdir().unwrap();
    for (height, width) in [(1, 1), (37, 61), (300, 513)] {
        for name in ["m.tif", "m.TIFF", "m.png", "m.npy"] {
            let path = folder.path().join(name);
            let mask = codes(height, width);
            mask::write(&path, &mask, None).unwrap();
            assert_eq!(mask::read(&path).unwrap(), mask, "{name} {height} {width}");
        }
    }
}

#[test]
fn a_geotiff_mask_carries_colours_nodata_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.tif");
    let place = Georeference {
        transform: Some([399_960.0, 10.0, 0.0, 5_700_000.0, 0.0, -10.0]),
        keys: Some(GeoKeys::projected(32633)),
    };
    mask::write(&path, &codes(37, 61), Some(&place)).unwrap();

    assert_eq!(Georeference::read(&path).unwrap(), place);
    let file = TiffFile::open(&path).unwrap();
    let ifd = file.ifd(0).unwrap();
    assert_eq!(ifd.tag(42113).unwrap().value.as_str(), Some("255"));
    let colours = ifd.color_map().unwrap().unwrap();
    assert_eq!(colours.len(), 256);
    for class in Class::ALL {
        let code = class as usize;
        let stored = [
            colours.red()[code],
            colours.green()[code],
            colours.blue()[code],
        ];
        assert_eq!(stored, class.colour().map(|c| u16::from(c) * 257));
    }

    let bare = folder.path().join("bare.tif");
    mask::write(&bare, &codes(4, 4), None).unwrap();
    assert_eq!(Georeference::read(&bare).unwrap(), Georeference::default());
}

#[test]
fn a_png_mask_looks_as_the_classes_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.png");
    mask::write(&path, &codes(2, 5), None).unwrap();
    let picture = image::open(&path).unwrap().to_rgba8();
    for class in Class::ALL {
        let [red, green, blue] = class.colour();
        let pixel = picture.get_pixel(class as u32, 0).0;
        let opacity = if class == Class::Clear { 0 } else { 255 };
        assert_eq!(pixel, [red, green, blue, opacity], "{}", class.name());
    }
    assert_eq!(picture.get_pixel(4, 0).0[3], 0, "255 is transparent");
}

#[test]
fn probabilities_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let probabilities = Array3::from_shape_fn((4, 300, 40), |(class, row, col)| {
        if row == 7 {
            f32::NAN
        } else {
            (class + row * 3 + col) as f32 / 2000.0
        }
    });
    let tif = folder.path().join("p.tif");
    mask::write_probabilities(&tif, &probabilities, None).unwrap();
    let file = TiffFile::open(&tif).unwrap();
    assert_eq!(
        file.ifd(0)
            .unwrap()
            .raster_layout()
            .unwrap()
            .samples_per_pixel,
        4
    );
    for class in 0..4 {
        let band = file.read_band::<u8>(0, class).unwrap();
        let exact = probabilities.index_axis(ndarray::Axis(0), class);
        for (stored, exact) in band.iter().zip(exact) {
            if exact.is_nan() {
                assert_eq!(*stored, 255);
            } else {
                assert!((f32::from(*stored) / 250.0 - exact).abs() <= 0.002001);
            }
        }
    }
    let npy = folder.path().join("p.npy");
    mask::write_probabilities(&npy, &probabilities, None).unwrap();
    let read: Array3<f32> = ndarray_npy::read_npy(&npy).unwrap();
    assert!(
        read.iter()
            .zip(&probabilities)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    );
    let error = mask::write_probabilities(&folder.path().join("p.png"), &probabilities, None);
    assert!(error.unwrap_err().to_string().contains(".npy"));
}

#[test]
fn wrong_files_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let fails = |path: &Path, expected: &str| {
        let error = mask::read(path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
    };
    fails(&file("absent.tif"), "No such file");
    fails(&file("mask.jpg"), ".tif, .png or .npy");
    for name in ["broken.tif", "broken.png", "broken.npy"] {
        std::fs::write(file(name), b"not a mask").unwrap();
        fails(&file(name), name);
    }
    image::RgbImage::new(2, 2)
        .save(file("colours.png"))
        .unwrap();
    fails(
        &file("colours.png"),
        "8 bits a pixel with a palette or grey",
    );
    let whole = file("whole.png");
    mask::write(&whole, &codes(60, 60), None).unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(file("cut.png"), &bytes[..bytes.len() - 40]).unwrap();
    fails(&file("cut.png"), "cut.png");
    assert!(mask::write(&file("e.tif"), &Array2::zeros((0, 5)), None).is_err());
    assert!(!file("e.tif").exists());
}

/// Runs `script` with `arguments` where Python has `modules`.
fn with_python(modules: &str, script: &str, arguments: &[&Path]) {
    if let Some(mut python) = outside::python(modules) {
        outside::output(python.args(["-c", script]).args(arguments));
    }
}

#[test]
fn other_software_reads_the_masks() {
    let folder = tempfile::tempdir().unwrap();
    let (tif, png, npy) = (
        folder.path().join("m.tif"),
        folder.path().join("m.png"),
        folder.path().join("m.npy"),
    );
    for path in [&tif, &png, &npy] {
        mask::write(path, &codes(300, 270), None).unwrap();
    }
    with_python(
        "rasterio",
        "import sys, numpy, rasterio\n\
         with rasterio.open(sys.argv[1]) as f:\n\
         \x20   assert numpy.array_equal(f.read(1), numpy.load(sys.argv[2]))\n\
         \x20   assert f.nodata == 255 and f.colormap(1)[1][:3] == (230, 30, 30)\n",
        &[&tif, &npy],
    );
    with_python(
        "tifffile, numpy",
        "import sys, numpy, tifffile\n\
         page = tifffile.TiffFile(sys.argv[1]).pages[0]\n\
         assert numpy.array_equal(page.asarray(), numpy.load(sys.argv[2]))\n\
         assert page.photometric.name == 'PALETTE' and page.colormap[0][1] == 230 * 257\n",
        &[&tif, &npy],
    );
    with_python(
        "PIL, numpy",
        "import sys, numpy, PIL.Image\n\
         mask = PIL.Image.open(sys.argv[1])\n\
         assert mask.mode == 'P'\n\
         assert numpy.array_equal(numpy.asarray(mask), numpy.load(sys.argv[2]))\n",
        &[&png, &npy],
    );
}
