//! Masks and probabilities, written and read back.

use std::path::Path;

use ndarray::{Array2, Array3};
use nephos::class::{Class, code_name};
use nephos::mask::{self, CogSpec, CogWriter, probability_code};
use nephos::raster::{GeoKeys, Georeference};
use tiff_reader::TiffFile;

use super::outside;

/// Every code a mask may hold, in a shape that is neither square nor a tile.
fn codes(height: usize, width: usize) -> Array2<u8> {
    Array2::from_shape_fn((height, width), |(row, col)| {
        [0, 1, 2, 3, 255][(row * 7 + col) % 5]
    })
}

#[test]
fn masks_are_read_back_unchanged() {
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
fn a_geotiff_mask_has_colours_nodata_and_georeference() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.tif");
    let place = Georeference::new(
        Some([399_960.0, 10.0, 0.0, 5_700_000.0, 0.0, -10.0]),
        Some(GeoKeys::projected(32633)),
    );
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
fn a_png_mask_has_the_colours_of_the_classes() {
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
fn probabilities_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let probabilities = Array3::from_shape_fn((4, 300, 40), |(class, row, col)| {
        if row == 7 {
            f32::NAN
        } else {
            (class + row * 3 + col) as f32 / 2000.0
        }
    });
    let tif = folder.path().join("p.tif");
    let names = (0..4).map(code_name).collect();
    let spec = CogSpec::probabilities(40, 300, names, Georeference::default());
    let mut writer = CogWriter::create(&tif, spec).unwrap();
    let stored = probabilities.mapv(probability_code);
    writer.write_rows(stored.view()).unwrap();
    writer.finish().unwrap();
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

/// Writes a GeoTIFF placed by control points, one by RPCs, one by both and PixelIsPoint.
const UNRECTIFIED: &str = "
import sys, warnings, numpy, rasterio
from rasterio.control import GroundControlPoint as Point
from rasterio.rpc import RPC
warnings.simplefilter('ignore')
folder = sys.argv[1]
points = [Point(0, 0, 500000, 5000000, 7), Point(0, 30, 500300, 5000001, 8), Point(20, 0, 500000, 4999800, 9), Point(20.5, 30.25, 500310, 4999790, 0)]
rpc = RPC(height_off=10, height_scale=500, lat_off=45, lat_scale=.1, line_den_coeff=[1.0] + [1e-7 * n for n in range(19)], line_num_coeff=[1e-3, 0.1 / 3, -1.] + [0] * 17, line_off=10, line_scale=10, long_off=15, long_scale=.1, samp_den_coeff=[1.] + [0] * 19, samp_num_coeff=[0, 1.] + [0] * 18, samp_off=15, samp_scale=15, err_bias=None, err_rand=None)
def write(name, **more):
    with rasterio.open(f'{folder}/{name}.tif', 'w', driver='GTiff', height=20, width=30, count=1, dtype='uint8', **more) as f:
        f.write(numpy.ones((1, 20, 30), 'uint8'))
write('points', gcps=points, crs='EPSG:32633')
write('rpc', rpcs=rpc)
write('both', gcps=points, crs='EPSG:4326', rpcs=rpc)
";

/// The control points and RPCs of rasters must be those of the first.
const SAME_PLACE: &str = "
import sys, warnings, rasterio
warnings.simplefilter('ignore')
def place(path):
    with rasterio.open(path) as f:
        points, crs = f.gcps
        rpcs = f.rpcs.to_gdal() if f.rpcs else None
        rpcs = rpcs and {k: [float(f'{float(n):.12g}') for n in str(v).split()] for k, v in rpcs.items() if not k.startswith('ERR')}
        return [(p.row, p.col, p.x, p.y, p.z) for p in points], crs and crs.to_epsg(), rpcs
first, *others = map(place, sys.argv[1:])
assert first[0] or first[2]
for other in others:
    assert other == first, (first, other)
";

#[test]
fn control_points_and_rpcs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let Some(mut python) = outside::python("rasterio") else {
        return;
    };
    outside::output(python.args(["-c", UNRECTIFIED]).arg(folder.path()));
    for (name, points, rpc) in [("points", 4, 0), ("rpc", 0, 92), ("both", 4, 92)] {
        let scene = file(&format!("{name}.tif"));
        let place = Georeference::read(&scene).unwrap();
        assert_eq!(place.transform, None);
        assert_eq!(
            (place.points.len(), place.rpc.len()),
            (points, rpc),
            "{name}"
        );
        let note = place.note().unwrap();
        assert!(note.contains("gdalwarp"), "{note}");
        let (tif, png, cloud) = (file("m.tif"), file("m.png"), file("c.tif"));
        mask::write(&tif, &codes(20, 30), Some(&place)).unwrap();
        mask::write(&png, &codes(20, 30), Some(&place)).unwrap();
        mask::write_cloud_mask(&cloud, &tif, &mask::CLOUDY, &[]).unwrap();
        with_python("rasterio", SAME_PLACE, &[&scene, &tif, &png, &cloud]);
        let error = mask::check_polygons(&place).unwrap_err().to_string();
        assert!(error.contains("gdalwarp"), "{error}");
        assert!(mask::check_stac(&place).is_err());
        assert!(
            mask::MaskFormat::Numpy
                .georeference_loss(&place)
                .unwrap()
                .contains(".npy")
        );
        assert_eq!(mask::MaskFormat::Png.georeference_loss(&place), None);
    }
}

/// The transform and code of a raster as GDAL has them.
const PLACED: &str = "
import sys, rasterio
with rasterio.open(sys.argv[1]) as f:
    assert f.transform.to_gdal() == tuple(map(float, sys.argv[2].split())), f.transform.to_gdal()
    assert f.crs.to_epsg() == int(sys.argv[3]), f.crs
";

#[test]
fn a_png_mask_is_georeferenced_by_its_world_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.png");
    let north_up = [399_960.0, 10.0, 0.0, 5_700_000.0, 0.0, -10.0];
    let rotated = [5e5, 8.0, 6.0, 4e6, 6.0, -8.0];
    let degrees = [15.25, 0.125, 0.0, 50.0, 0.0, -0.125];
    for (transform, keys) in [
        (north_up, GeoKeys::projected(32633)),
        (rotated, GeoKeys::projected(32633)),
        (north_up, GeoKeys::projected(3857)),
        (degrees, GeoKeys::geographic(4326)),
    ] {
        let code = keys.epsg().unwrap();
        let place = Georeference::new(Some(transform), Some(keys));
        mask::write(&path, &codes(37, 61), Some(&place)).unwrap();
        let world = std::fs::read_to_string(folder.path().join("m.pgw")).unwrap();
        assert_eq!(world.lines().count(), 6);
        if let Some(mut python) = outside::python("rasterio") {
            let numbers = transform.map(|number| number.to_string()).join(" ");
            let python = python.args(["-c", PLACED]).arg(&path);
            outside::output(python.args([numbers, code.to_string()]));
        }
        // nephos reads it back unchanged.
        let record = mask::read_record(&path).unwrap().unwrap();
        assert_eq!(record.georeference, place);
        assert_eq!(
            record.counts.no_data,
            codes(37, 61).iter().filter(|c| **c == 255).count() as u64
        );
    }
    // A mask without georeference that replaces it removes the world file.
    mask::write(&path, &codes(37, 61), Some(&Georeference::default())).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
