//! A finished mask, read strip by strip.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Ix2};
use tiff_reader::TiffFile;

use super::format::{self, MaskFormat};
use super::geotiff::broken;
use crate::error::{Error, Result};
use crate::raster::Georeference;

/// Rows of a strip: those of a tile, so that no tile is decoded twice.
const STRIP: usize = 512;

/// A mask in a GeoTIFF, read in memory that does not grow with its height.
pub struct MaskReader {
    path: PathBuf,
    file: TiffFile,
    size: [usize; 2],
    georeference: Georeference,
}

impl MaskReader {
    /// Opens a mask.
    ///
    /// # Errors
    /// No TIFF, a broken one, or one that does not hold a single uint8 band.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e| broken(path, e);
        let file = TiffFile::open(path).map_err(fail)?;
        let ifd = file.ifd(0).map_err(fail)?;
        let layout = ifd.raster_layout().map_err(fail)?;
        let kind = (layout.samples_per_pixel, layout.bytes_per_sample);
        if kind != (1, 1) || layout.sample_format != 1 {
            let message = format!(
                "expected one uint8 band, got {} of {} bytes per number",
                kind.0, kind.1
            );
            return Err(Error::format(path, message));
        }
        Ok(Self {
            path: path.to_owned(),
            size: [layout.height, layout.width],
            georeference: Georeference::read(path)?,
            file,
        })
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Georeference of the mask.
    pub fn georeference(&self) -> &Georeference {
        &self.georeference
    }

    /// Hands all rows to `take` from the top down, `[rows, width]` at a time.
    ///
    /// # Errors
    /// A broken file, or what `take` returns.
    pub fn strips(&self, mut take: impl FnMut(Array2<u8>) -> Result<()>) -> Result<()> {
        let [height, width] = self.size;
        for row in (0..height).step_by(STRIP) {
            take(self.window(0, row, STRIP.min(height - row), width)?)?;
        }
        Ok(())
    }

    /// The mask reduced to at most `side` pixels per side, by an overview where the
    /// file has one that is not smaller, then by picking pixels. `[rows, cols]`.
    ///
    /// # Errors
    /// A broken file.
    pub fn reduced(&self, side: usize) -> Result<Array2<u8>> {
        let fail = |e| broken(&self.path, e);
        let side = side.max(1);
        let [height, width] = self.size;
        let step = height.max(width).div_ceil(side);
        let [rows, cols] = self.size.map(|length| length.div_ceil(step));
        // The smallest image that still has enough pixels.
        let (mut image, mut from) = (0, self.size);
        for index in 1..self.file.ifd_count() {
            let ifd = self.file.ifd(index).map_err(fail)?;
            let size = [ifd.height() as usize, ifd.width() as usize];
            let enough = size[0] >= rows && size[1] >= cols;
            if enough && size[0] * size[1] < from[0] * from[1] {
                (image, from) = (index, size);
            }
        }
        let mut reduced = Array2::zeros((rows, cols));
        for (row, mut line) in reduced.rows_mut().into_iter().enumerate() {
            let pixels = self.window(image, row * from[0] / rows, 1, from[1])?;
            for (col, code) in line.iter_mut().enumerate() {
                *code = pixels[[0, col * from[1] / cols]];
            }
        }
        Ok(reduced)
    }

    fn window(&self, image: usize, row: usize, rows: usize, cols: usize) -> Result<Array2<u8>> {
        self.file
            .read_band_window::<u8>(image, 0, row, 0, rows, cols)
            .map_err(|e| broken(&self.path, e))?
            .into_dimensionality::<Ix2>()
            .map_err(|e| Error::format(&self.path, e.to_string()))
    }
}

/// A mask of any format reduced to at most `side` pixels per side, as
/// [`MaskReader::reduced`].
///
/// # Errors
/// A broken file.
pub fn reduced(path: &Path, side: usize) -> Result<Array2<u8>> {
    if MaskFormat::of(path)? == MaskFormat::GeoTiff {
        return MaskReader::open(path)?.reduced(side);
    }
    let mask = format::read(path)?;
    let (height, width) = mask.dim();
    let step = height.max(width).div_ceil(side.max(1)).max(1);
    let (rows, cols) = (height.div_ceil(step), width.div_ceil(step));
    Ok(Array2::from_shape_fn((rows, cols), |(row, col)| {
        mask[[row * height / rows, col * width / cols]]
    }))
}
