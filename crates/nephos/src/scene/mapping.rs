//! Read-only files mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A whole file, mapped; an empty file is refused.
pub(crate) struct Mapping(Mmap);

impl Mapping {
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let file = File::open(path).map_err(fail)?;
        Self::of_file(path, &file)
    }

    /// An open file, which messages call `path`; the map outlives the handle.
    pub fn of_file(path: &Path, file: &File) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        if file.metadata().map_err(fail)?.len() == 0 {
            return Err(Error::format(path, "the file is empty"));
        }
        // SAFETY: the map is read-only. Another process that cuts the file
        // while it is read stops us with SIGBUS, never with a wrong read.
        let map = unsafe { Mmap::map(file) }.map_err(fail)?;
        // Headers lie megabytes apart: reading ahead would read the numbers.
        #[cfg(unix)]
        let _ = map.advise(memmap2::Advice::Random);
        Ok(Self(map))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Lets go of the pages of `range`, so that a walk through a large file does
    /// not count as memory in use; they are read again when touched again.
    pub fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if !range.is_empty() {
            // SAFETY: the map is read-only and of a file, so that dropped pages
            // come back with the same content.
            let _ = unsafe {
                self.0.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    range.start,
                    range.len(),
                )
            };
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Asks for the pages of `range` before they are touched.
    pub fn prefetch(&self, range: Range<usize>) {
        #[cfg(unix)]
        if !range.is_empty() {
            let _ = (self.0).advise_range(memmap2::Advice::WillNeed, range.start, range.len());
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

/// Part of a mapped file that is itself a file: all of it, or an entry of a zip.
#[derive(Clone)]
pub(crate) struct MappedRange {
    mapping: Arc<Mapping>,
    range: Range<usize>,
}

impl MappedRange {
    /// `None` where `range` is not within the file.
    pub fn new(mapping: Arc<Mapping>, range: Range<usize>) -> Option<Self> {
        mapping.bytes().get(range.clone())?;
        Some(Self { mapping, range })
    }

    /// The whole file.
    pub fn whole(mapping: Mapping) -> Self {
        let range = 0..mapping.bytes().len();
        Self {
            mapping: Arc::new(mapping),
            range,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.mapping.bytes()[self.range.clone()]
    }

    /// See [`Mapping::prefetch`].
    pub fn prefetch(&self, range: Range<usize>) {
        self.mapping.prefetch(self.shifted(&range));
    }

    /// See [`Mapping::release`].
    pub fn release(&self, range: Range<usize>) {
        self.mapping.release(self.shifted(&range));
    }

    fn shifted(&self, range: &Range<usize>) -> Range<usize> {
        range.start + self.range.start..range.end + self.range.start
    }
}
