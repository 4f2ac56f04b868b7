//! Masks and probabilities as GeoTIFF, from and to memory.

use std::path::Path;

use ndarray::{Array2, Array3, ArrayView3, Axis, Ix2};
use tiff_reader::{TiffError, TiffFile};

use super::cog::{CogSpec, CogWriter, probability_code};
use super::format::MaskFormat;
use super::numpy;
use crate::class::code_name;
use crate::error::{Error, Result};
use crate::scene::Georeference;

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

/// Writes class probabilities `[classes, height, width]`, NaN where not valid, in
/// the format of the extension: `.npy` as they are, float32; GeoTIFF as uint8, one
/// band a class, value = [`probability_code`]: p = value / 250, 255 no data.
///
/// # Errors
/// Another extension, an empty array, or the file can't be written.
pub fn write_probabilities(
    path: &Path,
    probabilities: &Array3<f32>,
    place: Option<&Georeference>,
) -> Result<()> {
    let (classes, height, width) = probabilities.dim();
    if probabilities.is_empty() {
        let message = format!("{}: no probabilities", path.display());
        return Err(Error::usage(message));
    }
    match MaskFormat::of(path) {
        Ok(MaskFormat::Numpy) => numpy::write(path, &probabilities.view()),
        Ok(MaskFormat::GeoTiff) => {
            let place = place.cloned().unwrap_or_default();
            let names = (0..classes).map(code_name).collect();
            let spec = CogSpec::probabilities(width, height, names, place);
            write_whole(path, spec, probabilities.mapv(probability_code).view())
        }
        _ => Err(Error::unsupported(
            path.display(),
            "probabilities are written as .tif or .npy",
        )),
    }
}

fn write_whole(path: &Path, spec: CogSpec, pixels: ArrayView3<'_, u8>) -> Result<()> {
    let mut writer = CogWriter::create(path, spec)?;
    writer.write_rows(pixels)?;
    writer.finish()
}
