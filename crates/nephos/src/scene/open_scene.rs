//! Which reader a scene gets.

use std::path::Path;

use super::open::first_bytes;
use super::picture_scene::PictureScene;
use super::raster::RasterFormat;
use super::raster_scene::RasterScene;
use super::{LandsatScene, SafeScene, Scene, SceneOptions, landsat, safe};
use crate::error::{Error, Result};

/// What can be opened, for messages.
#[cfg(not(feature = "gdal"))]
const SUPPORTED: &str = "scenes are read from a GeoTIFF, a folder of GeoTIFFs with one band \
     each, a Sentinel-2 SAFE folder or its zip, a Landsat Collection 2 folder with its MTL file, a \
     PNG or JPEG";

/// What a path holds, judged by the names in a folder and the first bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SceneKind {
    Sentinel2,
    Landsat,
    Tiff,
    TiffFolder,
    Picture,
    /// Anything else; a build with the feature `gdal` asks GDAL.
    Other,
}

/// Opens a scene: a GeoTIFF, a folder of GeoTIFFs with one band each, a Sentinel-2
/// SAFE folder or its zip, a Landsat folder or the MTL file in it, a PNG or JPEG.
///
/// # Errors
/// The path is not there, or its format is unknown or broken; options that the
/// format does not take.
pub fn open_scene(path: &Path, options: &SceneOptions) -> Result<Box<dyn Scene>> {
    Ok(match kind(path)? {
        SceneKind::Sentinel2 => Box::new(SafeScene::open(path, options)?),
        SceneKind::Landsat => Box::new(LandsatScene::open(path, options)?),
        SceneKind::Tiff => {
            one_grid(path, options)?;
            Box::new(RasterScene::open_file(path, options)?)
        }
        SceneKind::TiffFolder => {
            one_grid(path, options)?;
            Box::new(RasterScene::open_folder(path, options)?)
        }
        SceneKind::Picture => {
            one_grid(path, options)?;
            Box::new(PictureScene::open(path, options)?)
        }
        #[cfg(feature = "gdal")]
        SceneKind::Other => {
            one_grid(path, options)?;
            Box::new(super::GdalScene::open(path, options)?)
        }
        #[cfg(not(feature = "gdal"))]
        SceneKind::Other => {
            return Err(Error::unsupported(
                path.display(),
                format!(
                    "an unknown format; {SUPPORTED}. A build with `--features gdal` reads what \
                     GDAL reads"
                ),
            ));
        }
    })
}

fn kind(path: &Path) -> Result<SceneKind> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if safe::is_product(path) {
        return Ok(SceneKind::Sentinel2);
    }
    if landsat::is_landsat(path) {
        return Ok(SceneKind::Landsat);
    }
    if metadata.is_dir() {
        return Ok(SceneKind::TiffFolder);
    }
    let magic = first_bytes(path)?;
    if magic.is_empty() {
        return Err(Error::format_at(path, 0, "the file is empty"));
    }
    Ok(match RasterFormat::of(&magic) {
        Some(RasterFormat::Tiff) => SceneKind::Tiff,
        Some(RasterFormat::Picture) => SceneKind::Picture,
        None => SceneKind::Other,
    })
}

/// Refuses a resolution for a format that has but one.
fn one_grid(path: &Path, options: &SceneOptions) -> Result<()> {
    match options.resolution {
        None => Ok(()),
        Some(_) => Err(Error::usage(format!(
            "{}: --resolution is for products whose bands have several, as Sentinel-2's; this \
             raster is read as it is",
            path.display()
        ))),
    }
}
