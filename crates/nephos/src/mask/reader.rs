//! A finished mask, read strip by strip.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, Axis, Ix2};
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
            let rows = STRIP.min(height - row);
            take(window(&self.path, &self.file, [0, 0], row, [rows, width])?)?;
        }
        Ok(())
    }

    /// The mask reduced to at most `side` pixels per side, by an overview where the
    /// file has one that is not smaller, then by picking pixels. `[rows, cols]`.
    ///
    /// # Errors
    /// A broken file.
    pub fn reduced(&self, side: usize) -> Result<Array2<u8>> {
        reduced_band(&self.path, &self.file, self.size, 0, side)
    }
}

/// Rows of a band of an image of the file: `[image, band]`, `[rows, columns]`.
fn window(
    path: &Path,
    file: &TiffFile,
    [image, band]: [usize; 2],
    row: usize,
    [rows, cols]: [usize; 2],
) -> Result<Array2<u8>> {
    file.read_band_window::<u8>(image, band, row, 0, rows, cols)
        .map_err(|e| broken(path, e))?
        .into_dimensionality::<Ix2>()
        .map_err(|e| Error::format(path, e.to_string()))
}

/// A band of a file of `size` pixels, as [`MaskReader::reduced`].
fn reduced_band(
    path: &Path,
    file: &TiffFile,
    size: [usize; 2],
    band: usize,
    side: usize,
) -> Result<Array2<u8>> {
    let step = size[0].max(size[1]).div_ceil(side.max(1)).max(1);
    let [rows, cols] = size.map(|length| length.div_ceil(step));
    // The smallest image that still has enough pixels.
    let (mut image, mut from) = (0, size);
    for index in 1..file.ifd_count() {
        let ifd = file.ifd(index).map_err(|e| broken(path, e))?;
        let size = [ifd.height() as usize, ifd.width() as usize];
        let enough = size[0] >= rows && size[1] >= cols;
        if enough && size[0] * size[1] < from[0] * from[1] {
            (image, from) = (index, size);
        }
    }
    let mut reduced = Array2::zeros((rows, cols));
    for (row, mut line) in reduced.rows_mut().into_iter().enumerate() {
        let pixels = window(
            path,
            file,
            [image, band],
            row * from[0] / rows,
            [1, from[1]],
        )?;
        for (col, code) in line.iter_mut().enumerate() {
            *code = pixels[[0, col * from[1] / cols]];
        }
    }
    Ok(reduced)
}

/// Probabilities as [`probability_code`](super::probability_code) stores them, of a raster
/// reduced to at most `side` pixels per side: `[classes, rows, cols]`.
///
/// # Errors
/// A broken file, or one that is not of uint8.
pub fn reduced_probabilities(path: &Path, side: usize) -> Result<Array3<u8>> {
    let file = TiffFile::open(path).map_err(|e| broken(path, e))?;
    let ifd = file.ifd(0).map_err(|e| broken(path, e))?;
    let layout = ifd.raster_layout().map_err(|e| broken(path, e))?;
    let size = [layout.height, layout.width];
    let bands = (0..layout.samples_per_pixel)
        .map(|band| reduced_band(path, &file, size, band, side))
        .collect::<Result<Vec<_>>>()?;
    let views: Vec<_> = bands.iter().map(|band| band.view()).collect();
    ndarray::stack(Axis(0), &views).map_err(|e| Error::format(path, e.to_string()))
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
