//! Temporary files of killed runs.
//!
//! The process that writes a temporary file holds the system's lock on it, which ends with the
//! process. So a file that can be locked is abandoned, on this machine or on another
//! that shares the folder.

use std::fs::{self, File};
use std::path::Path;

/// How the names of temporary files begin.
pub(super) const PREFIX: &str = ".nephos-";
/// Letters and digits after that, as the library of temporary files has them.
const RANDOM: usize = 6;

/// Removes the temporary files that killed runs left in `folder`; those of running
/// processes stay. What can't be removed stays too.
pub fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = (name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
        let is_temporary = random.is_some_and(|random| {
            random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if is_temporary {
            let path = entry.path();
            // The file is removed under its lock.
            if let Some(_lock) = abandoned(&path) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// The file at `path`, locked, where no process holds its lock; `None` where one
/// does, where it is no plain file, or where the file system has no locks.
pub fn abandoned(path: &Path) -> Option<File> {
    if !fs::symlink_metadata(path).is_ok_and(|entry| entry.is_file()) {
        return None;
    }
    let file = File::options().read(true).write(true).open(path).ok()?;
    (file.try_lock().is_ok() && is_at(&file, path)).then_some(file)
}

/// Whether `path` still names the open `file`, which another process may have removed or
/// replaced before it could be locked.
pub fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
            return false;
        };
        (open.dev(), open.ino()) == (named.dev(), named.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unlocked_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in [
            ".nephos-Ab3xY9",
            ".nephos-held00",
            ".nephos-settings",
            "a.tif",
        ] {
            fs::write(path(name), "x").unwrap();
        }
        let held = File::open(path(".nephos-held00")).unwrap();
        held.lock().unwrap();
        remove_leftovers(folder.path());
        let left = |name: &str| path(name).exists();
        assert!(!left(".nephos-Ab3xY9"));
        assert!(left(".nephos-held00") && left(".nephos-settings") && left("a.tif"));
        drop(held);
        remove_leftovers(folder.path());
        assert!(!left(".nephos-held00"));
    }
}
