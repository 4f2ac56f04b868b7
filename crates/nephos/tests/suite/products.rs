//! What is made of a finished mask, checked by other software where it is there.

use std::path::Path;

use ndarray::{Array2, s};
use nephos::class::{Class, code_name};
use nephos::mask::{
    self, AssetKind, CLOUDY, CogSpec, CogWriter, Dates, Dilation, Footprint, MaskCounts,
    MaskReader, MaskSummary, PolygonOptions, StacInput,
};
use nephos::scene::{GeoKeys, Georeference};
use serde_json::Value;

use super::outside;

fn place(transform: [f64; 6], keys: GeoKeys) -> Georeference {
    Georeference::new(Some(transform), Some(keys))
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
from pystac.extensions.classification import ClassificationExtension
assert abs(EOExtension.ext(read).cloud_cover - float(sys.argv[2])) < 1e-3
assert ProjectionExtension.ext(read).epsg == 32633
classes = ClassificationExtension.ext(read.assets['mask']).classes
assert [c.value for c in classes] == [0, 1, 2, 3, 255]
assert classes[4].nodata and not classes[0].nodata
assert sum(c.count for c in classes) == height * width
assert abs(sum(c.percentage for c in classes[:4]) - 100) < 1e-3
";

/// Validates items against the schemas of STAC that pystac brings along, without the net;
/// those of its extensions no package has, so their rules stand here: classification
/// 2.0.0, projection 2.0.0, raster 2.0.0, EO 1.1.0, processing 1.2.0.
const VALIDATE: &str = r#"
import sys, json, re, warnings
import pystac
from pystac.validation.local_validator import LocalValidator
warnings.simplefilter('ignore')
for path in sys.argv[1:]:
    item = json.load(open(path))
    errors = list(LocalValidator().item_validator().iter_errors(item))
    assert not errors, (path, errors[:3])
    # pystac reads it, and writes what it read.
    read = pystac.Item.from_file(path)
    assert read.to_dict(include_self_link=False)['properties'].keys() >= item['properties'].keys()
    uris = ['eo/v1.1.0', 'projection/v2.0.0', 'raster/v2.0.0', 'classification/v2.0.0', 'processing/v1.2.0']
    known = [f'https://stac-extensions.github.io/{uri}/schema.json' for uri in uris]
    assert sorted(item['stac_extensions']) == sorted(known)
    places = [item['properties'], *item['assets'].values()]
    fields = {
        'proj': {'code', 'shape', 'transform'}, 'eo': {'cloud_cover'}, 'classification': {'classes'},
        'raster': {'sampling', 'scale', 'offset'}, 'processing': {'software'},
    }
    for place in places:
        for key in place:
            prefix, _, name = key.partition(':')
            assert prefix not in fields or not name or name in fields[prefix], key
        code = place.get('proj:code')
        assert code is None or re.fullmatch(r'[A-Z]+:[0-9]+', code)
        if 'proj:shape' in place:
            assert len(place['proj:shape']) == 2 and all(type(n) is int for n in place['proj:shape'])
            assert len(place['proj:transform']) == 6
        cover = place.get('eo:cloud_cover', 0)
        assert 0 <= cover <= 100
        classes = place.get('classification:classes', [])
        assert len({c['value'] for c in classes}) == len(classes)
        for c in classes:
            assert type(c['value']) is int and re.fullmatch(r'[0-9A-Za-z-_]+', c['name'])
            assert type(c.get('title', '')) is str and type(c.get('description', '')) is str
            assert re.fullmatch(r'[0-9A-Fa-f]{6}', c.get('color_hint', '000000'))
            assert type(c.get('nodata', False)) is bool
            assert 0 <= c.get('percentage', 0) <= 100 and type(c['count']) is int and c['count'] >= 0
        assert place.get('raster:sampling', 'area') in ('area', 'point')
        assert all(type(v) is str for v in place.get('processing:software', {'': ''}).values())
"#;

/// Validates an item offline, where Python has what it takes.
fn validate(paths: &[&Path]) {
    if let Some(mut python) = outside::python("pystac, jsonschema") {
        outside::output(python.args(["-c", VALIDATE]).args(paths));
    }
}

fn known() -> Dates {
    "2024-06-01T10:00:31Z".parse().unwrap()
}

/// An input for an item of a mask at `place`.
fn input<'a>(
    place: &'a Georeference,
    size: [usize; 2],
    footprint: &'a Footprint,
    summary: &'a MaskSummary,
    dates: &'a Dates,
) -> StacInput<'a> {
    StacInput {
        scene: "scene",
        derived_from: Some("../in/scene.tif"),
        dates,
        created: "2026-01-02T03:04:05Z",
        size,
        georeference: place,
        footprint,
        summary,
        assets: &[],
    }
}

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
        (AssetKind::CloudMask, "./c.tif".to_owned()),
        (AssetKind::Probabilities, "./p.tif".to_owned()),
        (AssetKind::Quicklook, "./q.png".to_owned()),
    ];
    let (place, dates, whole) = (utm(), known(), Footprint::whole([2000, 1500]));
    let input = StacInput {
        assets: &assets,
        ..input(&place, [2000, 1500], &whole, &summary, &dates)
    };
    let item = mask::stac_item(&input).unwrap();
    let classes = &item["assets"]["mask"]["classification:classes"];
    assert_eq!(classes[3]["name"], "cloud_shadow");
    assert_eq!(classes[4]["count"], 210);
    assert_eq!(item["id"], "scene_nephos_model_mask");
    assert_eq!(item["properties"]["gsd"], 10.0);
    assert_eq!(item["properties"]["created"], "2026-01-02T03:04:05Z");
    assert_eq!(item["links"][0]["rel"], "derived_from");
    assert_eq!(item["links"][0]["href"], "../in/scene.tif");
    mask::write_json(&path, &item).unwrap();
    if let Some(mut python) = outside::python("rasterio") {
        let cover = summary.cloud_cover.unwrap().to_string();
        outside::output(python.args(["-c", ITEM]).arg(&path).arg(cover));
    }
    validate(&[&path]);
    let nowhere = Georeference::default();
    let error = mask::stac_item(&StacInput {
        georeference: &nowhere,
        ..input
    });
    assert!(error.unwrap_err().to_string().contains("EPSG"));
}

/// An item without a time is one with two, and one without valid pixels has no footprint.
#[test]
fn items_are_valid_also_without_a_date_or_data() {
    let folder = tempfile::tempdir().unwrap();
    let (place, summary) = (utm(), MaskSummary::new("s", "m", &MaskCounts::default()));
    let whole = Footprint::whole([30, 20]);
    let mut paths = Vec::new();
    for dates in [
        known(),
        "2024-02-29".parse().unwrap(),
        "2024-02/2024-03".parse().unwrap(),
        Dates::of(None, folder.path()),
    ] {
        let item = mask::stac_item(&input(&place, [30, 20], &whole, &summary, &dates)).unwrap();
        let properties = &item["properties"];
        let [start, end] = dates.range();
        if let Dates::At(time) = &dates {
            assert_eq!(properties["datetime"], *time);
        } else {
            assert!(properties["datetime"].is_null());
            assert_eq!(properties["start_datetime"], start);
            assert_eq!(properties["end_datetime"], end);
        }
        paths.push(folder.path().join(format!("{}.json", paths.len())));
        mask::write_json(paths.last().unwrap(), &item).unwrap();
    }
    let mask = folder.path().join("m.tif");
    mask::write(&mask, &Array2::from_elem((30, 20), 255), Some(&place)).unwrap();
    let empty = mask::footprint(&mask).unwrap();
    let dates = known();
    let item = mask::stac_item(&input(&place, [30, 20], &empty, &summary, &dates)).unwrap();
    assert!(item["geometry"].is_null() && item.get("bbox").is_none());
    paths.push(folder.path().join("empty.json"));
    mask::write_json(paths.last().unwrap(), &item).unwrap();
    let paths: Vec<&Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
    validate(&paths);
}

/// Compares a footprint with the valid pixels of its mask, by GDAL.
const VALID: &str = "
import sys, json, numpy, rasterio, rasterio.features, rasterio.warp, shapely.geometry
mask, path, tolerance = sys.argv[1], sys.argv[2], float(sys.argv[3])
shape = shapely.geometry.shape(json.load(open(path))['geometry'])
assert shape.is_valid, shapely.is_valid_reason(shape)
with rasterio.open(mask) as f:
    valid = f.read(1) != 255
    here = rasterio.warp.transform_geom('EPSG:4326', f.crs, shapely.geometry.mapping(shape))
    drawn = rasterio.features.rasterize([here], valid.shape, transform=f.transform).astype(bool)
wrong = (drawn != valid).mean()
assert wrong <= tolerance, wrong
for part in getattr(shape, 'geoms', [shape]):
    assert part.exterior.is_ccw and not any(ring.is_ccw for ring in part.interiors)
";

#[test]
fn a_footprint_leaves_out_what_has_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let (path, json) = (folder.path().join("m.tif"), folder.path().join("m.json"));
    let summary = MaskSummary::new("s", "m", &MaskCounts::default());
    let dates = known();
    let swath = Array2::from_shape_fn(
        (1830, 1830),
        |(row, col)| {
            if col + row / 4 < 900 { 255 } else { 0 }
        },
    );
    let mut island = Array2::from_elem((300, 200), 255);
    island.slice_mut(s![10..200, 20..180]).fill(0);
    island.slice_mut(s![50..90, 60..100]).fill(255);
    island.slice_mut(s![250..300, ..]).fill(1);
    let south_up = place(
        [399_960.0, 10.0, 0.0, 5_700_000.0, 0.0, 10.0],
        GeoKeys::projected(32733),
    );
    for (codes, tolerance) in [(&swath, "0.002"), (&island, "0.0")] {
        for place in [utm(), south_up.clone()] {
            mask::write(&path, codes, Some(&place)).unwrap();
            let footprint = mask::footprint(&path).unwrap();
            let [rows, cols] = [codes.nrows(), codes.ncols()];
            let input = input(&place, [rows, cols], &footprint, &summary, &dates);
            mask::write_json(&json, &mask::stac_item(&input).unwrap()).unwrap();
            if let Some(mut python) = outside::python("rasterio, shapely") {
                let arguments = [&path, &json];
                outside::output(python.args(["-c", VALID]).args(arguments).arg(tolerance));
            }
            validate(&[&json]);
        }
    }
}

/// What crosses the 180th meridian is cut there: valid polygons within −180 to 180 degrees
/// that together are as large as those that go on past it.
const CUT: &str = "
import sys, json, shapely.geometry
def check(geometry):
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid, shapely.is_valid_reason(shape)
    west, south, east, north = shape.bounds
    assert -180 <= west and east <= 180
    for part in getattr(shape, 'geoms', [shape]):
        west, _, east, _ = part.bounds
        assert east - west < 90, part
        assert part.exterior.is_ccw and not any(ring.is_ccw for ring in part.interiors)
    return shape
item, polygons, expected = json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), float(sys.argv[3])
shape = check(item['geometry'])
assert item['geometry']['type'] == 'MultiPolygon'
assert abs(shape.area - expected) < 1e-3 * expected, (shape.area, expected)
assert sum(f['geometry']['type'] == 'MultiPolygon' for f in polygons['features']) > 0
for feature in polygons['features']:
    check(feature['geometry'])
";

#[test]
fn what_crosses_the_180th_meridian_is_cut_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let codes = blobs(300, 400);
    let mut counts = MaskCounts::default();
    counts.add(codes.view());
    let summary = MaskSummary::new("s", "m", &counts);
    let (dates, whole) = (known(), Footprint::whole([300, 400]));
    let degrees = |west: f64| {
        place(
            [west, 0.05, 0.0, 10.0, 0.0, -0.05],
            GeoKeys::geographic(4326),
        )
    };
    let zone = place(
        [790_000.0, 300.0, 0.0, 200_000.0, 0.0, -300.0],
        GeoKeys::projected(32660),
    );
    for (place, area) in [
        (degrees(170.0), Some(300.0)),
        (degrees(-190.0), Some(300.0)),
        (zone, None),
    ] {
        mask::write(&file("m.tif"), &codes, Some(&place)).unwrap();
        let options = PolygonOptions::default();
        mask::write_polygons(&file("p.geojson"), &file("m.tif"), &options).unwrap();
        let item = mask::stac_item(&input(&place, [300, 400], &whole, &summary, &dates)).unwrap();
        mask::write_json(&file("m.json"), &item).unwrap();
        let bbox: Vec<f64> = serde_json::from_value(item["bbox"].clone()).unwrap();
        assert!(bbox[0] > 169.0 && bbox[2] < -169.0, "{bbox:?}");
        let parts = item["geometry"]["coordinates"].as_array().unwrap();
        assert_eq!(parts.len(), 2);
        if let Some(mut python) = outside::python("shapely") {
            let area: f64 = area.unwrap_or_else(|| item_area(&item));
            let python = python
                .args(["-c", CUT])
                .args([file("m.json"), file("p.geojson")]);
            outside::output(python.arg(area.to_string()));
        }
        validate(&[&file("m.json")]);
    }
}

/// Area in square degrees of the outer rings of an item.
fn item_area(item: &Value) -> f64 {
    let parts: Vec<Vec<Vec<[f64; 2]>>> =
        serde_json::from_value(item["geometry"]["coordinates"].clone()).unwrap();
    (parts.iter().flatten())
        .map(|ring| {
            let area: f64 = (ring.windows(2))
                .map(|pair| pair[0][0] * pair[1][1] - pair[1][0] * pair[0][1])
                .sum();
            area / 2.0
        })
        .sum()
}

/// Areas in Web Mercator are those on the ground: as those of the same place in degrees.
#[test]
fn areas_are_on_the_ground() {
    let folder = tempfile::tempdir().unwrap();
    let (path, polygons) = (folder.path().join("m.tif"), folder.path().join("p.geojson"));
    let mut codes = Array2::zeros((40, 40));
    codes.slice_mut(s![10..20, 5..30]).fill(1);
    let area = |place: &Georeference| {
        mask::write(&path, &codes, Some(place)).unwrap();
        mask::write_polygons(&polygons, &path, &PolygonOptions::default()).unwrap();
        json(&polygons)["features"][0]["properties"]["area_m2"]
            .as_f64()
            .unwrap()
    };
    let y = |latitude: f64| 6_378_137.0 * latitude.to_radians().tan().asinh();
    for latitude in [60.0f64, -45.0, 3.0] {
        let mercator = place(
            [1e6, 10.0, 0.0, y(latitude), 0.0, -10.0],
            GeoKeys::projected(3857),
        );
        let expected = 250.0 * 100.0 * latitude.to_radians().cos().powi(2);
        let found = area(&mercator);
        assert!(
            (found / expected - 1.0).abs() < 0.01,
            "{latitude}: {found} {expected}"
        );
    }
    assert_eq!(area(&utm()), 25_000.0);
    let mut feet = GeoKeys::projected(2263);
    feet.directory[19] = 9003;
    let found = area(&place([1e6, 10.0, 0.0, 2e5, 0.0, -10.0], feet));
    assert!(
        (found / (25_000.0 * (1200f64 / 3937.0).powi(2)) - 1.0).abs() < 1e-6,
        "{found}"
    );
    let rotated = place([5e5, 8.0, 6.0, 5e6, 6.0, -8.0], GeoKeys::projected(32633));
    assert!((area(&rotated) - 25_000.0).abs() < 1e-6);
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
