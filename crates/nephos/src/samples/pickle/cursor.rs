//! Bounded reading of a pickle's bytes.

use std::io::BufRead;
use std::str::FromStr;

use super::payload::{Encoding, Payload};
use super::value::Value;

/// Longest line that holds a number.
const LONGEST_NUMBER: usize = 64;

/// What is wrong with a pickle, and at which byte.
#[derive(Debug)]
pub(crate) struct Fault {
    pub offset: u64,
    pub message: String,
}

impl Fault {
    pub fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset: offset as u64,
            message: message.into(),
        }
    }

    pub fn into_error(self, path: &std::path::Path) -> crate::Error {
        crate::Error::format_at(path, self.offset, self.message)
    }
}

/// A position in a pickle. Every read is checked against the end, and payloads
/// are skipped, not copied.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let start = self.at;
        let found = self.bytes[start..].first_chunk::<N>().ok_or_else(|| {
            Fault::new(
                start,
                format!("the file ends where {N} more bytes were expected"),
            )
        })?;
        self.at += N;
        Ok(*found)
    }

    pub fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Skips `len` bytes, which must be there, and remembers where they lie.
    pub fn payload(&mut self, len: u64, encoding: Encoding) -> Result<Payload, Fault> {
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= self.remaining())
            .ok_or_else(|| {
                Fault::new(
                    self.at,
                    format!("{len} bytes announced, {} left", self.remaining()),
                )
            })?;
        let payload = Payload {
            start: self.at,
            len,
            encoding,
        };
        self.at += len;
        Ok(payload)
    }

    /// Skips to the end of the line and past it; the newline is not included.
    pub fn line(&mut self, encoding: Encoding) -> Result<Payload, Fault> {
        let start = self.at;
        let mut rest = &self.bytes[start..];
        let taken = rest.skip_until(b'\n').unwrap_or(0);
        if taken == 0 || self.bytes[start + taken - 1] != b'\n' {
            return Err(Fault::new(start, "the file ends inside a line of text"));
        }
        self.at += taken;
        Ok(Payload {
            start,
            len: taken - 1,
            encoding,
        })
    }

    /// A short line of ASCII.
    pub fn short_line(&mut self, longest: usize) -> Result<&'a str, Fault> {
        let line = self.line(Encoding::Verbatim)?;
        let bytes = &self.bytes[line.start..line.start + line.len];
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.len() <= longest)
            .ok_or_else(|| {
                Fault::new(
                    line.start,
                    format!("expected a line of at most {longest} characters"),
                )
            })
    }

    /// A line that holds a number.
    pub fn number<T: FromStr>(&mut self) -> Result<T, Fault> {
        let at = self.at;
        parse(self.short_line(LONGEST_NUMBER)?, at)
    }

    /// A line that holds an integer, or a bool as `00` or `01`.
    pub fn int_or_bool(&mut self) -> Result<Value, Fault> {
        let at = self.at;
        Ok(match self.short_line(LONGEST_NUMBER)? {
            "00" => Value::Bool(false),
            "01" => Value::Bool(true),
            text => Value::Int(parse(text, at)?),
        })
    }

    /// A line that holds an integer, with an `L` after it in Python 2.
    pub fn long_line(&mut self) -> Result<i64, Fault> {
        let at = self.at;
        let text = self.short_line(LONGEST_NUMBER)?;
        parse(text.strip_suffix('L').unwrap_or(text), at)
    }

    /// Text or bytes after a little-endian length of `width` bytes.
    pub fn sized(&mut self, width: u8, encoding: Encoding) -> Result<Payload, Fault> {
        let len = match width {
            1 => u64::from(self.u8()?),
            4 => u64::from(self.u32()?),
            _ => self.u64()?,
        };
        self.payload(len, encoding)
    }

    /// A string literal in quotes, to the end of the line.
    pub fn quoted(&mut self) -> Result<Payload, Fault> {
        let line = self.line(Encoding::StringEscape)?;
        let stored = &self.bytes[line.start..line.start + line.len];
        match stored {
            [b'\'', .., b'\''] | [b'"', .., b'"'] => Ok(Payload {
                start: line.start + 1,
                len: line.len - 2,
                ..line
            }),
            _ => Err(Fault::new(line.start, "expected a string in quotes")),
        }
    }

    /// A two's complement integer of `len` bytes.
    pub fn long(&mut self, len: u64) -> Result<i64, Fault> {
        let payload = self.payload(len, Encoding::Verbatim)?;
        if payload.len > 8 {
            return Err(Fault::new(payload.start, "an integer of more than 64 bits"));
        }
        let stored = &self.bytes[payload.start..payload.start + payload.len];
        let negative = stored.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut bytes = [if negative { 0xff } else { 0 }; 8];
        bytes[..stored.len()].copy_from_slice(stored);
        Ok(i64::from_le_bytes(bytes))
    }
}

/// A number written as text.
fn parse<T: FromStr>(text: &str, at: usize) -> Result<T, Fault> {
    text.trim().parse().map_err(|_| {
        Fault::new(
            at,
            format!("`{}` is not the number expected", text.escape_debug()),
        )
    })
}
