//! Read-only files mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A whole file, mapped; an empty file is refused.
pub(crate) struct Mapping(Mmap);

impl Mapping {
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let file = File::open(path).map_err(fail)?;
        if file.metadata().map_err(fail)?.len() == 0 {
            return Err(Error::format(path, "the file is empty"));
        }
        // SAFETY: the map is read-only. Another process that cuts the file
        // while it is read stops us with SIGBUS, never with a wrong read.
        let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
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
}
