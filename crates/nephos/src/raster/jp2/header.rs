//! The main header of a codestream (ISO/IEC 15444-1, Annex A).

use std::ops::Range;
use std::path::Path;

use super::coding::{BlockCount, Coding};
use super::cursor::Cursor;
use super::grid::Grid;
use super::{boxes, marker};
use crate::error::{Error, Result};

/// Longest part of a file that is searched for the main header, in bytes.
pub const LONGEST_HEADER: usize = 1 << 20;

/// What the main header says.
#[derive(Debug)]
pub struct Header {
    /// The codestream's bytes in the file.
    pub codestream: Range<usize>,
    pub grid: Grid,
    /// Bits of a sample.
    pub bits: u8,
    /// The SIZ marker segment's bytes in the file, marker included.
    pub siz: Range<usize>,
    /// The other marker segments that decoding a tile needs, likewise.
    pub kept: Vec<Range<usize>>,
    /// Byte of the file at which the first tile-part begins.
    pub tiles: usize,
    /// Code-blocks of a tile by the main header.
    pub blocks: BlockCount,
}

impl Header {
    /// Of a file of `length` bytes that begins with `bytes`, which may be cut off
    /// after [`LONGEST_HEADER`].
    pub fn parse(path: &Path, bytes: &[u8], length: usize) -> Result<Self> {
        let codestream = boxes::codestream(path, bytes, length)?;
        let mut cursor = Cursor::new(path, bytes, codestream.start);
        expect(path, &mut cursor, marker::SOC, "SOC")?;
        let start = cursor.at();
        expect(path, &mut cursor, marker::SIZ, "SIZ")?;
        let siz_end = segment_end(path, &mut cursor)?;
        let (grid, bits) = siz(path, &mut cursor)?;
        if cursor.at() != siz_end {
            let message = format!("marker segment SIZ of {} bytes", siz_end - start - 2);
            let message = format!("{message}, 41 are expected for one component");
            return Err(Error::format_at(path, start as u64, message));
        }
        let mut header = Self {
            codestream,
            grid,
            bits,
            siz: start..siz_end,
            kept: Vec::new(),
            tiles: 0,
            blocks: BlockCount::default(),
        };
        cursor.seek(siz_end);
        header.segments(path, &mut cursor)?;
        header.blocks.check(path)?;
        Ok(header)
    }

    fn segments(&mut self, path: &Path, cursor: &mut Cursor<'_>) -> Result<()> {
        loop {
            let start = cursor.at();
            let code = cursor.u16("a marker")?;
            if code == marker::SOT {
                self.tiles = start;
                return Ok(());
            }
            let end = segment_end(path, cursor)?;
            match code {
                marker::COD | marker::COC => {
                    let coding = Coding::parse(cursor, code)?;
                    self.blocks.add(&coding, &self.grid);
                    self.kept.push(start..end);
                }
                marker::QCD | marker::QCC | marker::RGN => self.kept.push(start..end),
                marker::POC => {
                    marker::check_poc(path, start, end)?;
                    self.kept.push(start..end);
                }
                // Lengths that are found without them, registration, comments.
                marker::TLM | marker::PLM | marker::CRG | marker::COM => {}
                marker::PPM => return Err(unsupported(path, "packed packet headers (PPM)")),
                marker::CAP => return Err(unsupported(path, "high-throughput coding (CAP)")),
                other => {
                    let message = format!("marker {other:#06x} is not one of a main header");
                    return Err(Error::format_at(path, start as u64, message));
                }
            }
            cursor.seek(end);
        }
    }
}

fn unsupported(path: &Path, what: &str) -> Error {
    Error::unsupported(
        path.display(),
        format!("{what} is not read; GDAL can rewrite the file"),
    )
}

fn expect(path: &Path, cursor: &mut Cursor<'_>, code: u16, name: &str) -> Result<()> {
    let start = cursor.at();
    match cursor.u16(name)? {
        found if found == code => Ok(()),
        found => {
            let message = format!("marker {name} is expected, {found:#06x} found");
            Err(Error::format_at(path, start as u64, message))
        }
    }
}

/// Reads a marker segment's length; the byte at which the segment ends.
pub fn segment_end(path: &Path, cursor: &mut Cursor<'_>) -> Result<usize> {
    let start = cursor.at();
    match cursor.u16("a marker segment's length")? {
        length @ 2.. => Ok(start + usize::from(length)),
        length => {
            let message = format!("a marker segment of {length} bytes can't be");
            Err(Error::format_at(path, start as u64, message))
        }
    }
}

/// The image and tile size marker segment (A.5.1) behind its length.
fn siz(path: &Path, cursor: &mut Cursor<'_>) -> Result<(Grid, u8)> {
    let start = cursor.at();
    cursor.u16("Rsiz")?;
    let mut number = |name| cursor.u32(name).map(u64::from);
    let [x1, y1] = [number("Xsiz")?, number("Ysiz")?];
    let [x0, y0] = [number("XOsiz")?, number("YOsiz")?];
    let [width, height] = [number("XTsiz")?, number("YTsiz")?];
    let [tile_x, tile_y] = [number("XTOsiz")?, number("YTOsiz")?];
    let grid = Grid {
        start: [y0, x0],
        end: [y1, x1],
        tile_start: [tile_y, tile_x],
        tile: [height, width],
    };
    grid.check(path, start)?;
    let components = cursor.u16("Csiz")?;
    if components != 1 {
        let message = format!("a band has one component, this image has {components}");
        return Err(Error::unsupported(path.display(), message));
    }
    let depth = cursor.u8("Ssiz")?;
    let step = [cursor.u8("XRsiz")?, cursor.u8("YRsiz")?];
    // The top bit says signed, the others the bits of a sample less one.
    if depth >= 16 || step != [1, 1] {
        let message = format!(
            "read are unsigned samples of at most 16 bits, not subsampled; this image has \
             Ssiz {depth:#04x}, XRsiz and YRsiz {step:?}"
        );
        return Err(Error::unsupported(path.display(), message));
    }
    Ok((grid, depth + 1))
}
