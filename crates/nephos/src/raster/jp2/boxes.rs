//! The boxes of a JP2 file (ISO/IEC 15444-1, Annex I), as far as the way to its
//! codestream needs them.

use std::ops::Range;
use std::path::Path;

use super::cursor::Cursor;
use crate::error::{Error, Result};

/// The signature box that a JP2 file begins with.
const SIGNATURE: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n";
/// Markers SOC and SIZ, which a codestream begins with.
const CODESTREAM: &[u8] = b"\xff\x4f\xff\x51";

/// Bytes of the codestream in a file of `length` bytes that begins with `bytes`:
/// that of the first `jp2c` box, or the whole file where it is a bare codestream.
pub fn codestream(path: &Path, bytes: &[u8], length: usize) -> Result<Range<usize>> {
    if bytes.starts_with(CODESTREAM) {
        return Ok(0..length);
    }
    if !bytes.starts_with(SIGNATURE) {
        let message = "neither a JP2 file nor a JPEG 2000 codestream";
        return Err(Error::format_at(path, 0, message));
    }
    let mut cursor = Cursor::new(path, bytes, 0);
    loop {
        let start = cursor.at();
        if start >= length {
            let message = "the file ends before its codestream (box jp2c)";
            return Err(Error::format_at(path, start as u64, message));
        }
        let short = u64::from(cursor.u32("a box's length")?);
        let kind = cursor.take::<4>("a box's type")?;
        let box_length = match short {
            0 => (length - start) as u64,
            1 => cursor.u64("a box's long length")?,
            other => other,
        };
        let end = usize::try_from(box_length)
            .ok()
            .and_then(|box_length| start.checked_add(box_length))
            .filter(|end| *end >= cursor.at());
        let Some(end) = end else {
            let message = format!("a box of {box_length} bytes can't be");
            return Err(Error::format_at(path, start as u64, message));
        };
        if end > length {
            let kind = kind.escape_ascii();
            let message =
                format!("box {kind} ends at byte {end}, the file at byte {length}: it is cut off");
            return Err(Error::format_at(path, start as u64, message));
        }
        if &kind == b"jp2c" {
            return Ok(cursor.at()..end);
        }
        cursor.seek(end);
    }
}
