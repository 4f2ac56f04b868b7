//! How finely a tile is cut into precincts and code-blocks: small ones cost far
//! more memory than the samples, and a header can specify any.

use std::path::Path;

use super::cursor::Cursor;
use super::grid::Grid;
use super::marker;
use crate::error::{Error, Result};

/// Most precincts and code-blocks of a tile, times the quality layers. Each costs
/// the decoder up to a hundred bytes. 64 × 64 samples per block are usual.
const MOST_BLOCKS: u64 = 1 << 22;

/// What a COD or COC marker segment says of precincts and code-blocks (A.6.1).
#[derive(Debug)]
pub struct Coding {
    /// Quality layers; only COD has them.
    layers: Option<u16>,
    /// Exponents of a code-block's height and width.
    block: [u32; 2],
    /// Exponents of a precinct's height and width, one pair per resolution.
    precincts: Vec<[u32; 2]>,
}

impl Coding {
    /// Of an image with one component; the cursor is behind the length.
    pub fn parse(cursor: &mut Cursor<'_>, code: u16) -> Result<Self> {
        if code == marker::COC {
            cursor.u8("Ccoc")?;
        }
        let style = cursor.u8("Scod")?;
        let layers = match code {
            marker::COD => {
                cursor.u8("the progression order")?;
                let layers = cursor.u16("the number of layers")?;
                cursor.u8("the component transformation")?;
                Some(layers)
            }
            _ => None,
        };
        // The decoder refuses more than 32.
        let levels = cursor.u8("the number of decomposition levels")?.min(32);
        let width = u32::from(cursor.u8("the code-block width")? & 15) + 2;
        let height = u32::from(cursor.u8("the code-block height")? & 15) + 2;
        cursor.u8("the code-block style")?;
        cursor.u8("the transformation")?;
        let precincts = (0..=levels)
            .map(|_| match style & 1 {
                0 => Ok([15, 15]),
                _ => cursor
                    .u8("a precinct size")
                    .map(|size| [u32::from(size >> 4), u32::from(size & 15)]),
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            layers,
            block: [height, width],
            precincts,
        })
    }

    /// An upper bound of the precincts and code-blocks of one tile (B.6, B.7).
    fn count(&self, grid: &Grid) -> u64 {
        let size = grid.size();
        let levels = self.precincts.len() as u32 - 1;
        let mut total = 0u64;
        for (resolution, precinct) in (0..).zip(&self.precincts) {
            let counts = [0, 1].map(|axis| {
                let side = grid.tile[axis].min(size[axis] as u64);
                let side = (side >> (levels - resolution)) + 1;
                // A sub-band has half the resolution's samples, its precincts too.
                let halved = u32::from(resolution > 0);
                let side_in_band = (side >> halved) + 1;
                let block = self.block[axis].min(precinct[axis].saturating_sub(halved));
                let precincts = (side >> precinct[axis]) + 2;
                [precincts, (side_in_band >> block) + precincts + 1]
            });
            let bands = if resolution == 0 { 1 } else { 3 };
            let both = |which: usize| counts[0][which].saturating_mul(counts[1][which]);
            let sum = both(0).saturating_add(both(1)).saturating_mul(bands);
            total = total.saturating_add(sum);
        }
        total
    }
}

/// The most blocks and layers that a tile may have by several marker segments.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlockCount {
    blocks: u64,
    layers: u64,
}

impl BlockCount {
    /// Counts in what a marker segment says.
    pub fn add(&mut self, coding: &Coding, grid: &Grid) {
        self.blocks = self.blocks.max(coding.count(grid));
        self.layers = self.layers.max(coding.layers.map_or(0, u64::from));
    }

    /// Refuses too many.
    pub fn check(&self, path: &Path) -> Result<()> {
        let count = self.blocks.saturating_mul(self.layers.max(1));
        if count <= MOST_BLOCKS {
            return Ok(());
        }
        let message = format!(
            "a tile is cut into about {count} code-blocks and layers, at most {MOST_BLOCKS} are read"
        );
        Err(Error::limits(path.display(), message))
    }
}
