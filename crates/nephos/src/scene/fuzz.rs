//! Readers over single files, for fuzz targets and tests; no part of the public
//! API.

use std::path::Path;

use ndarray::Array2;

use super::safe;
use crate::error::{Error, Result};
use crate::raster::jp2::{Jp2, Rect};
use crate::raster::mapping::{MappedRange, Mapping};

/// The samples of a JPEG 2000 file of one band.
///
/// # Errors
/// A broken file, or one of more than `most` samples.
pub fn jp2(path: &Path, most: usize) -> Result<Array2<u16>> {
    let image = Jp2::open(path.to_owned(), MappedRange::whole(Mapping::open(path)?))?;
    let [rows, cols] = image.info().size;
    if rows.saturating_mul(cols) > most {
        let message = format!("{rows} × {cols} samples, at most {most} are read here");
        return Err(Error::limits(path.display(), message));
    }
    image.read(&Rect {
        start: [0, 0],
        end: [rows, cols],
    })
}

/// Parses bytes as the metadata of a Sentinel-2 product and of its tile.
///
/// # Errors
/// Neither.
pub fn sentinel2_metadata(bytes: &[u8]) -> Result<()> {
    safe::parse_metadata(Path::new("metadata.xml"), bytes)
}
