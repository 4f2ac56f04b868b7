//! Where a TIFF lies: GeoTIFF's tags (OGC 19-008r4), or a world file beside it.

use std::path::Path;

use tiff_reader::Ifd;

use crate::error::Result;
use crate::scene::geotiff_tags::{
    KEY_ASCII, KEY_DIRECTORY, KEY_DOUBLES, PIXEL_SCALE, TIEPOINTS, TRANSFORMATION,
};
use crate::scene::{GeoKeys, Georeference};

/// Endings of world files, after the name without `.tif`.
const WORLD_FILES: [&str; 6] = ["tfw", "TFW", "tifw", "TIFW", "wld", "WLD"];

impl Georeference {
    /// Reads that of the first image of a TIFF: its tags, or where they have no
    /// transform a world file beside it (`.tfw`, `.wld`). Either part is `None`
    /// where there is none.
    ///
    /// # Errors
    /// The file can't be read, or is no TIFF.
    pub fn read(path: &Path) -> Result<Self> {
        let file = super::open(path)?;
        let ifd = file.ifd(0).map_err(|e| super::broken(path, e))?;
        Ok(Self::of_tiff(path, ifd))
    }

    /// That of one directory of the file at `path`.
    pub(super) fn of_tiff(path: &Path, ifd: &Ifd) -> Self {
        let keys = keys(ifd);
        let point = keys.as_ref().is_some_and(GeoKeys::is_point);
        let transform = transform(ifd).map(|transform| match point {
            true => to_corner(transform),
            false => transform,
        });
        Self {
            transform: transform.or_else(|| world_file(path)),
            keys,
        }
    }
}

fn keys(ifd: &Ifd) -> Option<GeoKeys> {
    let directory = ifd.tag(KEY_DIRECTORY)?.value.as_u16_slice()?.to_vec();
    // A header without keys says nothing.
    if directory.len() < 8 {
        return None;
    }
    Some(GeoKeys {
        directory,
        doubles: numbers(ifd, KEY_DOUBLES).unwrap_or_default(),
        ascii: (ifd.tag(KEY_ASCII))
            .and_then(|tag| tag.value.as_str())
            .unwrap_or_default()
            .to_owned(),
    })
}

fn numbers(ifd: &Ifd, tag: u16) -> Option<Vec<f64>> {
    ifd.tag(tag)?.value.as_f64_vec()
}

/// The transform as the tags state it, which for PixelIsPoint is that of centres.
/// Tie points without a scale are ground control points, no transform.
fn transform(ifd: &Ifd) -> Option<[f64; 6]> {
    let scale = numbers(ifd, PIXEL_SCALE).filter(|s| s.len() >= 2 && s[0] != 0.0 && s[1] != 0.0);
    let transform = if let Some(scale) = scale {
        let tie = numbers(ifd, TIEPOINTS).filter(|tie| tie.len() >= 6)?;
        // A negative scale of y is read as a north-up image, as GDAL reads it.
        let (x, y) = (scale[0], -scale[1].abs());
        [tie[3] - tie[0] * x, x, 0.0, tie[4] - tie[1] * y, 0.0, y]
    } else {
        let m = numbers(ifd, TRANSFORMATION).filter(|m| m.len() == 16)?;
        [m[3], m[0], m[1], m[7], m[4], m[5]]
    };
    usable(transform)
}

fn usable(transform: [f64; 6]) -> Option<[f64; 6]> {
    let [_, a, b, _, c, d] = transform;
    let area = a * d - b * c;
    (transform.iter().all(|v| v.is_finite()) && area != 0.0).then_some(transform)
}

/// From the centre of the first pixel to its corner.
fn to_corner(t: [f64; 6]) -> [f64; 6] {
    let (x, y) = (0.5 * (t[1] + t[2]), 0.5 * (t[4] + t[5]));
    [t[0] - x, t[1], t[2], t[3] - y, t[4], t[5]]
}

/// The six lines of a world file: the transform of pixel centres.
fn world_file(path: &Path) -> Option<[f64; 6]> {
    let text = (WORLD_FILES.iter())
        .map(|ending| path.with_extension(ending))
        .find(|file| file.is_file())
        .and_then(|file| std::fs::read_to_string(file).ok())?;
    let lines: Vec<f64> = text
        .split_whitespace()
        .map(|line| line.parse().ok())
        .collect::<Option<_>>()?;
    let [a, d, b, e, c, f] = lines[..] else {
        return None;
    };
    usable([c, a, b, f, d, e]).map(to_corner)
}
