//! Masks as `.npy`.

use std::io::Write;
use std::path::Path;

use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result};
use crate::output;
use crate::raster::{DType, Mapping};
use crate::samples::NpyHeader;

pub(super) fn write(path: &Path, mask: &ArrayView2<'_, u8>) -> Result<()> {
    output::write_atomic(path, |writer| {
        let mask = mask.as_standard_layout();
        let codes = mask.as_slice().expect("rows in C order");
        (writer.write_all(&NpyHeader::bytes("|u1", mask.shape())))
            .and_then(|()| writer.write_all(codes))
            .map_err(|error| Error::io(path, error))
    })
}

/// # Errors
/// The file can't be read, or is not of bytes in rows and columns.
pub(super) fn read_mask(path: &Path) -> Result<Array2<u8>> {
    let broken = |found: String| {
        let message = format!("expected a uint8 array [height, width]: {found}");
        Error::format(path, message)
    };
    Mapping::open(path)?.checked(|bytes| {
        let header = NpyHeader::parse(bytes).map_err(broken)?;
        let [rows, cols] = match (header.element.dtype, &header.axes[..]) {
            (DType::U8, [rows, cols]) => [*rows as usize, *cols as usize],
            (dtype, axes) => return Err(broken(format!("{} {axes:?}", dtype.name()))),
        };
        let codes = bytes[header.data..].to_vec();
        let shape = match header.fortran {
            true => [cols, rows],
            false => [rows, cols],
        };
        let mask = Array2::from_shape_vec(shape, codes).map_err(|e| broken(e.to_string()))?;
        Ok(match header.fortran {
            true => mask.reversed_axes(),
            false => mask,
        })
    })
}

#[cfg(test)]
mod tests {
    use ndarray_npy::{ReadNpyExt, WriteNpyExt};

    use super::*;

    #[test]
    fn masks_are_those_that_numpy_reads_and_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.npy");
        let mask = Array2::from_shape_fn((3, 5), |(row, col)| (row * 5 + col) as u8);
        write(&path, &mask.view()).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        assert_eq!(Array2::<u8>::read_npy(file).unwrap(), mask);
        assert_eq!(read_mask(&path).unwrap(), mask);

        let columns = mask.t().as_standard_layout().into_owned();
        columns
            .t()
            .write_npy(std::fs::File::create(&path).unwrap())
            .unwrap();
        assert_eq!(read_mask(&path).unwrap(), mask);

        mask.mapv(u16::from)
            .write_npy(std::fs::File::create(&path).unwrap())
            .unwrap();
        assert!(read_mask(&path).unwrap_err().to_string().contains("uint16"));
        std::fs::write(&path, NpyHeader::bytes("|u1", &[3, 5])).unwrap();
        assert!(read_mask(&path).is_err());
    }
}
