//! Pictures as files.

use std::io::{Cursor, Write};
use std::path::Path;

use image::{ImageFormat, RgbImage};

use crate::error::{Error, Result};
use crate::output;

/// Writes a picture as PNG; `path` never holds half of one.
///
/// # Errors
/// The file can't be written.
pub fn save_png(path: &Path, picture: &RgbImage) -> Result<()> {
    let mut png = Cursor::new(Vec::new());
    (picture.write_to(&mut png, ImageFormat::Png))
        .map_err(|error| Error::unsupported(path.display(), error.to_string()))?;
    let png = output::with_software(png.get_ref());
    output::write_atomic(path, |writer| {
        writer.write_all(&png).map_err(|e| Error::io(path, e))
    })
}
