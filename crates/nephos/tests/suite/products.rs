//! What is made of a finished mask, checked by other software where it is there.

use std::path::Path;

use ndarray::{Array2, s};
use nephos::class::Class;
use nephos::mask::{
    self, AssetKind, CLOUDY, Dilation, MaskCounts, MaskReader, MaskSummary, PolygonOptions,
    StacInput,
};
use nephos::scene::{GeoKeys, Georeference};
use serde_json::Value;

use super::outside;

fn place(transform: [f64; 6], keys: GeoKeys) -> Georeference {
    Georeference {
        transform: Some(transform),
        keys: Some(keys),
    }
}

fn utm() -> Georeference {
    place(
        [399_960.0, 10.0, 0.0, 5_700_000.0, 0.0, -10.0],
        GeoKeys::projected(32633),
    )
}

/// Blobs of all classes with holes, corners that touch, and no data.
fn blobs(height: usize, width: usize) -> Array2<u8> {
    Array2::from_shape_fn((height, width), |(row, col)| {
        let (y, x) = (row as f64, col as f64);
        let wave = (y / 11.0).sin() + (x / 7.0).cos() + (x / 23.0 + y / 17.0).sin();
        let speckle = (row * 7919 + col * 104_729) % 97;
        match wave {
            _ if col + row < 20 => 255,
            _ if speckle == 0 => 2,
            _ if speckle == 1 => 0,
            w if w > 1.2 => 1,
            w if w > 0.6 => 2,
            w if w < -1.4 => 3,
            _ => 0,
        }
    })
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

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
    mask::write_probabilities(&probabilities, &ndarray::Array3::zeros((4, 3, 3)), None).unwrap();
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
        let mut dilation = Dilation::new(65.0, &utm(), 200, false).unwrap();
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

/// Polygons are valid, turn the right way, lie where GDAL puts them, and have the
/// areas of GDAL's own; the mask drawn from them anew is the mask.
const POLYGONS: &str = "
import sys, json, numpy, rasterio, rasterio.features, rasterio.warp, shapely, shapely.geometry
mask, path = sys.argv[1:]
with rasterio.open(mask) as f:
    codes, transform, crs = f.read(1), f.transform, f.crs
found = json.load(open(path))
assert found['type'] == 'FeatureCollection' and 'crs' not in found
drawn = numpy.where(codes == 255, 255, 0).astype('uint8')
shapes, areas = [], {}
for feature in found['features']:
    shape = shapely.geometry.shape(feature['geometry'])
    assert shape.is_valid, shapely.is_valid_reason(shape)
    assert shape.exterior.is_ccw and not any(ring.is_ccw for ring in shape.interiors)
    code = feature['properties']['code']
    areas.setdefault(code, []).append(feature['properties']['area_m2'])
    geometry = rasterio.warp.transform_geom('EPSG:4326', crs, feature['geometry'])
    shapes.append((geometry, code))
drawn_here = rasterio.features.rasterize(shapes, codes.shape, fill=0, transform=transform, dtype='uint8')
assert numpy.array_equal(numpy.where(codes == 255, 255, drawn_here), codes)
for code in (1, 2, 3):
    regions = rasterio.features.shapes(codes, codes == code, connectivity=4)
    theirs = sorted(shapely.geometry.shape(s).area for s, _ in regions)
    if crs.is_projected:
        pixel = abs(transform.determinant)
        assert numpy.allclose(sorted(areas[code]), numpy.array(theirs) * pixel)
    assert len(areas[code]) == len(theirs)
";

#[test]
fn polygons_are_those_of_the_mask() {
    let folder = tempfile::tempdir().unwrap();
    let (path, polygons) = (folder.path().join("m.tif"), folder.path().join("p.geojson"));
    let codes = blobs(620, 430);
    let south_up = place(
        [399_960.0, 10.0, 0.0, 5_700_000.0, 0.0, 10.0],
        GeoKeys::projected(32733),
    );
    let degrees = place(
        [15.0, 1e-4, 0.0, 52.0, 0.0, -1e-4],
        GeoKeys::geographic(4326),
    );
    for place in [utm(), south_up, degrees] {
        mask::write(&path, &codes, Some(&place)).unwrap();
        let options = PolygonOptions::default();
        let written = mask::write_polygons(&polygons, &path, &options).unwrap();
        let found = json(&polygons);
        let features = found["features"].as_array().unwrap();
        assert_eq!(features.len() as u64, written);
        for class in options.classes {
            let of_class = features
                .iter()
                .filter(|f| f["properties"]["code"] == class as u8);
            let pixels: u64 = of_class
                .map(|f| f["properties"]["pixels"].as_u64().unwrap())
                .sum();
            let counted = codes.iter().filter(|code| **code == class as u8).count();
            assert_eq!(pixels, counted as u64, "{}", class.name());
        }
        if let Some(mut python) = outside::python("rasterio, shapely") {
            outside::output(python.args(["-c", POLYGONS]).args([&path, &polygons]));
        }
    }
}

#[test]
fn small_regions_are_left_out_and_unknown_systems_said() {
    let folder = tempfile::tempdir().unwrap();
    let (path, polygons) = (folder.path().join("m.tif"), folder.path().join("p.geojson"));
    let mut codes = Array2::zeros((6, 6));
    codes.slice_mut(s![1..4, 1..4]).fill(1);
    codes[[5, 5]] = 1;
    codes[[0, 5]] = 3;
    let mut unknown = utm();
    unknown.keys.as_mut().unwrap().directory[15] = 32767;
    mask::write(&path, &codes, Some(&unknown)).unwrap();
    let options = PolygonOptions {
        classes: vec![Class::Thick],
        min_area: 101.0,
    };
    assert_eq!(mask::write_polygons(&polygons, &path, &options).unwrap(), 1);
    let found = json(&polygons);
    assert!(found["crs"].is_null() && found["note"].is_string());
    let feature = &found["features"][0];
    assert_eq!(feature["properties"]["area_m2"], 900.0);
    let corner = &feature["geometry"]["coordinates"][0][0];
    assert!(corner[0].as_f64().unwrap() > 399_969.0, "{corner}");

    mask::write(&path, &codes, None).unwrap();
    let error = mask::write_polygons(&polygons, &path, &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("m.tif") && error.contains("no transform"),
        "{error}"
    );
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
    let names = mask::write_class_names(&path).unwrap();
    assert_eq!(names, folder.path().join("m.tif.aux.xml"));
    let style = mask::write_qgis_style(&path).unwrap();
    assert_eq!(style, folder.path().join("m.qml"));
    let style = std::fs::read_to_string(style).unwrap();
    assert!(style.contains("value=\"0\" label=\"clear\" color=\"#000000\" alpha=\"0\""));
    assert!(style.contains("value=\"1\" label=\"thick cloud\" color=\"#e61e1e\" alpha=\"255\""));
    if let Some(mut python) = outside::python("rasterio") {
        let said = outside::output(python.args(["-c", NAMES]).arg(&path));
        if said.is_empty() {
            return outside::skipped("this rasterio does not bring GDAL's library along");
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

/// Footprint and members of an item, by GDAL and, where it is there, pystac.
const ITEM: &str = "
import sys, json, rasterio, rasterio.warp
item = json.load(open(sys.argv[1]))
ring = item['geometry']['coordinates'][0]
assert ring[0] == ring[-1] and len(ring) == 57
p = item['properties']
t, (height, width) = p['proj:transform'], p['proj:shape']
xs, ys = [], []
for col, row in [(0, 0), (0, height), (width, height), (width, 0)]:
    xs.append(t[0] * col + t[1] * row + t[2]); ys.append(t[3] * col + t[4] * row + t[5])
lon, lat = rasterio.warp.transform(p['proj:code'], 'EPSG:4326', xs, ys)
for corner in zip(lon, lat):
    assert min(abs(corner[0] - q[0]) + abs(corner[1] - q[1]) for q in ring) < 1e-6, corner
west, south, east, north = item['bbox']
bounds = rasterio.warp.transform_bounds(p['proj:code'], 'EPSG:4326', min(xs), min(ys), max(xs), max(ys))
assert max(abs(a - b) for a, b in zip(bounds, item['bbox'])) < 1e-3, (bounds, item['bbox'])
assert sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:])) > 0, 'counter-clockwise'
try:
    import pystac
except ImportError:
    sys.exit()
read = pystac.Item.from_dict(item)
assert read.datetime is not None and read.assets['mask'].href == './m.tif'
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.eo import EOExtension
assert abs(EOExtension.ext(read).cloud_cover - float(sys.argv[2])) < 1e-3
assert ProjectionExtension.ext(read).epsg == 32633
";

#[test]
fn a_stac_item_says_where_when_and_how_cloudy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.json");
    let codes = blobs(2000, 1500);
    let mut counts = MaskCounts::default();
    counts.add(codes.view());
    let summary = MaskSummary::new("scene", "model", &counts);
    let assets = [
        (AssetKind::Mask, "./m.tif".to_owned()),
        (AssetKind::Probabilities, "./p.tif".to_owned()),
        (AssetKind::Quicklook, "./q.png".to_owned()),
    ];
    let place = utm();
    let input = StacInput {
        id: "scene",
        datetime: Some("2024-06-01T10:00:31Z"),
        size: [2000, 1500],
        georeference: &place,
        summary: &summary,
        assets: &assets,
    };
    let item = mask::stac_item(&input).unwrap();
    assert_eq!(
        item["assets"]["mask"]["classification:classes"][3]["name"],
        "cloud_shadow"
    );
    mask::write_json(&path, &item).unwrap();
    if let Some(mut python) = outside::python("rasterio") {
        let cover = summary.cloud_cover.unwrap().to_string();
        outside::output(python.args(["-c", ITEM]).arg(&path).arg(cover));
    }
    let nowhere = Georeference::default();
    let error = mask::stac_item(&StacInput {
        georeference: &nowhere,
        ..input
    });
    assert!(error.unwrap_err().to_string().contains("EPSG"));
}

#[test]
fn a_footprint_goes_on_past_the_180th_meridian() {
    let place = place(
        [790_000.0, 10.0, 0.0, 200_000.0, 0.0, -10.0],
        GeoKeys::projected(32660),
    );
    let summary = MaskSummary::new("s", "m", &MaskCounts::default());
    let item = mask::stac_item(&StacInput {
        id: "s",
        datetime: None,
        size: [10980, 10980],
        georeference: &place,
        summary: &summary,
        assets: &[],
    })
    .unwrap();
    let bbox: Vec<f64> = serde_json::from_value(item["bbox"].clone()).unwrap();
    assert!(bbox[0] > 179.0 && bbox[2] < -179.0, "{bbox:?}");
    let ring = item["geometry"]["coordinates"][0].as_array().unwrap();
    let longitudes = || ring.iter().map(|point| point[0].as_f64().unwrap());
    assert!(longitudes().all(|longitude| (179.0..181.0).contains(&longitude)));
    assert!(item["properties"].get("eo:cloud_cover").is_none());
}
