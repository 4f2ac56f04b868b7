//! STAC items.

use std::path::Path;

use ndarray::Array2;
use nephos::mask::{self, AssetKind, Dates, Footprint, MaskCounts, MaskSummary, StacInput};
use nephos::raster::Georeference;

use super::super::outside;
use super::{blobs, input, known, utm, validate};

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
