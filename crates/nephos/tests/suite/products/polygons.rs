//! Polygons of a mask and their areas.

use ndarray::{Array2, s};
use nephos::class::Class;
use nephos::mask::{self, PolygonOptions};
use nephos::raster::{GeoKeys, Georeference};

use super::super::outside;
use super::{blobs, json, place, utm};

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
