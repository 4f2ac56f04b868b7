//! File formats of masks.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::{geotiff, numpy, png, world_file};
use crate::error::{Error, Result};
use crate::raster::Georeference;

/// Formats of masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskFormat {
    /// Cloud-Optimised GeoTIFF: uint8 with palette, 255 as no data, deflate.
    GeoTiff,
    /// PNG: 8 bits with palette, clear and 255 transparent.
    Png,
    /// NumPy array: uint8 `[height, width]`.
    Numpy,
}

impl MaskFormat {
    /// The format that the extension of `path` names: `.tif`, `.tiff`, `.png` or
    /// `.npy`.
    ///
    /// # Errors
    /// Another extension, or none.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.to_ascii_lowercase().as_str() {
            "tif" | "tiff" => Ok(Self::GeoTiff),
            "png" => Ok(Self::Png),
            "npy" => Ok(Self::Numpy),
            _ => Err(Error::unsupported(
                path.display(),
                "a mask's name ends in .tif, .png or .npy",
            )),
        }
    }

    /// What a mask of this format can't keep of the georeference: a sentence for the
    /// user, `None` where nothing is lost.
    pub fn georeference_loss(self, place: &Georeference) -> Option<String> {
        let placed = place.transform.is_some() || !place.points.is_empty() || !place.rpc.is_empty();
        match self {
            Self::Numpy if placed => Some(
                "The mask as .npy has no georeference: NumPy arrays have none. Write it as .tif or \
                 .png to keep it."
                    .to_owned(),
            ),
            Self::Png if placed && place.keys.is_some() && !world_file::has_system(place) => {
                Some(
                    "The mask as .png keeps its transform, but not its coordinate system, which \
                     has no EPSG code. Write it as .tif to keep it."
                        .to_owned(),
                )
            }
            _ => None,
        }
    }

    /// Files that belong to a mask of this format at `path`, whatever other outputs there are:
    /// `.aux.xml` with class names or georeference, the world file of a PNG.
    pub fn side_files(self, path: &Path) -> Vec<PathBuf> {
        match self {
            Self::GeoTiff => world_file::paths(path)[1..].to_vec(),
            Self::Png => world_file::paths(path).to_vec(),
            Self::Numpy => Vec::new(),
        }
    }

    /// The extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::GeoTiff => "tif",
            Self::Png => "png",
            Self::Numpy => "npy",
        }
    }
}

/// Writes a class mask `[height, width]` in the format of the file's extension;
/// GeoTIFF keeps the georeference, PNG in a world file (`.pgw`) and `.aux.xml` beside it,
/// NumPy has none. `path` never holds half a mask.
///
/// # Errors
/// An unknown extension, an empty mask, or the file can't be written.
pub fn write(path: &Path, mask: &Array2<u8>, place: Option<&Georeference>) -> Result<()> {
    let format = MaskFormat::of(path)?;
    if mask.is_empty() {
        return Err(Error::usage(format!(
            "{}: a mask without pixels",
            path.display()
        )));
    }
    match format {
        MaskFormat::GeoTiff => geotiff::write_mask(path, mask, place),
        MaskFormat::Png => {
            if let Some(place) = place {
                world_file::write(path, place)?;
            }
            png::write_mask(path, mask)
        }
        MaskFormat::Numpy => numpy::write(path, &mask.view()),
    }
}

/// Reads a class mask as [`write()`] writes it: codes, not colours.
///
/// # Errors
/// An unknown extension, a broken file, or one that does not hold one uint8 per
/// pixel.
pub fn read(path: &Path) -> Result<Array2<u8>> {
    match MaskFormat::of(path)? {
        MaskFormat::GeoTiff => geotiff::read_mask(path),
        MaskFormat::Png => png::read_mask(path),
        MaskFormat::Numpy => numpy::read_mask(path),
    }
}
