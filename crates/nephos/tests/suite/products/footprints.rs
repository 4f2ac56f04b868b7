//! Footprints, and what crosses the 180th meridian.

use ndarray::{Array2, s};
use nephos::mask::{self, Footprint, MaskCounts, MaskSummary, PolygonOptions};
use nephos::raster::GeoKeys;
use serde_json::Value;

use super::super::outside;
use super::{blobs, input, known, place, utm, validate};

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
