//! Files that are either whole or not there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::leftovers::{PREFIX, is_at};
use crate::error::{Error, Result};

/// Writes a file under a temporary name in the same folder, syncs it and renames
/// it to `path`, so that `path` never holds half a file and an older file stays
/// until the new one is whole. Missing folders are made. The temporary file is locked as
/// long as it has that name, and is removed later where it was left.
///
/// # Errors
/// What `write` returns, or the system's error (full disk, no permission) with
/// `path` named; the temporary file is removed.
pub fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let fail = |e| Error::io(path, e);
    let (file, temporary) = temporary(made_folder(path)?, path)
        .map_err(fail)?
        .into_parts();
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    write(&mut writer)?;
    writer.flush().map_err(fail)?;
    writer.get_ref().sync_all().map_err(fail)?;
    temporary.persist(path).map_err(|e| fail(e.error))
}

/// A locked temporary file in `folder` with the permissions of `path`.
fn temporary(folder: &Path, path: &Path) -> io::Result<NamedTempFile> {
    loop {
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions_like(path)
            .tempfile_in(folder)?;
        // On a file system without locks no file counts as abandoned either.
        let _ = temporary.as_file().lock();
        // Another process that cleans the folder may have been first.
        if is_at(temporary.as_file(), temporary.path()) {
            return Ok(temporary);
        }
    }
}

/// A file without a name in the folder that `path` is to be written to, for data that
/// is spooled until it can be written. It is gone with the process. Missing folders
/// are made.
///
/// # Errors
/// The system's, with `path` named.
pub(crate) fn spool(path: &Path) -> Result<File> {
    tempfile::tempfile_in(made_folder(path)?).map_err(|e| Error::io(path, e))
}

/// The folder of `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The folder of `path`, made where it is missing.
fn made_folder(path: &Path) -> Result<&Path> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| Error::io(path, e))?;
    Ok(folder)
}

/// Gives a temporary file the permissions an ordinary new file would have: the
/// default of the temporary-file library is readable by the owner only.
trait PermissionsLike {
    fn permissions_like(&mut self, path: &Path) -> &mut Self;
}

impl PermissionsLike for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_like(&mut self, path: &Path) -> &mut Self {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask still applies to a new file.
        let mode = std::fs::metadata(path).map_or(0o666, |m| m.permissions().mode());
        self.permissions(std::fs::Permissions::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn permissions_like(&mut self, _path: &Path) -> &mut Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/a.txt");
        write_atomic(&path, |w| {
            w.write_all(b"old").map_err(|e| Error::io(&path, e))
        })
        .unwrap();
        let failed = write_atomic(&path, |w| {
            w.write_all(b"half").map_err(|e| Error::io(&path, e))?;
            Err(Error::usage("stopped"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }
}
