//! Which model a result is from.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::Bytes;
use crate::error::Result;

/// Name and fingerprint of a model's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The file's name without its extension.
    pub name: String,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
}

impl Identity {
    /// Of the file at `path`, or of the weights that come with nephos under that name.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn of(path: &Path) -> Result<Self> {
        Ok(Self {
            name: (path.file_stem().unwrap_or_default().to_string_lossy()).into_owned(),
            sha256: Bytes::of(path)?.checked(|bytes| Ok(hex(&Sha256::digest(bytes))))?,
        })
    }
}

/// SHA-256 of a text, 64 hexadecimal digits.
pub fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_published_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nephos");
        std::fs::write(&path, "abc").unwrap();
        let identity = Identity::of(&path).unwrap();
        assert_eq!(identity.name, "a");
        // FIPS 180-2, appendix B.1.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(identity.sha256, digest);
        assert_eq!(fingerprint("abc"), digest);
    }
}
