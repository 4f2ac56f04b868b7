//! Which file format a mask gets.

use std::path::Path;

use ndarray::Array2;

use super::{geotiff, numpy, png};
use crate::error::{Error, Result};
use crate::scene::Georeference;

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
/// only GeoTIFF keeps the georeference. `path` never holds half a mask.
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
        MaskFormat::Png => png::write_mask(path, mask),
        MaskFormat::Numpy => numpy::write(path, &mask.view()),
    }
}

/// Reads a class mask as [`write()`] writes it: codes, not colours.
///
/// # Errors
/// An unknown extension, a broken file, or one that does not hold one uint8 a
/// pixel.
pub fn read(path: &Path) -> Result<Array2<u8>> {
    match MaskFormat::of(path)? {
        MaskFormat::GeoTiff => geotiff::read_mask(path),
        MaskFormat::Png => png::read_mask(path),
        MaskFormat::Numpy => numpy::read_mask(path),
    }
}
