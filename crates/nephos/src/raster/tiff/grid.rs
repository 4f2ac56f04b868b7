//! How an image is cut into strips or tiles, and into what is decoded as one.

use std::path::Path;

use tiff_reader::{Ifd, RasterLayout, TagValue, TiffFile};

use crate::error::{Error, Result};
use crate::raster::Window;

/// Largest strip or tile, decoded, in bytes.
pub(crate) const BLOCK_BYTES: usize = 256 << 20;
/// Longest side of an image in pixels.
const SIDE: usize = 1 << 20;
/// Strips are taken together up to this many decoded bytes, and large ones that are
/// not compressed are read in parts of it.
const PIECE_BYTES: usize = 1 << 20;

/// Compression of that name.
const JPEG: u16 = 7;

const STRIP_OFFSETS: u16 = 273;
const STRIP_BYTE_COUNTS: u16 = 279;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;

/// The blocks of one image, checked against its size.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    /// Rows and columns of the image.
    pub size: [usize; 2],
    /// Rows and columns of a strip or tile.
    pub unit: [usize; 2],
    /// Rows and columns that are decoded together: a tile, some strips, or rows of
    /// strips that are not compressed.
    pub block: [usize; 2],
    /// Whether rows can be read in place from the file.
    pub direct: bool,
    /// Whether some block is not in the file: such are no data.
    pub sparse: bool,
    /// Whether blocks are JPEGs, of which decoders fill in what is cut off.
    pub jpeg: bool,
    offsets: u16,
    counts: u16,
}

impl Grid {
    pub fn of(path: &Path, file: &TiffFile, ifd: &Ifd, layout: &RasterLayout) -> Result<Self> {
        let size = [layout.height, layout.width];
        if let Some(side) = size.iter().find(|side| **side > SIDE) {
            let message = format!("{side} pixels on a side; at most {SIDE} are read");
            return Err(Error::limits(path.display(), message));
        }
        let tiled = ifd.is_tiled();
        let unit = match (tiled, ifd.tile_height(), ifd.tile_width()) {
            (true, Some(rows), Some(cols)) => [rows as usize, cols as usize],
            _ => [(ifd.rows_per_strip() as usize).min(size[0]), size[1]],
        };
        if unit.contains(&0) {
            return Err(Error::format(path, "strips or tiles without pixels"));
        }
        let samples = if layout.planar_configuration == 1 {
            layout.samples_per_pixel
        } else {
            1
        };
        // No overflow: sides are less than 2³², samples 2¹⁶, a sample 2⁴ bytes.
        let row_bytes = (unit[1] as u128) * (samples * layout.bytes_per_sample) as u128;
        let direct = !tiled
            && ifd.compression() == 1
            && ifd.fill_order() == 1
            && layout.predictor == 1
            && layout.bits_per_sample.is_multiple_of(8)
            // Colour that is subsampled is not stored pixel by pixel.
            && ifd.photometric_interpretation() != Some(6);
        let block_bytes = row_bytes * if direct { 1 } else { unit[0] as u128 };
        if block_bytes > BLOCK_BYTES as u128 {
            let message = format!(
                "a strip or tile of {} × {} pixels, {block_bytes} bytes; at most {BLOCK_BYTES} \
                 are decoded at once",
                unit[0], unit[1]
            );
            return Err(Error::limits(path.display(), message));
        }
        let rows_at_once = (PIECE_BYTES / row_bytes.max(1) as usize).max(1);
        let block = if tiled {
            unit
        } else if direct {
            [rows_at_once.min(size[0]), size[1]]
        } else {
            let strips = (rows_at_once / unit[0]).max(1);
            [(strips * unit[0]).min(size[0]), size[1]]
        };
        let (offsets, counts) = match tiled {
            true => (TILE_OFFSETS, TILE_BYTE_COUNTS),
            false => (STRIP_OFFSETS, STRIP_BYTE_COUNTS),
        };
        let mut grid = Self {
            size,
            unit,
            block,
            direct,
            sparse: false,
            jpeg: ifd.compression() == JPEG,
            offsets,
            counts,
        };
        let planes = layout.samples_per_pixel / samples;
        let expected = grid.blocks_per_plane() * planes;
        for tag in [offsets, counts] {
            let found = ifd.tag(tag).map_or(0, |tag| tag.count);
            if found != expected as u64 {
                let message = format!("tag {tag} lists {found} strips or tiles, not {expected}");
                return Err(Error::format(path, message));
            }
        }
        grid.sparse = (0..expected).any(|index| grid.place(ifd, index).is_none());
        let bytes = row_bytes * size[0] as u128 * planes as u128;
        let len = file.source().len();
        if direct && !grid.sparse && bytes > u128::from(len) {
            let message = format!("cut off: {bytes} bytes of pixels in a file of {len}");
            return Err(Error::format_at(path, len, message));
        }
        Ok(grid)
    }

    fn blocks_across(&self) -> usize {
        self.size[1].div_ceil(self.unit[1])
    }

    fn blocks_per_plane(&self) -> usize {
        self.size[0].div_ceil(self.unit[0]) * self.blocks_across()
    }

    /// Number of the block at `row` and `col` of blocks, in plane `plane`.
    pub fn index(&self, plane: usize, row: usize, col: usize) -> usize {
        plane * self.blocks_per_plane() + row * self.blocks_across() + col
    }

    /// Offset and length of a block in the file; `None` where it is not there.
    pub fn place(&self, ifd: &Ifd, index: usize) -> Option<(u64, u64)> {
        let at = |tag: u16| match &ifd.tag(tag)?.value {
            TagValue::Byte(values) => values.get(index).map(|v| u64::from(*v)),
            TagValue::Short(values) => values.get(index).map(|v| u64::from(*v)),
            TagValue::Long(values) => values.get(index).map(|v| u64::from(*v)),
            TagValue::Long8(values) => values.get(index).copied(),
            _ => None,
        };
        let (offset, len) = (at(self.offsets)?, at(self.counts)?);
        (offset != 0 && len != 0).then_some((offset, len))
    }

    /// What is decoded as one with the pixel at a row and column.
    pub fn block_at(&self, row: usize, col: usize) -> Window {
        let [first_row, first_col] =
            [(row, 0), (col, 1)].map(|(at, axis)| at / self.block[axis] * self.block[axis]);
        Window {
            row: first_row,
            col: first_col,
            rows: self.block[0].min(self.size[0] - first_row),
            cols: self.block[1].min(self.size[1] - first_col),
        }
    }

    /// The parts of a window that are decoded as one, row by row.
    pub fn pieces(&self, window: Window) -> Vec<Window> {
        let mut pieces = Vec::new();
        for rows in cuts(window.row, window.rows, self.block[0]) {
            for cols in cuts(window.col, window.cols, self.block[1]) {
                pieces.push(Window {
                    row: rows.start,
                    rows: rows.len(),
                    col: cols.start,
                    cols: cols.len(),
                });
            }
        }
        pieces
    }

    /// The parts of a window that no block of the file holds.
    pub fn holes(&self, ifd: &Ifd, plane: usize, window: Window) -> Vec<Window> {
        if !self.sparse {
            return Vec::new();
        }
        let units = self.units(plane, window).into_iter();
        units
            .filter(|(index, _)| self.place(ifd, *index).is_none())
            .map(|(_, part)| part)
            .collect()
    }

    /// The strips or tiles of a window: their numbers, and which part of it each is.
    pub fn units(&self, plane: usize, window: Window) -> Vec<(usize, Window)> {
        let mut units = Vec::new();
        for rows in cuts(window.row, window.rows, self.unit[0]) {
            for cols in cuts(window.col, window.cols, self.unit[1]) {
                let [row, col] = [rows.start / self.unit[0], cols.start / self.unit[1]];
                let part = Window {
                    row: rows.start,
                    rows: rows.len(),
                    col: cols.start,
                    cols: cols.len(),
                };
                units.push((self.index(plane, row, col), part));
            }
        }
        units
    }
}

/// A range cut at the multiples of `step`.
fn cuts(first: usize, count: usize, step: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let end = first + count;
    (first / step..end.div_ceil(step))
        .map(move |cell| (cell * step).max(first)..((cell + 1) * step).min(end))
        .filter(|range| !range.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_a_range_once() {
        let parts: Vec<_> = cuts(5, 20, 8).collect();
        assert_eq!(parts, [5..8, 8..16, 16..24, 24..25]);
        assert_eq!(cuts(8, 8, 8).count(), 1);
        assert_eq!(cuts(3, 0, 8).count(), 0);
    }
}
