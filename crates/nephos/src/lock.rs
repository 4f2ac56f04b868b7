//! Locks on folders and files, one process at a time.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::output::{folder_of, is_at};

/// Times a lock is taken anew whose file another process removed in between.
const ATTEMPTS: usize = 100;

/// An exclusive lock, until it is dropped. The lock is the system's on an open
/// file, so that it is released with its process, however that ends; the file is removed by an
/// ordinary end, and the file of a killed process is not locked.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
    _file: File,
}

impl Lock {
    /// Takes the lock whose file is `path`; `None` where another process or thread has it.
    /// Missing folders are made.
    ///
    /// Where the file system has no locks, nothing is locked.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        let fail = |e| Error::io(path, e);
        let folder = folder_of(path);
        let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made: Vec<PathBuf> = (folder.ancestors().take_while(is_new))
            .map(Path::to_owned)
            .collect();
        for _ in 0..ATTEMPTS {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
            let opened = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path);
            let file = match opened {
                Ok(file) => file,
                // The previous owner has just removed the folder.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(fail(e)),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(fail(e)),
            }
            // The previous owner may have removed the file after it was opened here: a lock
            // on that excludes no process.
            if is_at(&file, path) {
                return Ok(Some(Self {
                    path: path.to_owned(),
                    made,
                    _file: file,
                }));
            }
        }
        Ok(None)
    }
}

impl Drop for Lock {
    /// The file goes while it is still locked, and folders that were made for it where
    /// nothing was written to them.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        for folder in &self.made {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_folder_is_not_locked_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/one/.lock");
        let lock = Lock::take(&path).unwrap();
        assert!(lock.is_some());
        assert!(Lock::take(&path).unwrap().is_none());
        assert!(
            Lock::take(&path.with_file_name(".other"))
                .unwrap()
                .is_some()
        );
        drop(lock);
        assert!(
            !folder.path().join("runs").exists(),
            "nothing was written to it"
        );
        // A file that a killed process left locks nothing.
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(Lock::take(&path).unwrap().is_some());
        assert!(path.parent().unwrap().exists(), "it was there before");
    }

    #[cfg(unix)]
    #[test]
    fn a_removed_file_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path));
        std::fs::write(&path, "").unwrap();
        assert!(!is_at(&file, &path));
    }
}
