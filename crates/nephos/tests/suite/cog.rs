//! The writer of Cloud-Optimised GeoTIFFs, read back by `tiff-reader` and GDAL.

use std::path::Path;

use ndarray::{Array3, Axis, s};
use nephos::Error;
use nephos::class::Class;
use nephos::mask::{CogSpec, CogWriter, Resampling};
use nephos::raster::{GeoKeys, Georeference};
use proptest::prelude::*;
use tiff_reader::TiffFile;

use super::outside;

fn names() -> Vec<String> {
    nephos::class::class_names().map(str::to_owned).into()
}

fn utm() -> Georeference {
    Georeference::new(
        Some([399_960.0, 10.0, 0.0, 5_700_000.0, 0.0, -10.0]),
        Some(GeoKeys::projected(32633)),
    )
}

fn spec(bands: usize, height: usize, width: usize, overview: Resampling) -> CogSpec {
    CogSpec {
        bands,
        palette: None,
        band_names: Vec::new(),
        overview,
        ..CogSpec::mask(width, height, utm())
    }
}

/// Codes in patches, with no data here and there, different in each band.
fn codes(bands: usize, height: usize, width: usize) -> Array3<u8> {
    Array3::from_shape_fn((bands, height, width), |(band, row, col)| {
        let patch = ((row / 3 + 7 * (col / 5) + 3 * band) * 2_654_435_761) >> 7;
        let speckle = (row * 31 + col * 17 + band) % 11;
        [0, 1, 2, 3, 255, 0][(patch + usize::from(speckle == 0)) % 6]
    })
}

/// Writes `pixels` a few rows at a time.
fn write(path: &Path, spec: CogSpec, pixels: &Array3<u8>, rows: usize) {
    let mut writer = CogWriter::create(path, spec).unwrap();
    for chunk in pixels.axis_chunks_iter(Axis(1), rows) {
        writer.write_rows(chunk).unwrap();
    }
    writer.finish().unwrap();
}

fn assert_holds(path: &Path, pixels: &Array3<u8>) {
    let file = TiffFile::open(path).unwrap();
    for (band, expected) in pixels.outer_iter().enumerate() {
        let read = file.read_band::<u8>(0, band).unwrap();
        assert!(read == expected.into_dyn(), "band {band} differs");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_raster_comes_back(
        (bands, height, width) in (1usize..6, 1usize..700, 1usize..700),
        rows in 1usize..600,
        mean in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.tif");
        let pixels = codes(bands, height, width);
        let overview = if mean { Resampling::Mean } else { Resampling::Mode };
        write(&path, spec(bands, height, width, overview), &pixels, rows);
        assert_holds(&path, &pixels);
        prop_assert_eq!(Georeference::read(&path).unwrap(), utm());
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn bytes_do_not_depend_on_threads_or_batches_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let pixels = codes(1, 1300, 1100);
    let written = |threads: usize, rows: usize| {
        let path = folder.path().join("r.tif");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let spec = CogSpec::mask(1100, 1300, utm());
        (pool.build().unwrap()).install(|| write(&path, spec, &pixels, rows));
        std::fs::read(&path).unwrap()
    };
    let one = written(1, 1300);
    assert!(one == written(2, 7));
    assert!(one == written(4, 512));
}

#[test]
fn any_georeference_is_read_back_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.tif");
    let user_defined = GeoKeys {
        directory: vec![
            1, 1, 0, 5, 1024, 0, 1, 1, 1025, 0, 1, 1, 1026, 34737, 9, 0, 3072, 0, 1, 32767, 3080,
            34736, 1, 1,
        ],
        doubles: vec![0.25, -117.333],
        ascii: "made up|a|".to_owned(),
    };
    let mut point = GeoKeys::projected(32755);
    point.directory[11] = 2;
    assert!(point.is_point());
    let places = [
        (None, None),
        (None, Some(GeoKeys::projected(3857))),
        (Some([0.1, 1.0 / 3.0, 0.0, 7.7, 0.0, -0.3]), None),
        // South up, mirrored, rotated.
        (
            Some([0.1, 0.3, 0.0, 7.7, 0.0, 0.3]),
            Some(user_defined.clone()),
        ),
        (Some([0.1, -0.3, 0.0, 7.7, 0.0, -0.3]), Some(user_defined)),
        (
            Some([5e5, 8.0, 6.0, 4e6, 6.0, -8.0]),
            Some(GeoKeys::projected(32633)),
        ),
        (Some([5e5, 30.0, 0.0, 4e6, 0.0, -30.0]), Some(point)),
    ];
    for (transform, keys) in places {
        let place = Georeference::new(transform, keys);
        let pixels = codes(1, 5, 4);
        write(&path, CogSpec::mask(4, 5, place.clone()), &pixels, 5);
        assert_eq!(Georeference::read(&path).unwrap(), place);
        if let Some(mut python) = outside::python("rasterio") {
            let read = outside::output(python.args(["-c", TRANSFORM]).arg(&path));
            let expected = place.transform.unwrap_or([0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
            let read: Vec<f64> = read.split(' ').map(|v| v.trim().parse().unwrap()).collect();
            assert_eq!(read, expected, "{place:?}");
        }
    }
}

const TRANSFORM: &str = "
import sys, warnings, rasterio
warnings.simplefilter('ignore')
print(*rasterio.open(sys.argv[1]).transform.to_gdal())
";

/// Reads a raster with GDAL and compares pixels, overviews and metadata with the
/// raw pixels of the second file; the overviews are counted afresh from these.
const COMPARE: &str = "
import sys, numpy, rasterio
from rasterio.enums import ColorInterp
path, raw, bands, mean = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == 'mean'
with rasterio.open(path) as f:
    width, height = f.width, f.height
    pixels = numpy.fromfile(raw, numpy.uint8).reshape(bands, height, width)
    assert numpy.array_equal(f.read(), pixels)
    assert f.nodata == 255 and f.crs.to_epsg() == 32633 and f.compression.name == 'deflate'
    assert f.transform.to_gdal() == (399960, 10, 0, 5700000, 0, -10), f.transform
    levels = []
    while max(width, height) > 512:
        width, height = -(-width // 2), -(-height // 2)
        levels.append((height, width))
    for band in f.indexes:
        factors = [2 ** (k + 1) for k in range(len(levels))]
        assert f.overviews(band) == factors, (f.overviews(band), factors)
    height, width = f.shape
for k, shape in enumerate(levels):
    side = 2 ** (k + 1)
    padded = numpy.full((bands, shape[0] * side, shape[1] * side), 255, numpy.uint8)
    padded[:, :height, :width] = pixels
    blocks = padded.reshape(bands, shape[0], side, shape[1], side).swapaxes(2, 3)
    blocks = blocks.reshape(bands, *shape, side * side)
    if mean:
        valid = (blocks != 255).sum(-1)
        sums = numpy.where(blocks == 255, 0, blocks).astype(numpy.int64).sum(-1)
        expected = numpy.floor(sums / numpy.maximum(valid, 1) + 0.5)
    else:
        order = [1, 2, 3, 0]
        counts = numpy.stack([(blocks == code).sum(-1) for code in order])
        valid = counts.sum(0)
        expected = numpy.take(order, counts.argmax(0))
    expected = numpy.where(valid == 0, 255, expected)
    with rasterio.open(path, OVERVIEW_LEVEL=k) as f:
        assert f.shape == shape, (f.shape, shape)
        assert f.nodata == 255
        assert numpy.array_equal(f.read(), expected), k
";

#[test]
fn gdal_reads_pixels_georeference_and_overviews() {
    let folder = tempfile::tempdir().unwrap();
    let (path, raw) = (folder.path().join("r.tif"), folder.path().join("r.raw"));
    for (bands, height, width) in [(1, 1, 1), (3, 512, 90), (1, 1501, 2111), (4, 700, 1030)] {
        let pixels = codes(bands, height, width);
        std::fs::write(&raw, pixels.as_slice().unwrap()).unwrap();
        for (overview, name) in [(Resampling::Mode, "mode"), (Resampling::Mean, "mean")] {
            write(&path, spec(bands, height, width, overview), &pixels, 100);
            if let Some(mut python) = outside::python("rasterio") {
                let arguments = [bands.to_string(), name.to_owned()];
                let python = python.args(["-c", COMPARE]).arg(&path).arg(&raw);
                outside::output(python.args(arguments));
            }
        }
    }
}

/// Compares every raster with the raw pixels beside it.
const SAME: &str = "
import sys, glob, numpy, rasterio
paths = glob.glob(sys.argv[1] + '/*.tif')
for path in paths:
    with rasterio.open(path) as f:
        pixels = numpy.fromfile(path[:-4] + '.raw', numpy.uint8).reshape(f.count, *f.shape)
        assert numpy.array_equal(f.read(), pixels), path
print(len(paths))
";

#[test]
fn gdal_reads_rasters_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 1usize;
    let mut any = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695);
        1 + (state >> 33) % below
    };
    for number in 0..40 {
        let (bands, height, width, rows) = (any(5), any(699), any(699), any(300));
        let pixels = codes(bands, height, width);
        let path = folder.path().join(format!("{number}.tif"));
        let overview = [Resampling::Mode, Resampling::Mean][number % 2];
        write(&path, spec(bands, height, width, overview), &pixels, rows);
        std::fs::write(path.with_extension("raw"), pixels.as_slice().unwrap()).unwrap();
    }
    if let Some(mut python) = outside::python("rasterio") {
        let said = outside::output(python.args(["-c", SAME]).arg(folder.path()));
        assert_eq!(said.trim(), "40");
    }
}

#[test]
fn gdal_finds_colours_names_and_tags() {
    let folder = tempfile::tempdir().unwrap();
    let (mask, chances) = (folder.path().join("m.tif"), folder.path().join("p.tif"));
    let mut spec = CogSpec::mask(600, 700, utm());
    let odd = "a \"b\" & <c> é";
    spec.tags.push(("MODEL".to_owned(), odd.to_owned()));
    write(&mask, spec, &codes(1, 700, 600), 700);
    let spec = CogSpec::probabilities(600, 700, names(), utm());
    write(&chances, spec, &codes(4, 700, 600), 700);
    let Some(mut python) = outside::python("rasterio") else {
        return;
    };
    let colours = Class::ALL.map(|class| format!("{:?}", class.colour()));
    outside::output(
        python
            .args([
                "-c",
                "import sys, json, rasterio\n\
                 colours, odd = json.loads(sys.argv[3]), sys.argv[4]\n\
                 for level in [None, 0]:\n\
                 \x20   with rasterio.open(sys.argv[1], OVERVIEW_LEVEL=level) as f:\n\
                 \x20       assert f.colorinterp[0].name == 'palette'\n\
                 \x20       found = f.colormap(1)\n\
                 \x20       assert [list(found[i][:3]) for i in range(4)] == colours\n\
                 \x20       assert found[255][3] == 0, 'no data is transparent'\n\
                 with rasterio.open(sys.argv[1]) as f:\n\
                 \x20   tags = f.tags()\n\
                 \x20   assert tags['MODEL'] == odd, tags\n\
                 \x20   assert tags['CLASS_1'] == 'thick cloud', tags\n\
                 \x20   assert f.descriptions == ('class',)\n\
                 \x20   assert f.tags(ns='IMAGE_STRUCTURE')['LAYOUT'] == 'COG'\n\
                 with rasterio.open(sys.argv[2]) as f:\n\
                 \x20   names = ('clear', 'thick cloud', 'thin cloud', 'cloud shadow')\n\
                 \x20   assert f.descriptions == names\n\
                 \x20   assert f.scales == (0.004,) * 4 and f.offsets == (0,) * 4\n\
                 \x20   assert f.nodata == 255\n",
            ])
            .args([&mask, &chances])
            .args([format!("[{}]", colours.join(",")), odd.to_owned()]),
    );
}

/// Checks a COG's order strictly; warnings are errors.
const VALIDATE: &str = "
import sys
from rio_cogeo.cogeo import cog_validate
for path in sys.argv[1:]:
    valid, errors, warnings = cog_validate(path, strict=True)
    assert valid and not errors and not warnings, (path, errors, warnings)
";

#[test]
fn rio_cogeo_finds_nothing_wrong() {
    let Some(mut python) = outside::python("rio_cogeo") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    python.args(["-c", VALIDATE]);
    for (height, width) in [(1, 1), (512, 512), (513, 20), (1300, 2111)] {
        let mask = folder.path().join(format!("m{height}.tif"));
        write(
            &mask,
            CogSpec::mask(width, height, utm()),
            &codes(1, height, width),
            64,
        );
        let chances = folder.path().join(format!("p{height}.tif"));
        let spec = CogSpec::probabilities(width, height, names(), utm());
        write(&chances, spec, &codes(4, height, width), 64);
        python.args([mask, chances]);
    }
    outside::output(&mut python);
}

#[test]
fn an_unfinished_raster_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/r.tif");
    let pixels = codes(1, 600, 20);
    let begun = |rows: usize| {
        let mut writer = CogWriter::create(&path, CogSpec::mask(20, 600, utm())).unwrap();
        writer.write_rows(pixels.slice(s![.., ..rows, ..])).unwrap();
        writer
    };
    drop(begun(600));
    let error = begun(599).finish().unwrap_err().to_string();
    assert!(
        error.contains("599 rows of 600") && error.contains("r.tif"),
        "{error}"
    );
    let error = begun(600)
        .write_rows(pixels.slice(s![.., ..1, ..]))
        .unwrap_err();
    assert!(error.to_string().contains("row 600"), "{error}");
    let error = begun(0).write_rows(codes(1, 1, 21).view()).unwrap_err();
    assert!(error.to_string().contains("1 × 1 × 21"), "{error}");
    let error = begun(0)
        .write_rows(Array3::from_elem((1, 1, 20), 9).view())
        .unwrap_err();
    assert!(error.to_string().contains("code 9"), "{error}");
    assert!(CogWriter::create(&path, CogSpec::mask(0, 4, utm())).is_err());
    assert!(!path.exists());
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        0
    );

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = CogWriter::create(&file.join("r.tif"), CogSpec::mask(4, 4, utm()));
    assert!(matches!(error, Err(Error::Io { .. })));
}

/// Set in the process that `a_full_disk_is_an_error_that_names_the_file` starts.
const FULL: &str = "NEPHOS_TEST_FULL_DISK";

/// A limit on the size of files simulates a full disk: it comes in the midst of
/// the rows, and again when the file is put together from its parts.
#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    // Noise, which no deflate makes small.
    let pixels = Array3::from_shape_fn((1, 900, 800), |(_, row, col)| {
        let mixed = ((row * 800 + col) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40) as u8 % 4
    });
    let spec = CogSpec::mask(800, 900, utm());
    if let Some(path) = std::env::var_os(FULL) {
        let path = Path::new(&path);
        let mut writer = CogWriter::create(path, spec).unwrap();
        let written = writer.write_rows(pixels.view());
        println!("rows written: {}", written.is_ok());
        let error = written.and_then(|()| writer.finish()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        println!("error: {error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.tif");
    write(&path, spec, &pixels, 900);
    let blocks = std::fs::metadata(&path).unwrap().len() / 512;
    std::fs::remove_file(&path).unwrap();
    for (blocks, rows) in [(16, false), (blocks - 1, true)] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let test = "cog::a_full_disk_is_an_error_that_names_the_file";
        let said = outside::output(
            std::process::Command::new("sh")
                .args(["-c", &limited, "sh"])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", test, "--nocapture"])
                .env(FULL, &path),
        );
        assert!(said.contains(&format!("rows written: {rows}")), "{said}");
        assert!(
            said.contains(&format!("error: {}", path.display())),
            "{said}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
