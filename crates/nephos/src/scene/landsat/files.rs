//! Finding a product's metadata and band files.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Names of files in a folder that are listed; a product has some 20.
const MOST_FILES: usize = 4096;

/// Endings of metadata files, in lower case.
const METADATA: [&str; 3] = ["_mtl.txt", "_mtl.json", "_mtl.xml"];

/// A product's folder.
pub struct Folder {
    path: PathBuf,
    names: Vec<String>,
}

impl Folder {
    /// Lists the files of a folder.
    pub fn list(path: &Path) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
                names.push(name.to_owned());
            }
            if names.len() > MOST_FILES {
                let message =
                    format!("more than {MOST_FILES} files; a Landsat folder has one product");
                return Err(Error::limits(path.display(), message));
            }
        }
        names.sort();
        Ok(Self {
            path: path.to_owned(),
            names,
        })
    }

    /// The metadata file; the text form goes before JSON, that before XML. `None` where
    /// there is none.
    pub fn metadata(&self) -> Result<Option<PathBuf>> {
        for ending in METADATA {
            if let Some(path) = self.one(|name| name.ends_with(ending), "a metadata file")? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// The file of a band: the one that the metadata name, or else the one that ends in
    /// `_B4.TIF` (`_SR_B4.TIF` for a `source` of that name), as files are often renamed.
    pub fn band(&self, declared: Option<&str>, source: &str) -> Result<Option<PathBuf>> {
        if let Some(declared) = declared
            && self.names.iter().any(|name| name == declared)
        {
            return Ok(Some(self.path.join(declared)));
        }
        let ending = format!("_{}.tif", source.to_ascii_lowercase());
        // `B4` of Level-1, not of the Level-2 product that may be beside it.
        let other = [format!("_sr{ending}"), format!("_st{ending}")];
        let fits = |name: &str| {
            name.ends_with(&ending) && !other.iter().any(|other| name.ends_with(other.as_str()))
        };
        self.one(fits, &format!("a file for band {source}"))
    }

    /// The one file whose name, in lower case, fits.
    fn one(&self, fits: impl Fn(&str) -> bool, what: &str) -> Result<Option<PathBuf>> {
        let mut found = (self.names.iter()).filter(|name| fits(&name.to_ascii_lowercase()));
        match (found.next(), found.next()) {
            (Some(first), Some(second)) => Err(Error::format(
                &self.path,
                format!(
                    "two files could be {what}: {first} and {second}; keep one product per folder"
                ),
            )),
            (first, _) => Ok(first.map(|name| self.path.join(name))),
        }
    }
}

/// Whether `path` is a Landsat metadata file, or a folder with one.
pub fn is_landsat(path: &Path) -> bool {
    let metadata_name = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_lowercase();
        METADATA.iter().any(|ending| name.ends_with(ending))
    };
    match path.is_dir() {
        true => std::fs::read_dir(path)
            .is_ok_and(|entries| entries.flatten().any(|entry| metadata_name(&entry.path()))),
        false => metadata_name(path),
    }
}
