//! One tile of a codestream as a codestream of its own.
//!
//! The image becomes the tile: XOsiz and XTOsiz are its first column on the
//! reference grid, Xsiz is past its last, XTsiz its width, likewise down. The
//! tile keeps its place on the grid, so that sub-bands, precincts and code-blocks
//! are cut as before (Annex B) and every sample decodes to the same number.

use std::ops::Range;
use std::path::Path;

use super::coding::Coding;
use super::cursor::Cursor;
use super::header::{Header, segment_end};
use super::index::SOT_LENGTH;
use super::marker;
use crate::error::{Error, Result};

/// The codestream of tile `index`, whose tile-parts are `parts`.
pub fn carve(
    path: &Path,
    bytes: &[u8],
    header: &Header,
    index: usize,
    parts: &[Range<usize>],
) -> Result<Vec<u8>> {
    check_tile_headers(path, bytes, header, parts)?;
    let kept = header.kept.iter().chain(parts);
    let length: usize = kept.map(ExactSizeIterator::len).sum();
    let mut out = Vec::with_capacity(length + header.siz.len() + 4);
    out.extend(marker::SOC.to_be_bytes());
    let siz = out.len();
    out.extend(&bytes[header.siz.clone()]);
    let [[y0, x0], [y1, x1]] = header.grid.tile_on_grid(index);
    // Xsiz to YTOsiz, behind marker, length and Rsiz.
    let numbers = [x1, y1, x0, y0, x1 - x0, y1 - y0, x0, y0];
    for (field, number) in (0..).zip(numbers) {
        let at = siz + 6 + 4 * field;
        // The grid's numbers were read from 32 bits.
        out[at..at + 4].copy_from_slice(&(number as u32).to_be_bytes());
    }
    for segment in &header.kept {
        out.extend(&bytes[segment.clone()]);
    }
    for part in parts {
        let start = out.len();
        out.extend(&bytes[part.clone()]);
        out[start + 4..start + 6].copy_from_slice(&0u16.to_be_bytes());
        let length = part.len() as u32;
        out[start + 6..start + 10].copy_from_slice(&length.to_be_bytes());
    }
    out.extend(marker::EOC.to_be_bytes());
    Ok(out)
}

/// Tile-part headers may cut the tile into code-blocks otherwise than the main
/// header, so the same limits hold for them.
fn check_tile_headers(
    path: &Path,
    bytes: &[u8],
    header: &Header,
    parts: &[Range<usize>],
) -> Result<()> {
    let mut blocks = header.blocks;
    for part in parts {
        let mut cursor = Cursor::new(path, &bytes[..part.end], part.start + SOT_LENGTH);
        loop {
            let start = cursor.at();
            let code = cursor.u16("a marker")?;
            if code == marker::SOD {
                break;
            }
            let end = segment_end(path, &mut cursor)?;
            match code {
                marker::COD | marker::COC => {
                    blocks.add(&Coding::parse(&mut cursor, code)?, &header.grid);
                }
                marker::POC => marker::check_poc(path, start, end)?,
                marker::QCD
                | marker::QCC
                | marker::RGN
                | marker::PLT
                | marker::PPT
                | marker::COM => {}
                other => {
                    let message = format!("marker {other:#06x} is not one of a tile's header");
                    return Err(Error::format_at(path, start as u64, message));
                }
            }
            cursor.seek(end);
        }
    }
    blocks.check(path)
}
