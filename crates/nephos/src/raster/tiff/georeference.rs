//! Georeference of a TIFF: GeoTIFF's tags (OGC 19-008r4), or a world file beside it.

use std::path::Path;

use tiff_reader::Ifd;

use crate::error::Result;
use crate::raster::georeference::RPC_NUMBERS;
use crate::raster::geotiff_tags::{
    KEY_ASCII, KEY_DIRECTORY, KEY_DOUBLES, PIXEL_SCALE, RPC_COEFFICIENTS, TIEPOINTS, TRANSFORMATION,
};
use crate::raster::{GeoKeys, Georeference, georeference_files};

impl Georeference {
    /// Reads that of the first image of a TIFF: what GDAL has written beside it
    /// (`.aux.xml`), else its tags, or where they have no transform a world file
    /// (`.tfw`, `.wld`), and RPCs of their own file (`_RPC.TXT`, `.RPB`). Parts are
    /// absent where there are none.
    ///
    /// # Errors
    /// The file can't be read, or is no TIFF.
    pub fn read(path: &Path) -> Result<Self> {
        let file = super::open(path)?;
        let ifd = file.ifd(0).map_err(|e| super::broken(path, e))?;
        Ok(Self::of_tiff(path, ifd))
    }

    /// That of one directory of the file at `path`.
    pub(crate) fn of_tiff(path: &Path, ifd: &Ifd) -> Self {
        let keys = keys(ifd);
        let point = keys.as_ref().is_some_and(GeoKeys::is_point);
        let transform = transform(ifd).map(|transform| match point {
            true => georeference_files::to_corner(transform),
            false => transform,
        });
        let points = match transform {
            None => points(ifd),
            Some(_) => Vec::new(),
        };
        let rpc = numbers(ifd, RPC_COEFFICIENTS)
            .filter(|rpc| rpc.len() == RPC_NUMBERS && rpc.iter().all(|v| v.is_finite()));
        georeference_files::with_files(
            path,
            Self {
                transform,
                keys,
                points,
                rpc: rpc.unwrap_or_default(),
            },
        )
    }
}

fn keys(ifd: &Ifd) -> Option<GeoKeys> {
    let directory = ifd.tag(KEY_DIRECTORY)?.value.as_u16_slice()?.to_vec();
    // A header without keys is no coordinate system.
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
    georeference_files::usable(transform)
}

/// Tie points where they are no transform: ground control points.
fn points(ifd: &Ifd) -> Vec<[f64; 6]> {
    let tie = numbers(ifd, TIEPOINTS).unwrap_or_default();
    let points: Vec<[f64; 6]> = (tie.chunks_exact(6))
        .map(|point| [point[0], point[1], point[2], point[3], point[4], point[5]])
        .collect();
    match points.iter().flatten().all(|number| number.is_finite()) {
        true => points,
        false => Vec::new(),
    }
}
