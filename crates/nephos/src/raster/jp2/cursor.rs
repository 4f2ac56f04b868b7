//! Big-endian numbers out of bytes that may end early.

use std::path::Path;

use crate::error::{Error, Result};

/// A position in a file's bytes; reading past their end is an error.
pub struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(path: &'a Path, bytes: &'a [u8], at: usize) -> Self {
        Self { path, bytes, at }
    }

    /// Byte of the file that is read next.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// The next `N` bytes; `what` they are, for the message.
    pub fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let bytes = (self.bytes.get(self.at..))
            .and_then(|rest| rest.first_chunk::<N>())
            .ok_or_else(|| {
                let message = format!("{what} is expected, but the bytes end here");
                Error::format_at(self.path, self.at as u64, message)
            })?;
        self.at += N;
        Ok(*bytes)
    }

    pub fn u8(&mut self, what: &str) -> Result<u8> {
        self.take::<1>(what).map(|[byte]| byte)
    }

    pub fn u16(&mut self, what: &str) -> Result<u16> {
        self.take(what).map(u16::from_be_bytes)
    }

    pub fn u32(&mut self, what: &str) -> Result<u32> {
        self.take(what).map(u32::from_be_bytes)
    }

    pub fn u64(&mut self, what: &str) -> Result<u64> {
        self.take(what).map(u64::from_be_bytes)
    }
}
