//! A georeference as the tags of a GeoTIFF (OGC 19-008r4), both ways.

use tiff_reader::Ifd;

use super::directory::{Directory, Value};
use crate::scene::{GeoKeys, Georeference};

const PIXEL_SCALE: u16 = 33550;
const TIEPOINT: u16 = 33922;
const TRANSFORMATION: u16 = 34264;
const DIRECTORY: u16 = 34735;
const DOUBLES: u16 = 34736;
const ASCII: u16 = 34737;

/// The tags of a georeference, in ascending order: pixel scale and tie point
/// where north is up, else the matrix.
pub(super) fn tags(place: &Georeference) -> Directory {
    let mut tags = Directory::new();
    let is_point = place.keys.as_ref().is_some_and(GeoKeys::is_point);
    if let Some(t) = place.transform.map(|t| moved(t, is_point, 0.5)) {
        if t[2] == 0.0 && t[4] == 0.0 && t[1] > 0.0 && t[5] < 0.0 {
            tags.push((PIXEL_SCALE, Value::Double(vec![t[1], -t[5], 0.0])));
            let tie = vec![0.0, 0.0, 0.0, t[0], t[3], 0.0];
            tags.push((TIEPOINT, Value::Double(tie)));
        } else {
            let matrix = [
                [t[1], t[2], 0.0, t[0]],
                [t[4], t[5], 0.0, t[3]],
                [0.0; 4],
                [0.0, 0.0, 0.0, 1.0],
            ];
            tags.push((TRANSFORMATION, Value::Double(matrix.concat())));
        }
    }
    if let Some(keys) = &place.keys {
        tags.push((DIRECTORY, Value::Short(keys.directory.clone())));
        if !keys.doubles.is_empty() {
            tags.push((DOUBLES, Value::Double(keys.doubles.clone())));
        }
        if !keys.ascii.is_empty() {
            let text = keys.ascii.trim_end_matches('\0').to_owned();
            tags.push((ASCII, Value::Ascii(text)));
        }
    }
    tags
}

/// The transform with its origin `pixels` further down and right, for files that
/// speak of pixel centres.
fn moved(t: [f64; 6], is_point: bool, pixels: f64) -> [f64; 6] {
    if !is_point {
        return t;
    }
    let mut moved = t;
    moved[0] += pixels * (t[1] + t[2]);
    moved[3] += pixels * (t[4] + t[5]);
    moved
}

/// The georeference of an image of a TIFF.
pub(in super::super) fn georeference_of(ifd: &Ifd) -> Georeference {
    let doubles = |tag| ifd.tag(tag).and_then(|tag| tag.value.as_f64_vec());
    let directory = ifd.tag(DIRECTORY).and_then(|tag| tag.value.as_u16_slice());
    let text = ifd.tag(ASCII).and_then(|tag| tag.value.as_str());
    let keys = directory.map(|directory| GeoKeys {
        directory: directory.to_vec(),
        doubles: doubles(DOUBLES).unwrap_or_default(),
        ascii: text.unwrap_or_default().to_owned(),
    });
    let is_point = keys.as_ref().is_some_and(GeoKeys::is_point);
    let transform = match (doubles(PIXEL_SCALE), doubles(TIEPOINT)) {
        (Some(scale), Some(tie)) if scale.len() >= 2 && tie.len() >= 6 => {
            let (x, y) = (tie[3] - tie[0] * scale[0], tie[4] + tie[1] * scale[1]);
            Some([x, scale[0], 0.0, y, 0.0, -scale[1]])
        }
        _ => doubles(TRANSFORMATION)
            .filter(|m| m.len() >= 8)
            .map(|m| [m[3], m[0], m[1], m[7], m[4], m[5]]),
    };
    Georeference {
        transform: transform.map(|t| moved(t, is_point, -0.5)),
        keys,
    }
}
