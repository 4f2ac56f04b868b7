//! Files that are either whole or not there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file under a temporary name in the same folder, syncs it and renames
/// it to `path`, so that `path` never holds half a file and an older file stays
/// until the new one is whole. Missing folders are made.
///
/// # Errors
/// What `write` returns, or the system's error (full disk, no permission) with
/// `path` named; the temporary file is removed.
pub fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let fail = |e| Error::io(path, e);
    let temporary = tempfile::Builder::new()
        .prefix(".nephos-")
        .permissions_like(path)
        .tempfile_in(folder_of(path)?)
        .map_err(fail)?;
    let (file, temporary) = temporary.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    write(&mut writer)?;
    writer.flush().map_err(fail)?;
    writer.get_ref().sync_all().map_err(fail)?;
    drop(writer);
    temporary.persist(path).map_err(|e| fail(e.error))
}

/// A file without a name in the folder that `path` is to be written to, for what
/// is kept until it can be written. It is gone with the process. Missing folders
/// are made.
///
/// # Errors
/// The system's, with `path` named.
pub(crate) fn spool(path: &Path) -> Result<File> {
    tempfile::tempfile_in(folder_of(path)?).map_err(|e| Error::io(path, e))
}

/// The folder of `path`, made where it is missing.
fn folder_of(path: &Path) -> Result<&Path> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
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
