//! One process a scene, whatever their number on one output folder.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The right to write one mask. The lock is the system's on an open file, so that
/// it goes with its process, however that ends.
pub struct Claim {
    path: PathBuf,
    _lock: File,
}

impl Claim {
    /// Claims `mask`; `None` where another process or thread has it.
    pub fn take(mask: &Path) -> anyhow::Result<Option<Self>> {
        let name = mask.file_name().unwrap_or_default().to_string_lossy();
        let path = mask.with_file_name(format!(".{name}.lock"));
        let folder = mask.parent().unwrap_or(Path::new("."));
        let context = || format!("{}: the lock of {}", path.display(), mask.display());
        if !folder.as_os_str().is_empty() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(context)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(context),
        }
    }
}

impl Drop for Claim {
    /// The file goes while it is still locked. Who waited on the old file finds the
    /// scene done, or, where it failed, tries it again: masks are renamed whole, so
    /// that two at work on one scene cost time but break nothing.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_mask_is_not_claimed_again() {
        let folder = tempfile::tempdir().unwrap();
        let mask = folder.path().join("out/a.tif");
        let claim = Claim::take(&mask).unwrap();
        assert!(claim.is_some());
        assert!(Claim::take(&mask).unwrap().is_none());
        assert!(
            Claim::take(&mask.with_file_name("b.tif"))
                .unwrap()
                .is_some()
        );
        drop(claim);
        assert!(Claim::take(&mask).unwrap().is_some());
        assert_eq!(mask.parent().unwrap().read_dir().unwrap().count(), 0);
    }
}
