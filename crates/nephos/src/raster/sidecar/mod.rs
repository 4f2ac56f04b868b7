//! Files beside a raster with more metadata, as GDAL writes and reads them: `.aux.xml`
//! and `.msk`.

mod mask;
mod pam;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) use mask::MaskFile;
pub(crate) use pam::Pam;

/// A path with an ending more: `scene.tif` becomes `scene.tif.msk`.
fn appended(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}
