//! Masks and probabilities as `.npy`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ndarray::{Array2, ArrayRef, Dimension};
use ndarray_npy::{ReadNpyExt, WritableElement, WriteNpyError, WriteNpyExt};

use crate::error::{Error, Result};
use crate::output;

/// Writes any array.
pub(super) fn write<T: WritableElement, D: Dimension>(
    path: &Path,
    array: &ArrayRef<T, D>,
) -> Result<()> {
    output::write_atomic(path, |writer| {
        array.write_npy(writer).map_err(|error| match error {
            WriteNpyError::Io(error) => Error::io(path, error),
            other => Error::unsupported(path.display(), other.to_string()),
        })
    })
}

pub(super) fn read_mask(path: &Path) -> Result<Array2<u8>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    Array2::read_npy(BufReader::new(file))
        .map_err(|e| Error::format(path, format!("expected a uint8 array [height, width]: {e}")))
}
