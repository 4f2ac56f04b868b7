//! TIFF rasters as samples, read as a whole.

use std::path::Path;

use ndarray::Array3;

use super::TiffRaster;
use crate::error::Result;
use crate::raster::Window;
use crate::raster::format::RasterHeader;

/// Type, size and band names of the first image of a TIFF.
pub(crate) fn header(path: &Path) -> Result<RasterHeader> {
    Ok(header_of(&TiffRaster::open(path)?))
}

/// The chosen bands as f32; `channels` are within the header's shape.
pub(crate) fn read(path: &Path, channels: &[usize]) -> Result<Array3<f32>> {
    read_of(&TiffRaster::open(path)?, channels)
}

/// All bands, little-endian, one after the other.
pub(crate) fn read_raw(path: &Path) -> Result<(RasterHeader, Vec<u8>)> {
    let raster = TiffRaster::open(path)?;
    Ok((header_of(&raster), read_raw_of(&raster)?))
}

/// As [`header`], of an open file.
pub(crate) fn header_of(raster: &TiffRaster) -> RasterHeader {
    let [rows, cols] = raster.size();
    RasterHeader {
        dtype: raster.dtype(),
        shape: [raster.bands.len(), rows, cols],
        names: raster.names(),
    }
}

/// As [`read`], of an open file.
pub(crate) fn read_of(raster: &TiffRaster, channels: &[usize]) -> Result<Array3<f32>> {
    let [rows, cols] = raster.size();
    let window = Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    raster.read(channels, window, |_, stored| stored as f32)
}

/// As [`read_raw`], of an open file.
pub(crate) fn read_raw_of(raster: &TiffRaster) -> Result<Vec<u8>> {
    let mut raw = Vec::new();
    for band in 0..raster.bands.len() {
        raw.extend(raster.read_raw(band)?);
    }
    Ok(raw)
}
