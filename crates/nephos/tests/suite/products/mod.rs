//! What is made of a finished mask, checked by other software where it is there.

mod footprints;
mod masks;
mod polygons;
mod stac;

use std::path::Path;

use ndarray::Array2;
use nephos::mask::{Dates, Footprint, MaskSummary, StacInput};
use nephos::raster::{GeoKeys, Georeference};
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
