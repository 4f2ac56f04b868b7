//! One image of a COG: the full resolution or an overview.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rayon::prelude::*;

use super::tile_row::TileRow;

/// Level of deflate, as GDAL's default.
const DEFLATE: u32 = 6;

/// Bytes around the data of each tile: its length before it, its last bytes
/// again after it, as the file's header announces.
pub(super) const LEADER: u64 = 4;
const TRAILER: usize = 4;

/// An image that grows by rows.
pub(super) struct Level {
    width: usize,
    height: usize,
    bands: usize,
    tile: usize,
    /// Whether samples are stored as differences to their left neighbours.
    differences: bool,
    fill: u8,
    /// The rows of the tile row that is not full, `[columns, bands]` each.
    rows: TileRow,
    /// Bytes of each finished tile, row by row.
    sizes: Vec<u32>,
    spool: File,
}

/// How the pixels of all levels are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    pub(super) bands: usize,
    /// Side of a tile.
    pub(super) tile: usize,
    pub(super) differences: bool,
    /// Value of pixels outside of the raster.
    pub(super) fill: u8,
}

impl Level {
    /// An image of `[height, width]` that is spooled to empty files, which `file` makes.
    ///
    /// # Errors
    /// What `file` returns.
    pub(super) fn new<E>(
        [height, width]: [usize; 2],
        storage: Storage,
        file: impl Fn() -> Result<File, E>,
    ) -> Result<Self, E> {
        Ok(Self {
            width,
            height,
            bands: storage.bands,
            tile: storage.tile,
            differences: storage.differences,
            fill: storage.fill,
            rows: TileRow::new(width * storage.bands, storage.tile.min(height), &file)?,
            sizes: Vec::new(),
            spool: file()?,
        })
    }

    /// Rows and columns.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Takes the next row, `[columns, bands]`; `last` says that it is the last.
    pub(super) fn push(&mut self, row: &[u8], last: bool) -> std::io::Result<()> {
        self.rows.push(row)?;
        if last || self.rows.rows() == self.tile {
            self.write_tiles()?;
            self.rows.clear()?;
        }
        Ok(())
    }

    /// Deflates the tiles of the rows at hand, each on its own, and spools them in
    /// order: the bytes do not depend on the number of threads.
    fn write_tiles(&mut self) -> std::io::Result<()> {
        let tiles: Vec<Vec<u8>> = (0..self.width.div_ceil(self.tile))
            .into_par_iter()
            .map(|position| self.deflated(position * self.tile))
            .collect::<std::io::Result<_>>()?;
        let mut bytes = Vec::new();
        for tile in &tiles {
            let size = u32::try_from(tile.len()).map_err(std::io::Error::other)?;
            bytes.extend(size.to_le_bytes());
            bytes.extend(tile);
            bytes.extend(&tile[tile.len() - TRAILER..]);
            self.sizes.push(size);
        }
        self.spool.write_all(&bytes)
    }

    /// The tile whose first column is `left`. A zlib stream has at least eight
    /// bytes.
    fn deflated(&self, left: usize) -> std::io::Result<Vec<u8>> {
        let line = self.tile * self.bands;
        let mut pixels = vec![self.fill; self.tile * line];
        let columns = self.tile.min(self.width - left);
        let (first, bytes) = (left * self.bands, columns * self.bands);
        self.rows.copy(first, bytes, &mut pixels, line)?;
        if self.differences {
            for line in pixels.chunks_exact_mut(line) {
                for at in (self.bands..line.len()).rev() {
                    line[at] = line[at].wrapping_sub(line[at - self.bands]);
                }
            }
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(DEFLATE));
        encoder.write_all(&pixels)?;
        encoder.finish()
    }

    /// The spool, at its start, and the bytes of each tile in it.
    pub(super) fn finish(mut self) -> std::io::Result<Tiles> {
        self.spool.seek(SeekFrom::Start(0))?;
        Ok(Tiles {
            spool: self.spool,
            sizes: self.sizes,
        })
    }
}

/// The tiles of an image that is whole.
pub(super) struct Tiles {
    pub(super) spool: File,
    pub(super) sizes: Vec<u32>,
}

impl Tiles {
    /// Bytes of all tiles with the bytes around them.
    pub(super) fn length(&self) -> u64 {
        let around = LEADER + TRAILER as u64;
        self.sizes.iter().map(|s| u64::from(*s) + around).sum()
    }

    /// Where the data of each tile begin in a file that has the spool at `start`.
    pub(super) fn offsets(&self, start: u64) -> Vec<u64> {
        let mut next = start;
        let offset = |size: &u32| {
            let data = next + LEADER;
            next = data + u64::from(*size) + TRAILER as u64;
            data
        };
        self.sizes.iter().map(offset).collect()
    }
}
