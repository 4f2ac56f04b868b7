//! One raster file, GeoTIFF, PNG or JPEG.

use std::path::Path;

use ndarray::Array3;

use super::{DType, picture, tiff};
use crate::error::{Error, Result};

/// What a raster's header says.
#[derive(Debug, Clone)]
pub(crate) struct RasterHeader {
    pub dtype: DType,
    /// `[bands, height, width]`.
    pub shape: [usize; 3],
    /// One name per band, where the file names them.
    pub names: Option<Vec<String>>,
}

/// Which reader a raster needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RasterFormat {
    Tiff,
    Picture,
}

impl RasterFormat {
    /// By the first bytes of a file.
    pub fn of(magic: &[u8]) -> Option<Self> {
        match magic {
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => Some(Self::Picture),
            _ => None,
        }
    }

    pub fn header(self, path: &Path) -> Result<RasterHeader> {
        let header = match self {
            Self::Tiff => tiff::header(path),
            Self::Picture => picture::header(path),
        }?;
        if header.shape.contains(&0) {
            let message = format!("an empty raster, of shape {:?}", header.shape);
            return Err(Error::format(path, message));
        }
        Ok(header)
    }

    /// The chosen bands, which must be within the header's shape.
    pub fn read(self, path: &Path, channels: &[usize]) -> Result<Array3<f32>> {
        match self {
            Self::Tiff => tiff::read(path, channels),
            Self::Picture => picture::read(path, channels),
        }
    }

    /// All bands, little-endian, one after the other.
    pub fn read_raw(self, path: &Path) -> Result<(RasterHeader, Vec<u8>)> {
        match self {
            Self::Tiff => tiff::read_raw(path),
            Self::Picture => picture::read_raw(path),
        }
    }
}
