//! The reference grid and its tiles (ISO/IEC 15444-1, Annex B.2 and B.3).

use std::path::Path;

use crate::error::{Error, Result};

/// Largest width and height of an image.
const LARGEST_SIDE: u64 = 1 << 17;
/// Most samples of one tile. Decoding takes about 14 bytes per sample, so that this is a
/// Sentinel-2 band at 10 m without tiles in 1.9 GB.
const LARGEST_TILE: u64 = 1 << 27;
/// Tiles are numbered in 16 bits (A.4.2).
const MOST_TILES: u64 = 65535;

/// Position of an image and its tiles on the reference grid; all pairs are
/// `[y, x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// YOsiz, XOsiz: the image's first sample.
    pub start: [u64; 2],
    /// Ysiz, Xsiz: past the image's last sample.
    pub end: [u64; 2],
    /// YTOsiz, XTOsiz: the first tile's corner.
    pub tile_start: [u64; 2],
    /// YTsiz, XTsiz.
    pub tile: [u64; 2],
}

/// A rectangle of an image in pixels, counted from its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First row and column.
    pub start: [usize; 2],
    /// Past the last row and column.
    pub end: [usize; 2],
}

impl Rect {
    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.end[axis] - self.start[axis])
    }

    /// The intersection; `None` where it is empty.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let start = [0, 1].map(|axis| self.start[axis].max(other.start[axis]));
        let end = [0, 1].map(|axis| self.end[axis].min(other.end[axis]));
        (start[0] < end[0] && start[1] < end[1]).then_some(Self { start, end })
    }
}

impl Grid {
    /// Refuses what the standard or our limits do not allow; the numbers were read
    /// at byte `at`.
    pub fn check(&self, path: &Path, at: usize) -> Result<()> {
        for axis in [0, 1] {
            let (start, end) = (self.start[axis], self.end[axis]);
            let (tile_start, tile) = (self.tile_start[axis], self.tile[axis]);
            // B-1, B-3, B-4.
            if start >= end || tile == 0 || tile_start > start || tile_start + tile <= start {
                let message = format!("an image and tiles that can't be: {self:?}");
                return Err(Error::format_at(path, at as u64, message));
            }
        }
        let limits = |message| Err(Error::limits(path.display(), message));
        let [rows, cols] = self.size().map(|side| side as u64);
        if rows.max(cols) > LARGEST_SIDE {
            return limits(format!(
                "an image of {rows} × {cols} samples, at most {LARGEST_SIDE} per side are read"
            ));
        }
        let [down, across] = self.tiles().map(|count| count as u64);
        if down * across > MOST_TILES {
            return limits(format!(
                "{down} × {across} tiles, at most {MOST_TILES} can be"
            ));
        }
        let [height, width] = [self.tile[0].min(rows), self.tile[1].min(cols)];
        if height * width > LARGEST_TILE {
            return limits(format!(
                "a tile of {height} × {width} samples, at most {LARGEST_TILE} are read; GDAL \
                 rewrites the image with smaller ones: \
                 gdal_translate -of JP2OpenJPEG -co BLOCKXSIZE=1024 -co BLOCKYSIZE=1024 \
                 -co QUALITY=100 -co REVERSIBLE=YES"
            ));
        }
        Ok(())
    }

    /// Rows and columns of the image.
    pub fn size(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.end[axis] - self.start[axis]) as usize)
    }

    /// Tiles down and across (B-5).
    pub fn tiles(&self) -> [usize; 2] {
        [0, 1]
            .map(|axis| (self.end[axis] - self.tile_start[axis]).div_ceil(self.tile[axis]) as usize)
    }

    /// Part of the reference grid that tile `index` covers: start and end (B-7 to
    /// B-10).
    pub fn tile_on_grid(&self, index: usize) -> [[u64; 2]; 2] {
        let across = self.tiles()[1];
        let position = [index / across, index % across].map(|position| position as u64);
        let corner = |axis: usize, step: u64| {
            self.tile_start[axis] + (position[axis] + step) * self.tile[axis]
        };
        [
            [0, 1].map(|axis| corner(axis, 0).max(self.start[axis])),
            [0, 1].map(|axis| corner(axis, 1).min(self.end[axis])),
        ]
    }

    /// Pixels that tile `index` covers.
    pub fn tile_rect(&self, index: usize) -> Rect {
        let [start, end] = self.tile_on_grid(index);
        let pixels = |place: [u64; 2]| [0, 1].map(|axis| (place[axis] - self.start[axis]) as usize);
        Rect {
            start: pixels(start),
            end: pixels(end),
        }
    }

    /// Indices of the tiles that `window`, which is not empty, touches.
    pub fn tiles_of(&self, window: &Rect) -> Vec<usize> {
        let position = |pixel: usize, axis: usize| {
            ((pixel as u64 + self.start[axis] - self.tile_start[axis]) / self.tile[axis]) as usize
        };
        let range =
            |axis: usize| position(window.start[axis], axis)..=position(window.end[axis] - 1, axis);
        let across = self.tiles()[1];
        range(0)
            .flat_map(|row| range(1).map(move |col| row * across + col))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_image_once() {
        // Offsets of image and tiles, and ragged edges.
        let grid = Grid {
            start: [5, 7],
            end: [40, 50],
            tile_start: [2, 3],
            tile: [10, 16],
        };
        grid.check(Path::new("x.jp2"), 0).unwrap();
        assert_eq!((grid.size(), grid.tiles()), ([35, 43], [4, 3]));
        let mut count = vec![0; 35 * 43];
        for index in 0..12 {
            let Rect { start, end } = grid.tile_rect(index);
            for row in start[0]..end[0] {
                for col in start[1]..end[1] {
                    count[row * 43 + col] += 1;
                    let pixel = Rect {
                        start: [row, col],
                        end: [row + 1, col + 1],
                    };
                    assert_eq!(grid.tiles_of(&pixel), [index]);
                }
            }
        }
        assert!(count.iter().all(|count| *count == 1));
    }
}
