//! JPEG 2000 images (ISO/IEC 15444-1) of one band, read window by window.
//!
//! The decoder decodes whole images only. Tiles are coded without regard to each
//! other, so each becomes a codestream of its own ([`carve`]) that is decoded
//! when a window needs it, several at a time.

mod boxes;
mod cache;
mod carve;
mod coding;
mod cursor;
mod decode;
mod grid;
mod header;
mod index;
mod marker;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

use self::cache::{Cache, Samples, Slot};
pub(crate) use self::grid::Rect;
use self::header::Header;
pub(crate) use self::header::LONGEST_HEADER;
use super::mapping::MappedRange;
use crate::error::{Error, Result};

/// Most decoded tiles that are kept, whatever their size.
const MOST_CACHED: usize = 1024;

/// What an image's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jp2Info {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Rows and columns of a tile.
    pub tile: [usize; 2],
}

impl Jp2Info {
    /// Of a file of `length` bytes that begins with `bytes`, at most
    /// [`LONGEST_HEADER`] of them.
    pub fn parse(path: &Path, bytes: &[u8], length: usize) -> Result<Self> {
        Header::parse(path, bytes, length).map(|header| Self::of(&header))
    }

    fn of(header: &Header) -> Self {
        let size = header.grid.size();
        let tile = [0, 1].map(|axis| (header.grid.tile[axis] as usize).min(size[axis]));
        Self { size, tile }
    }
}

/// An image of one component, unsigned, of at most 16 bits.
pub(crate) struct Jp2 {
    /// What messages call the file.
    path: PathBuf,
    data: MappedRange,
    header: Header,
    /// Bytes of the parts of each tile.
    tiles: Vec<Vec<Range<usize>>>,
    cache: Cache,
}

impl Jp2 {
    /// Reads the headers and finds the tiles; a file that is cut off is refused.
    pub fn open(path: PathBuf, data: MappedRange) -> Result<Self> {
        let (header, tiles) = data.checked(|bytes| {
            let start = &bytes[..bytes.len().min(LONGEST_HEADER)];
            let header = Header::parse(&path, start, bytes.len())?;
            let tiles = index::tile_parts(&path, bytes, &header)?;
            Ok((header, tiles))
        })?;
        // A row of tiles that windows end in, and the next.
        let capacity = (2 * header.grid.tiles()[1]).clamp(1, MOST_CACHED);
        Ok(Self {
            path,
            data,
            header,
            tiles,
            cache: Cache::new(capacity),
        })
    }

    /// Size of the image and its tiles.
    pub fn info(&self) -> Jp2Info {
        Jp2Info::of(&self.header)
    }

    /// Stored numbers of a window, which must be within the image; tiles are
    /// decoded in parallel. Holds, next to the window, the tiles being decoded and
    /// at most two rows of those that were read in part before.
    pub fn read(&self, window: &Rect) -> Result<Array2<u16>> {
        let [rows, cols] = window.size();
        let out = Mutex::new(Array2::zeros((rows, cols)));
        if rows > 0 && cols > 0 {
            let tiles = self.header.grid.tiles_of(window);
            let held = self.cache.hold(&tiles);
            tiles
                .into_par_iter()
                .zip(held)
                .try_for_each(|(tile, held)| self.copy(tile, held, window, &out))?;
        }
        Ok(out.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies what a tile has of `window`.
    fn copy(
        &self,
        tile: usize,
        held: Option<Arc<Slot>>,
        window: &Rect,
        out: &Mutex<Array2<u16>>,
    ) -> Result<()> {
        let rect = self.header.grid.tile_rect(tile);
        let Some(part) = rect.intersection(window) else {
            return Ok(());
        };
        let slot = match part == rect {
            // Read whole, a tile is not likely requested again.
            true => held.unwrap_or_default(),
            false => self.cache.slot(tile, held),
        };
        let samples = slot.get(|| self.decode(tile))?;
        let samples = view(&samples, &rect);
        let within = |corner: &Rect, axis: usize| {
            part.start[axis] - corner.start[axis]..part.end[axis] - corner.start[axis]
        };
        let from = samples.slice(s![within(&rect, 0), within(&rect, 1)]);
        // Tiles do not overlap, so that the order of threads does not matter.
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        out.slice_mut(s![within(window, 0), within(window, 1)])
            .assign(&from);
        Ok(())
    }

    fn decode(&self, tile: usize) -> Result<Vec<u16>> {
        let parts = &self.tiles[tile];
        for part in parts {
            self.data.prefetch(part.clone());
        }
        let codestream = (self.data)
            .checked(|bytes| carve::carve(&self.path, bytes, &self.header, tile, parts))?;
        for part in parts {
            self.data.release(part.clone());
        }
        let size = self.header.grid.tile_rect(tile).size();
        decode::decode(&codestream, size, self.header.bits).map_err(|message| {
            let start = parts.first().map_or(0, |part| part.start);
            Error::format_at(&self.path, start as u64, format!("tile {tile}: {message}"))
        })
    }
}

/// A tile's samples as rows; it has exactly those of its rectangle.
fn view<'a>(samples: &'a Samples, rect: &Rect) -> ArrayView2<'a, u16> {
    let [rows, cols] = rect.size();
    ArrayView2::from_shape((rows, cols), samples.as_slice())
        .expect("the decoder gives as many samples as the tile has")
}
