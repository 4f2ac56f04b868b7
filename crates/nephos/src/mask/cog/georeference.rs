//! A georeference as the tags of a GeoTIFF (OGC 19-008r4).

use super::directory::{Directory, Value};
use crate::raster::geotiff_tags::{
    KEY_ASCII, KEY_DIRECTORY, KEY_DOUBLES, PIXEL_SCALE, RPC_COEFFICIENTS, TIEPOINTS, TRANSFORMATION,
};
use crate::raster::{GeoKeys, Georeference};

/// The tags of a georeference, in ascending order: pixel scale and tie point
/// where north is up, else the matrix; ground control points where there is no
/// transform; rational polynomial coefficients.
pub(super) fn tags(place: &Georeference) -> Directory {
    let mut tags = Directory::new();
    let is_point = place.keys.as_ref().is_some_and(GeoKeys::is_point);
    if let Some(t) = place.transform.map(|t| to_centre(t, is_point)) {
        if t[2] == 0.0 && t[4] == 0.0 && t[1] > 0.0 && t[5] < 0.0 {
            tags.push((PIXEL_SCALE, Value::Double(vec![t[1], -t[5], 0.0])));
            let tie = vec![0.0, 0.0, 0.0, t[0], t[3], 0.0];
            tags.push((TIEPOINTS, Value::Double(tie)));
        } else {
            let matrix = [
                [t[1], t[2], 0.0, t[0]],
                [t[4], t[5], 0.0, t[3]],
                [0.0; 4],
                [0.0, 0.0, 0.0, 1.0],
            ];
            tags.push((TRANSFORMATION, Value::Double(matrix.concat())));
        }
    } else if !place.points.is_empty() {
        tags.push((TIEPOINTS, Value::Double(place.points.concat())));
    }
    if let Some(keys) = &place.keys {
        tags.push((KEY_DIRECTORY, Value::Short(keys.directory.clone())));
        if !keys.doubles.is_empty() {
            tags.push((KEY_DOUBLES, Value::Double(keys.doubles.clone())));
        }
        if !keys.ascii.is_empty() {
            let text = keys.ascii.trim_end_matches('\0').to_owned();
            tags.push((KEY_ASCII, Value::Ascii(text)));
        }
    }
    if !place.rpc.is_empty() {
        tags.push((RPC_COEFFICIENTS, Value::Double(place.rpc.clone())));
    }
    tags
}

/// The transform for files that refer to pixel centres: half a pixel further down
/// and right.
fn to_centre(t: [f64; 6], is_point: bool) -> [f64; 6] {
    let mut moved = t;
    if is_point {
        moved[0] += 0.5 * (t[1] + t[2]);
        moved[3] += 0.5 * (t[4] + t[5]);
    }
    moved
}
