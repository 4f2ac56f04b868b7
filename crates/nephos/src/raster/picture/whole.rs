//! Detects truncated pictures, which decoders fill in silently.

use std::path::Path;

use super::scans::Scans;
use crate::error::{Error, Result};

/// Refuses a PNG or JPEG that is cut off or damaged: one that ends before its own end, or
/// a PNG a chunk of which has another checksum than it states.
///
/// # Errors
/// What is missing, and from which byte on.
pub(crate) fn check(path: &Path, bytes: &[u8]) -> Result<()> {
    let broken = |(at, message): (usize, String)| Error::format_at(path, at as u64, message);
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => png(bytes).map_err(broken),
        [0xff, 0xd8, ..] => jpeg(bytes).map_err(broken),
        _ => Ok(()),
    }
}

/// Position and message of a fault.
type Fault = (usize, String);

/// Walks the chunks of a PNG to its `IEND`.
fn png(bytes: &[u8]) -> Result<(), Fault> {
    const SIGNATURE: usize = 8;
    let mut at = SIGNATURE;
    loop {
        let cut = || {
            (
                bytes.len(),
                "the PNG is cut off: it ends before its last chunk".to_owned(),
            )
        };
        let head = bytes.get(at..at + 8).ok_or_else(cut)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = &head[4..];
        let end = at.checked_add(8 + length).ok_or_else(cut)?;
        let stated = bytes.get(end..end.saturating_add(4)).ok_or_else(cut)?;
        if crc32fast::hash(&bytes[at + 4..end]).to_be_bytes() != stated {
            let kind = String::from_utf8_lossy(kind);
            return Err((
                at,
                format!("the PNG is damaged: chunk {kind:?} has another checksum"),
            ));
        }
        if kind == b"IEND" {
            return Ok(());
        }
        at = end + 4;
    }
}

/// Walks the segments of a JPEG to its end of image.
fn jpeg(bytes: &[u8]) -> Result<(), Fault> {
    const SOS: u8 = 0xda;
    const EOI: u8 = 0xd9;
    let cut = || {
        (
            bytes.len(),
            "the JPEG is cut off: it ends before its end-of-image marker".to_owned(),
        )
    };
    let short = |at: usize| (at, "the JPEG is cut off: its scans lack blocks".to_owned());
    let mut scans = Scans::default();
    let mut at = 2;
    loop {
        // The next marker: any number of 0xff, then its code. In a scan 0xff00 is data, and
        // restarts separate its parts; outside of a scan other bytes are skipped, as
        // decoders do.
        let next = bytes.get(at..).unwrap_or_default();
        at += next.iter().position(|byte| *byte == 0xff).ok_or_else(cut)?;
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        let code = *bytes.get(at).ok_or_else(cut)?;
        at += 1;
        match code {
            EOI if scans.are_all_seen() => return Ok(()),
            EOI => return Err(short(at)),
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = bytes.get(at..at + 2).ok_or_else(cut)?;
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                if length < 2 || at + length > bytes.len() {
                    return Err(cut());
                }
                let body = &bytes[at + 2..at + length];
                at += length;
                scans.segment(code, body);
                if code == SOS && !scans.is_whole(body, &bytes[at..]) {
                    return Err(short(at));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, 90]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(picture)
            .write_to(&mut bytes, format)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_cut_is_an_error() {
        let path = Path::new("a.png");
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let bytes = encoded(format);
            check(path, &bytes).unwrap();
            for end in 4..bytes.len() {
                let error = check(path, &bytes[..end]).unwrap_err().to_string();
                assert!(
                    error.contains("cut off") && error.contains("a.png"),
                    "{end}: {error}"
                );
            }
            // What follows the end is none of the picture's.
            check(path, &[&bytes[..], &[0xff, 1, 2]].concat()).unwrap();
        }
    }

    #[test]
    fn an_end_marker_after_a_cut_does_not_hide_it() {
        let bytes = encoded(ImageFormat::Jpeg);
        let path = Path::new("a.jpg");
        for end in [bytes.len() / 2, bytes.len() - 60, bytes.len() - 10] {
            let healed = [&bytes[..end], &[0xff, 0xd9]].concat();
            let error = check(path, &healed).unwrap_err().to_string();
            assert!(error.contains("cut off"), "{end}: {error}");
        }
    }

    #[test]
    fn an_embedded_preview_does_not_end_the_picture() {
        let bytes = encoded(ImageFormat::Jpeg);
        // A segment of an application that holds a whole JPEG.
        let length = (bytes.len() + 2) as u16;
        let mut with = vec![0xff, 0xd8, 0xff, 0xe1];
        with.extend(length.to_be_bytes());
        with.extend(&bytes);
        with.extend(&bytes[2..]);
        check(Path::new("a.jpg"), &with).unwrap();
        let cut = &with[..with.len() - 40];
        assert!(check(Path::new("a.jpg"), cut).is_err());
    }

    #[test]
    fn a_damaged_chunk_is_an_error() {
        let mut bytes = encoded(ImageFormat::Png);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        let error = check(Path::new("a.png"), &bytes).unwrap_err().to_string();
        assert!(
            error.contains("damaged") && error.contains("IDAT"),
            "{error}"
        );
    }
}
