//! One image of a TIFF, read window by window.

use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;
use tiff_reader::{ByteOrder, Ifd, RasterLayout, TiffFile};

use super::block_cache::BlockCache;
use super::bytes;
use super::grid::Grid;
use crate::error::{Error, Result};
use crate::raster::picture::whole;
use crate::raster::{DType, Window};

/// Rows of a raster are taken as they are stored up to this many bytes at once.
const RAW_BYTES: usize = 64 << 20;

/// The size and number format of one directory's image, and how it is cut.
#[derive(Debug)]
pub(crate) struct Image {
    index: usize,
    pub layout: RasterLayout,
    pub dtype: DType,
    pub grid: Grid,
    /// One stored number, in bytes, for blocks that are not in the file.
    fill: Vec<u8>,
    pub blocks: BlockCache,
}

impl Image {
    pub fn of(path: &Path, file: &TiffFile, index: usize) -> Result<Self> {
        let ifd = file.ifd(index).map_err(|e| super::broken(path, e))?;
        let layout = ifd.raster_layout().map_err(|e| super::broken(path, e))?;
        let dtype = dtype(path, &layout)?;
        Ok(Self {
            index,
            layout,
            dtype,
            grid: Grid::of(path, file, ifd, &layout)?,
            fill: bytes::of_number(dtype, 0.0),
            blocks: BlockCache::default(),
        })
    }

    /// Gives blocks that are not in the file this number, which the number format
    /// must have.
    pub fn fill_with(&mut self, number: f64) {
        self.fill = bytes::of_number(self.dtype, number);
    }

    /// Bands of a window into `out`, one plane after the other: `convert` gets the
    /// position in `bands` and the stored number.
    ///
    /// The window and the bands are within the image, and `out` has their size.
    pub fn read<T: Copy + Send>(
        &self,
        source: Source<'_>,
        bands: &[usize],
        window: Window,
        out: &mut [T],
        convert: &(impl Fn(usize, f64) -> T + Sync),
    ) -> Result<()> {
        let plane = window.rows * window.cols;
        if plane == 0 || bands.is_empty() {
            return Ok(());
        }
        let ifd = source.ifd(self.index)?;
        let interleaved = self.layout.planar_configuration == 1;
        // Which bands a piece holds, as positions in `bands`.
        let groups: Vec<std::ops::Range<usize>> = match interleaved {
            true => std::iter::once(0..bands.len()).collect(),
            false => (0..bands.len()).map(|band| band..band + 1).collect(),
        };
        let pieces = self.grid.pieces(window);
        let jobs: Vec<_> = (groups.iter())
            .flat_map(|group| pieces.iter().map(move |piece| (group.clone(), *piece)))
            .collect();
        let out = Mutex::new(out);
        jobs.into_par_iter().try_for_each(|(group, piece)| {
            let stored = self.stored(source, ifd, bands[group.start], piece)?;
            for position in group {
                let (samples, sample) = match interleaved {
                    true => (self.layout.samples_per_pixel, bands[position]),
                    false => (1, 0),
                };
                let numbers = bytes::convert(self.dtype, &stored, samples, sample, |stored| {
                    convert(position, stored)
                });
                // A thread that panics takes the whole read with it.
                let Ok(mut out) = out.lock() else {
                    return Err(Error::format(source.path, "reading was given up"));
                };
                let target = &mut out[position * plane..(position + 1) * plane];
                let [row, col] = [piece.row - window.row, piece.col - window.col];
                for (line, numbers) in numbers.chunks_exact(piece.cols).enumerate() {
                    let start = (row + line) * window.cols + col;
                    target[start..start + piece.cols].copy_from_slice(numbers);
                }
            }
            Ok(())
        })
    }

    /// One band as it is stored, little-endian.
    pub fn raw(&self, source: Source<'_>, band: usize) -> Result<Vec<u8>> {
        let [rows, cols] = self.grid.size;
        let size = self.dtype.size();
        let mut raw = Vec::new();
        let ifd = source.ifd(self.index)?;
        let (samples, sample) = match self.layout.planar_configuration {
            1 => (self.layout.samples_per_pixel, band),
            _ => (1, 0),
        };
        // Pieces are as wide as the image, so that each holds whole rows.
        let at_once = (RAW_BYTES / (cols * samples * size)).clamp(1, self.grid.block[0]);
        for row in (0..rows).step_by(at_once) {
            let piece = Window {
                row,
                rows: at_once.min(rows - row),
                col: 0,
                cols,
            };
            let stored = self.stored(source, ifd, band, piece)?;
            for pixel in stored.chunks_exact(size * samples) {
                raw.extend_from_slice(&pixel[sample * size..(sample + 1) * size]);
            }
        }
        if cfg!(target_endian = "big") {
            bytes::swap(&mut raw, size);
        }
        Ok(raw)
    }

    /// The pixels of a window, rows whole, in the machine's byte order: all samples
    /// where they are interleaved, else those of `band`.
    fn stored(
        &self,
        source: Source<'_>,
        ifd: &Ifd,
        band: usize,
        window: Window,
    ) -> Result<Vec<u8>> {
        let interleaved = self.layout.planar_configuration == 1;
        let plane = if interleaved { 0 } else { band };
        let pixel = match interleaved {
            true => self.layout.samples_per_pixel * self.dtype.size(),
            false => self.dtype.size(),
        };
        let Window {
            row,
            col,
            rows,
            cols,
        } = window;
        let fail = |e| super::broken(source.path, e);
        let decode = |window: Window| {
            let Window {
                row,
                col,
                rows,
                cols,
            } = window;
            match interleaved {
                true => (source.file).read_window_bytes(self.index, row, col, rows, cols),
                false => {
                    (source.file).read_band_window_bytes(self.index, band, row, col, rows, cols)
                }
            }
            .map_err(fail)
        };
        if self.grid.jpeg {
            self.check_jpegs(source, ifd, plane, window)?;
        }
        let block = self.grid.block_at(row, col);
        let mut stored = if self.grid.direct {
            self.direct(source, ifd, plane, pixel, window)?
        } else if block.rows * block.cols * pixel > super::CACHE_BYTES && block != window {
            let whole = self
                .blocks
                .get(plane, [block.row, block.col], || decode(block))?;
            cut(source.path, &whole, block, window, pixel)?
        } else {
            decode(window)?
        };
        let expected = rows * cols * pixel;
        if stored.len() != expected {
            let message = format!(
                "{window:?} decodes to {} bytes, not {expected}",
                stored.len()
            );
            return Err(Error::format(source.path, message));
        }
        for hole in self.grid.holes(ifd, plane, window) {
            for line in hole.row - row..hole.row - row + hole.rows {
                let start = (line * cols + hole.col - col) * pixel;
                for number in
                    stored[start..start + hole.cols * pixel].chunks_exact_mut(self.fill.len())
                {
                    number.copy_from_slice(&self.fill);
                }
            }
        }
        Ok(stored)
    }

    /// Refuses JPEGs that are cut off.
    fn check_jpegs(
        &self,
        source: Source<'_>,
        ifd: &Ifd,
        plane: usize,
        window: Window,
    ) -> Result<()> {
        for (index, _) in self.grid.units(plane, window) {
            let Some((offset, len)) = self.grid.place(ifd, index) else {
                continue;
            };
            let bytes = (source.file.source())
                .read_exact_at(offset, len as usize)
                .map_err(|e| super::broken(source.path, e))?;
            whole::check(source.path, &bytes).map_err(|e| {
                Error::format_at(source.path, offset, format!("strip or tile {index}: {e}"))
            })?;
        }
        Ok(())
    }

    /// Rows of strips that are not compressed, in place from the file.
    fn direct(
        &self,
        source: Source<'_>,
        ifd: &Ifd,
        plane: usize,
        pixel: usize,
        window: Window,
    ) -> Result<Vec<u8>> {
        let [strip_rows, cols] = self.grid.unit;
        let whole = window.cols == cols;
        let mut stored = Vec::with_capacity(window.rows * window.cols * pixel);
        let mut row = window.row;
        while row < window.row + window.rows {
            let (strip, within) = (row / strip_rows, row % strip_rows);
            // Rows that follow one another in the file are read at once.
            let rows = match whole {
                true => (strip_rows - within).min(window.row + window.rows - row),
                false => 1,
            };
            let len = rows * window.cols * pixel;
            row += rows;
            let index = self.grid.index(plane, strip, 0);
            let Some((offset, count)) = self.grid.place(ifd, index) else {
                stored.resize(stored.len() + len, 0);
                continue;
            };
            let first = ((within * cols + window.col) * pixel) as u64;
            if first + len as u64 > count {
                let message = format!("strip {index} has {count} bytes, too few for its rows");
                return Err(Error::format_at(source.path, offset, message));
            }
            let bytes = (source.file.source())
                .read_exact_at(offset.saturating_add(first), len)
                .map_err(|e| super::broken(source.path, e))?;
            stored.extend(bytes);
        }
        let native = match cfg!(target_endian = "big") {
            true => ByteOrder::BigEndian,
            false => ByteOrder::LittleEndian,
        };
        if source.file.byte_order() != native {
            bytes::swap(&mut stored, self.dtype.size());
        }
        Ok(stored)
    }
}

/// A window within a decoded block.
fn cut(path: &Path, whole: &[u8], block: Window, window: Window, pixel: usize) -> Result<Vec<u8>> {
    let mut stored = Vec::with_capacity(window.rows * window.cols * pixel);
    for row in window.row - block.row..window.row - block.row + window.rows {
        let start = (row * block.cols + window.col - block.col) * pixel;
        let line = whole.get(start..start + window.cols * pixel);
        let line = line.ok_or_else(|| Error::format(path, "a block is decoded in part only"))?;
        stored.extend_from_slice(line);
    }
    Ok(stored)
}

/// An open file and its name for errors.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub path: &'a Path,
    pub file: &'a TiffFile,
}

impl<'a> Source<'a> {
    fn ifd(self, index: usize) -> Result<&'a Ifd> {
        self.file
            .ifd(index)
            .map_err(|e| super::broken(self.path, e))
    }
}

fn dtype(path: &Path, layout: &RasterLayout) -> Result<DType> {
    // Samples of odd widths, as 12 bits, come in the next whole bytes.
    Ok(match (layout.sample_format, layout.bytes_per_sample) {
        (1 | 4, 1) => DType::U8,
        (1 | 4, 2) => DType::U16,
        (1 | 4, 4) => DType::U32,
        (2, 1) => DType::I8,
        (2, 2) => DType::I16,
        (2, 4) => DType::I32,
        (2, 8) => DType::I64,
        (3, 2) => DType::F16,
        (3, 4) => DType::F32,
        (3, 8) => DType::F64,
        (format, bytes) => {
            return Err(Error::unsupported(
                path.display(),
                format!("TIFF samples of format {format} and {bytes} bytes"),
            ));
        }
    })
}
