//! Masks as GeoTIFF, from and to memory.

use std::path::Path;

use ndarray::{Array2, ArrayView3, Axis, Ix2};
use tiff_reader::{TiffError, TiffFile};

use super::cog::{CogSpec, CogWriter};
use crate::error::{Error, Result};
use crate::raster::Georeference;

pub(super) fn write_mask(
    path: &Path,
    mask: &Array2<u8>,
    place: Option<&Georeference>,
) -> Result<()> {
    let (height, width) = mask.dim();
    let spec = CogSpec::mask(width, height, place.cloned().unwrap_or_default());
    write_whole(path, spec, mask.view().insert_axis(Axis(0)))
}

pub(super) fn read_mask(path: &Path) -> Result<Array2<u8>> {
    let fail = |error| match broken(path, error) {
        Error::Format { message, .. } => {
            Error::format(path, format!("expected one uint8 band: {message}"))
        }
        other => other,
    };
    let file = TiffFile::open(path).map_err(fail)?;
    file.read_band::<u8>(0, 0)
        .map_err(fail)?
        .into_dimensionality::<Ix2>()
        .map_err(|e| Error::format(path, format!("expected one uint8 band: {e}")))
}

pub(super) fn broken(path: &Path, error: TiffError) -> Error {
    match error {
        TiffError::Io(error, _) => Error::io(path, error),
        other => Error::format(path, other.to_string()),
    }
}

fn write_whole(path: &Path, spec: CogSpec, pixels: ArrayView3<'_, u8>) -> Result<()> {
    let mut writer = CogWriter::create(path, spec)?;
    writer.write_rows(pixels)?;
    writer.finish()
}
