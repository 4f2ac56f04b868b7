//! A part of a mapped file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tiff_reader::TiffError;
use tiff_reader::source::TiffSource;

use crate::error::Result;
use crate::raster::mapping::Mapping;
use crate::raster::tiff::TiffRaster;

/// Bytes of a mapped file; the range is within it.
#[derive(Clone)]
pub struct Section {
    file: Arc<Mapping>,
    range: Range<usize>,
}

impl Section {
    /// `range` must be within the file.
    pub fn new(file: Arc<Mapping>, range: Range<usize>) -> Self {
        Self { file, range }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.file.bytes()[self.range.clone()]
    }

    /// The bytes at `range` of the whole file, which must be within it.
    pub fn at(&self, range: Range<usize>) -> Self {
        Self::new(self.file.clone(), range)
    }

    /// The whole file.
    pub fn file(&self) -> &[u8] {
        self.file.bytes()
    }

    /// First byte of the section in the file.
    pub fn start(&self) -> usize {
        self.range.start
    }

    /// The GeoTIFF that the section is.
    pub fn raster(&self, path: &Path) -> Result<TiffRaster> {
        TiffRaster::from_source(path, Arc::new(self.clone()))
    }
}

impl TiffSource for Section {
    fn len(&self) -> u64 {
        self.range.len() as u64
    }

    fn read_exact_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, TiffError> {
        let cut = || TiffError::Truncated {
            offset,
            needed: len as u64,
            available: (self.range.len() as u64).saturating_sub(offset),
        };
        let start = usize::try_from(offset).map_err(|_| cut())?;
        let end = start.checked_add(len).ok_or_else(cut)?;
        Ok(self.bytes().get(start..end).ok_or_else(cut)?.to_vec())
    }

    fn as_slice(&self) -> Option<&[u8]> {
        Some(self.bytes())
    }
}
