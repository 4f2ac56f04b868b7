//! Read-only files mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

#[cfg(unix)]
use super::fault_guard::FaultGuard;
use crate::error::{Error, Result};

/// A whole file, mapped; an empty file is refused.
///
/// A file that is cut while it is mapped reads as zeros past its end:
/// [`Mapping::checked`] makes an error of that.
pub(crate) struct Mapping {
    path: PathBuf,
    file: File,
    /// Dropped before the map.
    #[cfg(unix)]
    guard: FaultGuard,
    map: Mmap,
}

impl Mapping {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::of_file(path, file)
    }

    /// An open file, which messages call `path`.
    pub fn of_file(path: &Path, file: File) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(Error::format(path, "a folder, where a file is expected"));
        }
        if metadata.len() == 0 {
            return Err(Error::format(path, "the file is empty"));
        }
        // SAFETY: the map is read-only, and a file that is cut while it is read is noticed,
        // see `fault_guard`.
        let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
        // Headers are megabytes apart: reading ahead would read the numbers.
        #[cfg(unix)]
        let _ = map.advise(memmap2::Advice::Random);
        Ok(Self {
            path: path.to_owned(),
            file,
            #[cfg(unix)]
            guard: FaultGuard::over(&map),
            map,
        })
    }

    /// The bytes; see [`Self::checked`].
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// What `read` makes of the file, or that it was cut meanwhile.
    pub fn checked<T>(&self, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let result = read(&self.map);
        self.intact()?;
        result
    }

    /// Refuses a file that has become shorter since it was mapped.
    ///
    /// # Errors
    /// It has, or a part of it could not be read.
    pub fn intact(&self) -> Result<()> {
        let length = (self.file.metadata())
            .map_err(|e| Error::io(&self.path, e))?
            .len();
        let mapped = self.map.len() as u64;
        if length < mapped {
            let message =
                format!("the file was cut from {mapped} to {length} bytes while it was read");
            return Err(Error::format(&self.path, message));
        }
        #[cfg(unix)]
        if self.guard.has_faulted() {
            let message = "a part of the file could not be read: it was cut meanwhile, or the \
                           disk failed";
            return Err(Error::format(&self.path, message));
        }
        Ok(())
    }

    /// Releases the pages of `range`, so that a walk through a large file does
    /// not count as memory in use; they are read again when touched again.
    pub fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if !range.is_empty() {
            // SAFETY: the map is read-only and of a file, so that dropped pages
            // come back with the same content.
            let _ = unsafe {
                self.map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    range.start,
                    range.len(),
                )
            };
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Prefetches the pages of `range`.
    pub fn prefetch(&self, range: Range<usize>) {
        #[cfg(unix)]
        if !range.is_empty() {
            let _ = (self.map).advise_range(memmap2::Advice::WillNeed, range.start, range.len());
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

    /// See [`Mapping::checked`].
    pub fn checked<T>(&self, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        self.mapping
            .checked(|bytes| read(&bytes[self.range.clone()]))
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn truncating_a_mapped_file_is_an_error_of_that_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["cut", "whole"] {
            std::fs::write(at(name), vec![7; 100_000]).unwrap();
        }
        let (cut, whole) = (
            Mapping::open(&at("cut")).unwrap(),
            Mapping::open(&at("whole")).unwrap(),
        );
        let sum = |bytes: &[u8]| Ok(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        assert_eq!(cut.checked(sum).unwrap(), 700_000);
        let file = File::options().write(true).open(at("cut")).unwrap();
        file.set_len(5000).unwrap();
        cut.release(0..100_000);
        let error = cut.checked(sum).unwrap_err().to_string();
        assert!(error.contains("cut from 100000 to 5000 bytes"), "{error}");
        // Also where it grows again, from several threads.
        file.set_len(100_000).unwrap();
        let read = || {
            let error = cut.checked(sum).unwrap_err().to_string();
            assert!(error.contains("could not be read"), "{error}");
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(read))));
        assert_eq!(whole.checked(sum).unwrap(), 700_000);
        // The place of a mapping that is gone serves the next.
        drop(cut);
        assert_eq!(
            Mapping::open(&at("cut"))
                .unwrap()
                .checked(|b| Ok(b.len()))
                .unwrap(),
            100_000
        );
    }
}
