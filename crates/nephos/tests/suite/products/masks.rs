//! Masks by strips and reduced, as two codes, with margins and with the names of their classes.

use ndarray::{Array2, s};
use nephos::class::{Class, code_name};
use nephos::mask::{self, CLOUDY, CogSpec, CogWriter, Dilation, MaskReader};
use nephos::raster::{GeoKeys, Georeference};

use super::super::outside;
use super::{blobs, place, utm};

#[test]
fn a_mask_is_read_by_strips_and_reduced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.tif");
    let codes = blobs(1201, 1100);
    mask::write(&path, &codes, Some(&utm())).unwrap();
    let reader = MaskReader::open(&path).unwrap();
    assert_eq!(
        (reader.size(), reader.georeference()),
        ([1201, 1100], &utm())
    );
    let mut row = 0;
    let strips = reader.strips(|rows| {
        assert_eq!(rows, codes.slice(s![row..row + rows.nrows(), ..]));
        row += rows.nrows();
        Ok(())
    });
    strips.unwrap();
    assert_eq!(row, 1201);
    assert_eq!(reader.reduced(5000).unwrap(), codes);
    let small = reader.reduced(400).unwrap();
    assert_eq!(small.dim(), (301, 275));
    // The second overview, which has that size, is of the most frequent codes.
    let block = codes.slice(s![400..404, 600..604]);
    let most = [1, 2, 3, 0]
        .into_iter()
        .rev()
        .max_by_key(|code| block.iter().filter(|c| *c == code).count());
    assert_eq!(Some(small[[100, 150]]), most);

    let probabilities = folder.path().join("p.tif");
    let names = (0..4).map(code_name).collect();
    let spec = CogSpec::probabilities(3, 3, names, Georeference::default());
    let mut writer = CogWriter::create(&probabilities, spec).unwrap();
    writer
        .write_rows(ndarray::Array3::zeros((4, 3, 3)).view())
        .unwrap();
    writer.finish().unwrap();
    let error = MaskReader::open(&probabilities).err().unwrap().to_string();
    assert!(
        error.contains("p.tif") && error.contains("one uint8 band"),
        "{error}"
    );
}

#[test]
fn a_cloud_mask_has_two_codes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, cloud) = (folder.path().join("m.tif"), folder.path().join("c.tif"));
    let codes = blobs(700, 90);
    mask::write(&path, &codes, Some(&utm())).unwrap();
    mask::write_cloud_mask(&cloud, &path, &CLOUDY, &[]).unwrap();
    let expected = codes.mapv(|code| [0, 1, 1, 0].get(usize::from(code)).copied().unwrap_or(255));
    assert_eq!(mask::read(&cloud).unwrap(), expected);
    assert_eq!(Georeference::read(&cloud).unwrap(), utm());
    let all = [Class::Thick, Class::Thin, Class::Shadow];
    let with_shadow = mask::collapse(codes.view(), &all);
    let expected = codes.mapv(|code| [0, 1, 1, 1].get(usize::from(code)).copied().unwrap_or(255));
    assert_eq!(with_shadow, expected);
}

/// A margin that is grown and then collapsed is one that is collapsed and grown.
#[test]
fn margins_do_not_depend_on_the_order() {
    let codes = blobs(300, 200);
    let grown = |codes: &Array2<u8>| {
        let mut dilation = Dilation::new(65.0, &utm(), [300, 200], false).unwrap();
        let mut out = dilation.push(codes.view());
        out.append(ndarray::Axis(0), dilation.finish().view())
            .unwrap();
        out
    };
    let one = mask::collapse(grown(&codes).view(), &CLOUDY);
    let other = grown(&mask::collapse(codes.view(), &CLOUDY));
    assert_eq!(one, other);
    assert_ne!(one, mask::collapse(codes.view(), &CLOUDY));
}

/// In Web Mercator at 60° a margin of 60 m is one of 120 of its metres.
#[test]
fn margins_are_on_the_ground() {
    let y = 6_378_137.0 * 60f64.to_radians().tan().asinh();
    let mercator = place([1e6, 10.0, 0.0, y, 0.0, -10.0], GeoKeys::projected(3857));
    let mut codes = Array2::zeros((41, 41));
    codes[[20, 20]] = 1;
    let mut dilation = Dilation::new(60.0, &mercator, [41, 41], false).unwrap();
    let mut grown = dilation.push(codes.view());
    grown
        .append(ndarray::Axis(0), dilation.finish().view())
        .unwrap();
    let reached = grown.row(20).iter().filter(|code| **code == 1).count();
    assert_eq!(reached, 2 * 12 + 1, "60 m are 12.01 pixels of 4.995 m");
    let down = grown.column(20).iter().filter(|code| **code == 1).count();
    assert_eq!(down, reached);
}

/// The attribute table, as GDAL's own C interface returns it. (Category names, which
/// say the same, GDAL 3.10 takes from the file but hands out of no TIFF.)
const NAMES: &str = "
import sys, ctypes, glob, os, rasterio
libraries = os.path.join(os.path.dirname(rasterio.__file__), '..', 'rasterio.libs', 'libgdal*')
found = glob.glob(libraries)
if not found:
    sys.exit()
gdal = ctypes.CDLL(found[0])
for name in ['GDALOpen', 'GDALGetRasterBand', 'GDALGetDefaultRAT']:
    getattr(gdal, name).restype = ctypes.c_void_p
gdal.GDALRATGetValueAsString.restype = ctypes.c_char_p
gdal.GDALAllRegister()
band = gdal.GDALGetRasterBand(ctypes.c_void_p(gdal.GDALOpen(sys.argv[1].encode(), 0)), 1)
table = ctypes.c_void_p(gdal.GDALGetDefaultRAT(ctypes.c_void_p(band)))
for row in range(gdal.GDALRATGetRowCount(table)):
    print(gdal.GDALRATGetValueAsString(table, row, 1).decode(), end=',')
    print(*[gdal.GDALRATGetValueAsInt(table, row, column) for column in (0, 2, 3, 4, 5)], sep=',')
";

#[test]
fn gdal_knows_the_classes_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.tif");
    mask::write(&path, &blobs(40, 40), Some(&utm())).unwrap();
    let names = mask::write_class_names(&path, None).unwrap();
    assert_eq!(names, folder.path().join("m.tif.aux.xml"));
    let style = mask::write_qgis_style(&path).unwrap();
    assert_eq!(style, folder.path().join("m.qml"));
    let style = std::fs::read_to_string(style).unwrap();
    assert!(style.contains("value=\"0\" label=\"clear\" color=\"#000000\" alpha=\"0\""));
    assert!(style.contains("value=\"1\" label=\"thick cloud\" color=\"#e61e1e\" alpha=\"255\""));
    if let Some(mut python) = outside::python("rasterio") {
        let said = outside::output(python.args(["-c", NAMES]).arg(&path));
        if said.is_empty() {
            return outside::skipped("gdal", "this rasterio does not bring GDAL's library along");
        }
        let mut lines = said.lines();
        for class in Class::ALL {
            let [red, green, blue] = class.colour();
            let opacity = if class == Class::Clear { 0 } else { 255 };
            let expected = format!(
                "{},{},{red},{green},{blue},{opacity}",
                class.name(),
                class as u8
            );
            assert_eq!(lines.next(), Some(expected.as_str()));
        }
    }
}
