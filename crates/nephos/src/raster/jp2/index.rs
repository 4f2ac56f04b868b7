//! Positions of the tile-parts of a codestream (ISO/IEC 15444-1, A.4.2).

use std::ops::Range;
use std::path::Path;

use super::cursor::Cursor;
use super::header::Header;
use super::marker;
use crate::error::{Error, Result};

/// Bytes of the marker segment SOT, marker included.
pub const SOT_LENGTH: usize = 12;

/// The tile-parts of each tile in order, as bytes of the file from marker SOT to
/// the end of the data.
pub fn tile_parts(path: &Path, bytes: &[u8], header: &Header) -> Result<Vec<Vec<Range<usize>>>> {
    let [down, across] = header.grid.tiles();
    let mut tiles = vec![Vec::new(); down * across];
    let mut promised = vec![0u8; tiles.len()];
    let end = header.codestream.end;
    // The last tile-part may give no length, and then ends before EOC.
    let data_end = match bytes[..end].ends_with(&marker::EOC.to_be_bytes()) {
        true => end - 2,
        false => end,
    };
    let mut cursor = Cursor::new(path, &bytes[..end], header.tiles);
    while cursor.at() < end {
        let start = cursor.at();
        match cursor.u16("marker SOT or EOC")? {
            marker::EOC => break,
            marker::SOT => {}
            other => {
                let message = format!("marker SOT or EOC is expected, {other:#06x} found");
                return Err(Error::format_at(path, start as u64, message));
            }
        }
        let broken = |message: String| Err(Error::format_at(path, start as u64, message));
        cursor.u16("Lsot")?;
        let tile = usize::from(cursor.u16("Isot")?);
        let length = cursor.u32("Psot")? as usize;
        let part = cursor.u8("TPsot")?;
        let parts = cursor.u8("TNsot")?;
        let Some(found) = tiles.get_mut(tile) else {
            return broken(format!("tile {tile}, there are {down} × {across}"));
        };
        if usize::from(part) != found.len() {
            let expected = found.len();
            return broken(format!(
                "part {part} of tile {tile}, expected is {expected}"
            ));
        }
        let part_end = match length {
            0 => data_end,
            _ => start.saturating_add(length),
        };
        if part_end < start + SOT_LENGTH + 2 {
            return broken(format!("a part of {length} bytes of tile {tile} can't be"));
        }
        if part_end > end {
            return broken(format!(
                "tile {tile} extends to byte {part_end}, the codestream ends at byte {end}: it \
                 is cut off"
            ));
        }
        found.push(start..part_end);
        promised[tile] = promised[tile].max(parts);
        cursor.seek(part_end);
    }
    let missing = (tiles.iter().zip(&promised))
        .position(|(parts, promised)| parts.is_empty() || parts.len() < usize::from(*promised));
    match missing {
        None => Ok(tiles),
        Some(tile) => Err(Error::format_at(
            path,
            end as u64,
            format!(
                "the codestream ends with {} parts of tile {tile}, {} are expected",
                tiles[tile].len(),
                promised[tile].max(1)
            ),
        )),
    }
}
