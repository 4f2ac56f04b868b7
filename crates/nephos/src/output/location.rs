//! Identity of the file that a path names, however it is spelt.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};

/// Where a path leads: two that are equal are one file.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// Absolute, without `.`, `..` and, as far as there is something, links.
    pub real: PathBuf,
    /// The system's identifier of the file; `None` where there is none yet.
    pub id: Option<FileId>,
}

/// Device and number of a file; the same for all its hard links.
pub(super) type FileId = (u64, u64);

impl Location {
    pub fn of(path: &Path) -> Self {
        Self {
            real: real(path),
            id: fs::metadata(path).ok().as_ref().and_then(file_id),
        }
    }

    /// Whether both are one file, or would be.
    pub fn is(&self, other: &Self) -> bool {
        if self.real == other.real || self.id.is_some() && self.id == other.id {
            return true;
        }
        // Names that differ by case alone, in a folder where that makes no difference.
        let folded = |path: &Path| path.to_string_lossy().to_lowercase();
        self.id.is_none()
            && other.id.is_none()
            && folded(&self.real) == folded(&other.real)
            && ignores_case(&self.real)
    }
}

/// The system's identifier of a file, where it has one.
#[cfg(unix)]
pub(super) fn file_id(metadata: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(super) fn file_id(_: &Metadata) -> Option<FileId> {
    None
}

/// As [`Path::canonicalize`], but of a path that need not be there.
pub(super) fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut there = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                there.pop();
            }
            Component::CurDir => {}
            part => there.push(part),
        }
        // Links are followed in place, so that `..` after one is right.
        if let Ok(real) = there.canonicalize() {
            there = real;
        }
    }
    there
}

/// Whether the file system takes `A` for `a` in the folder of `path`, tested with a folder
/// on its path that exists.
fn ignores_case(path: &Path) -> bool {
    let Some(folder) = path.ancestors().skip(1).find(|folder| folder.is_dir()) else {
        return false;
    };
    folder.ancestors().any(|folder| {
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        let turned: String = (name.chars())
            .map(|c| match c.is_lowercase() {
                true => c.to_ascii_uppercase(),
                false => c.to_ascii_lowercase(),
            })
            .collect();
        let id = |path: &Path| fs::metadata(path).ok().as_ref().and_then(file_id);
        turned != name
            && id(folder)
                .is_some_and(|own| id(&folder.with_file_name(OsString::from(turned))) == Some(own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_file_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("a.tif"), "a").unwrap();
        fs::write(root.join("b.tif"), "b").unwrap();
        let is = |a: &str, b: &str| Location::of(&root.join(a)).is(&Location::of(&root.join(b)));
        assert!(
            is("a.tif", "sub/../a.tif") && is("a.tif", "./a.tif") && is("a.tif", "sub//../a.tif")
        );
        assert!(!is("a.tif", "b.tif"));
        // Of files that are not there yet, in folders that may not be either.
        assert!(is("new/x.tif", "sub/../new/./x.tif") && is("new/../x.tif", "x.tif"));
        assert!(!is("new/x.tif", "x.tif"));
        #[cfg(unix)]
        {
            fs::hard_link(root.join("a.tif"), root.join("hard.tif")).unwrap();
            std::os::unix::fs::symlink(root.join("a.tif"), root.join("soft.tif")).unwrap();
            std::os::unix::fs::symlink(root, root.join("sub/up")).unwrap();
            assert!(is("a.tif", "hard.tif") && is("a.tif", "soft.tif"));
            assert!(is("hard.tif", "soft.tif") && is("sub/up/a.tif", "a.tif"));
            assert!(is("sub/up/new.tif", "new.tif") && is("sub/up/../new.tif", "../new.tif"));
        }
    }
}
