//! Text and bytes that stay in the file until they are needed.

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::Fault;

/// How bytes or text are written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Byte for byte.
    Verbatim,
    /// UTF-8; as bytes, each character is its Latin-1 code.
    Utf8,
    /// Latin-1 with `\uXXXX` and `\UXXXXXXXX` (protocol 0 text).
    RawUnicodeEscape,
    /// The inside of a Python 2 string literal (protocol 0).
    StringEscape,
}

/// A range of the file that holds text or bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload {
    pub start: usize,
    pub len: usize,
    pub encoding: Encoding,
}

impl Payload {
    /// Whether the payload can be `decoded` bytes long, by its length
    /// alone; [`Payload::bytes`] checks exactly.
    pub fn may_hold(&self, decoded: usize) -> bool {
        let widest = match self.encoding {
            Encoding::Verbatim => 1,
            Encoding::Utf8 => 2,
            Encoding::StringEscape => 4,
            Encoding::RawUnicodeEscape => 10,
        };
        decoded <= self.len && self.len <= decoded.saturating_mul(widest)
    }

    /// Bytes `range` of the payload, which must hold `total` bytes in all.
    ///
    /// Verbatim payloads are borrowed. Others are decoded from the start on each
    /// call, keeping only `range`: memory stays that of one sample.
    pub fn bytes<'a>(
        &self,
        file: &'a [u8],
        total: usize,
        range: Range<usize>,
    ) -> Result<Cow<'a, [u8]>, Fault> {
        let stored = &file[self.start..self.start + self.len];
        if self.encoding == Encoding::Verbatim {
            if stored.len() != total || range.end > total {
                return Err(self.wrong_length(stored.len(), total));
            }
            return Ok(Cow::Borrowed(&stored[range]));
        }
        let mut kept = Vec::with_capacity(range.len().min(stored.len()));
        let mut count = 0usize;
        self.decode(stored, |code| {
            let byte = u8::try_from(code).map_err(|_| format!("character {code:#x} is no byte"))?;
            if range.contains(&count) {
                kept.push(byte);
            }
            count += 1;
            Ok(())
        })?;
        if count != total {
            return Err(self.wrong_length(count, total));
        }
        Ok(Cow::Owned(kept))
    }

    /// The payload as text of at most `longest` stored bytes.
    pub fn text(&self, file: &[u8], longest: usize) -> Result<String, Fault> {
        if self.len > longest {
            return Err(Fault::new(
                self.start,
                format!(
                    "text of {} bytes; at most {longest} make sense here",
                    self.len
                ),
            ));
        }
        let stored = &file[self.start..self.start + self.len];
        if matches!(self.encoding, Encoding::Verbatim | Encoding::Utf8) {
            return std::str::from_utf8(stored)
                .map(str::to_owned)
                .map_err(|_| Fault::new(self.start, "text is not UTF-8"));
        }
        let mut text = String::new();
        self.decode(stored, |code| {
            text.push(char::from_u32(code).ok_or_else(|| format!("{code:#x} is no character"))?);
            Ok(())
        })?;
        Ok(text)
    }

    fn wrong_length(&self, found: usize, expected: usize) -> Fault {
        Fault::new(
            self.start,
            format!("the shape needs {expected} bytes, the data are {found}"),
        )
    }

    /// Calls `sink` with each character code in turn.
    fn decode(
        &self,
        stored: &[u8],
        mut sink: impl FnMut(u32) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let next: fn(&[u8]) -> Option<(u32, usize)> = match self.encoding {
            Encoding::Verbatim => |bytes| Some((u32::from(bytes[0]), 1)),
            Encoding::Utf8 => latin1_of_utf8,
            Encoding::RawUnicodeEscape => raw_unicode_escape,
            Encoding::StringEscape => string_escape,
        };
        let mut at = 0;
        while at < stored.len() {
            let (code, taken) = next(&stored[at..])
                .ok_or_else(|| Fault::new(self.start + at, "broken escape or character"))?;
            sink(code).map_err(|message| Fault::new(self.start + at, message))?;
            at += taken;
        }
        Ok(())
    }
}

/// One character up to U+00FF; `bytes` is not empty.
fn latin1_of_utf8(bytes: &[u8]) -> Option<(u32, usize)> {
    match *bytes {
        [first @ 0..=0x7f, ..] => Some((u32::from(first), 1)),
        [first @ 0xc2..=0xc3, second @ 0x80..=0xbf, ..] => {
            Some((u32::from(first & 0x03) << 6 | u32::from(second & 0x3f), 2))
        }
        _ => None,
    }
}

/// One character of `raw-unicode-escape`: a backslash that no `u` follows is
/// itself.
fn raw_unicode_escape(bytes: &[u8]) -> Option<(u32, usize)> {
    match *bytes {
        [b'\\', b'u', ..] => Some((hexadecimal(bytes.get(2..6)?)?, 6)),
        [b'\\', b'U', ..] => Some((hexadecimal(bytes.get(2..10)?)?, 10)),
        [byte, ..] => Some((u32::from(byte), 1)),
        [] => None,
    }
}

/// One character of a Python 2 string literal.
fn string_escape(bytes: &[u8]) -> Option<(u32, usize)> {
    let simple = |code: u8| Some((u32::from(code), 2));
    match *bytes {
        [b'\\', b'x', ..] => Some((hexadecimal(bytes.get(2..4)?)?, 4)),
        [b'\\', b'0'..=b'7', ..] => {
            let digits = bytes[1..]
                .iter()
                .take(3)
                .take_while(|b| matches!(b, b'0'..=b'7'));
            let (code, count) = digits.fold((0, 0), |(code, count), digit| {
                (code * 8 + u32::from(digit - b'0'), count + 1)
            });
            Some((code & 0xff, 1 + count))
        }
        [b'\\', code @ (b'\\' | b'\'' | b'"'), ..] => simple(code),
        [b'\\', b'a', ..] => simple(7),
        [b'\\', b'b', ..] => simple(8),
        [b'\\', b'f', ..] => simple(12),
        [b'\\', b'n', ..] => simple(b'\n'),
        [b'\\', b'r', ..] => simple(b'\r'),
        [b'\\', b't', ..] => simple(b'\t'),
        [b'\\', b'v', ..] => simple(11),
        [byte, ..] => Some((u32::from(byte), 1)),
        [] => None,
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |code, digit| {
        Some(code << 4 | char::from(*digit).to_digit(16)?)
    })
}
