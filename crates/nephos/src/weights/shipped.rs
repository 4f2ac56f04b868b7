//! Weights that come with nephos: they are named where a file is named otherwise.

use std::ops::Deref;
use std::path::Path;

use crate::error::Result;
use crate::raster::Mapping;

/// A trained model inside the library.
#[derive(Debug)]
pub struct Shipped {
    /// What it is called in place of a path.
    pub name: &'static str,
    /// Its bundle.
    pub bytes: &'static [u8],
    /// Its model card (Mitchell et al. 2019, doi:10.1145/3287560.3287596): data, licence,
    /// what was measured, where it fails; Markdown.
    pub card: &'static str,
}

/// The model that is used where none is named.
pub static TINY: Shipped = Shipped {
    name: "tiny",
    bytes: include_bytes!("../../../../weights/tiny.nephos"),
    card: include_str!("../../../../weights/tiny.md"),
};

impl Shipped {
    /// The model that `path` names, unless there is a file of that name.
    pub fn find(path: &Path) -> Option<&'static Self> {
        (path.as_os_str() == TINY.name && !path.is_file()).then_some(&TINY)
    }
}

/// The bytes of a file of weights, mapped, so that unused parts are not read; or of
/// weights that come with nephos.
pub struct Bytes(Source);

enum Source {
    File(Box<Mapping>),
    Shipped(&'static [u8]),
}

impl Bytes {
    /// What `path` names.
    ///
    /// # Errors
    /// There is neither a file nor a model of that name, or the file can't be read or is
    /// empty.
    pub fn of(path: &Path) -> Result<Self> {
        Ok(Self(match Shipped::find(path) {
            Some(shipped) => Source::Shipped(shipped.bytes),
            None => Source::File(Box::new(Mapping::open(path)?)),
        }))
    }

    /// What `read` makes of the bytes, or that the file was cut meanwhile.
    ///
    /// # Errors
    /// That, or what `read` returns.
    pub fn checked<T>(&self, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        match &self.0 {
            Source::File(mapping) => mapping.checked(read),
            Source::Shipped(bytes) => read(bytes),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::File(mapping) => mapping.bytes(),
            Source::Shipped(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Bundle, Identity};

    #[test]
    fn the_shipped_model_is_found_by_its_name_alone() {
        let path = Path::new("tiny");
        let bundle = Bundle::load(path).unwrap();
        assert_eq!(bundle.config.name, "tiny");
        assert!(TINY.bytes.len() <= 8 << 20, "at most 8 MB");
        let identity = Identity::of(path).unwrap();
        assert_eq!(
            (identity.name.as_str(), identity.sha256.len()),
            ("tiny", 64)
        );
        assert!(Shipped::find(Path::new("other")).is_none());
        assert!(Shipped::find(Path::new("./tiny")).is_none());
    }

    #[test]
    fn the_card_is_of_these_weights() {
        let digest = Identity::of(Path::new("tiny")).unwrap().sha256;
        assert!(TINY.card.contains(&digest), "the card names {digest}");
    }
}
