//! Bounded reading of a pickle's bytes.

use std::io::BufRead;

use super::payload::{Encoding, Payload};

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
}
