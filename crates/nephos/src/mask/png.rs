//! Masks as PNG with a palette.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ndarray::Array2;
use png::{BitDepth, ColorType, Decoder, Encoder, EncodingError, Transformations};

use super::palette::{opacities, palette};
use crate::error::{Error, Result};
use crate::output;

pub(super) fn write_mask(path: &Path, mask: &Array2<u8>) -> Result<()> {
    let (height, width) = mask.dim();
    let side = |pixels: usize| {
        u32::try_from(pixels)
            .map_err(|_| Error::limits(path.display(), "more than 2³² − 1 pixels on a side"))
    };
    let (columns, rows) = (side(width)?, side(height)?);
    let codes: Vec<u8> = mask.iter().copied().collect();
    let fail = |error: EncodingError| match error {
        EncodingError::IoError(error) => Error::io(path, error),
        other => Error::unsupported(path.display(), other.to_string()),
    };
    output::write_atomic(path, |writer| {
        let mut encoder = Encoder::new(writer, columns, rows);
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_palette(palette().concat());
        encoder.set_trns(opacities().to_vec());
        (encoder.add_text_chunk("Software".to_owned(), "nephos".to_owned())).map_err(fail)?;
        let mut writer = encoder.write_header().map_err(fail)?;
        writer.write_image_data(&codes).map_err(fail)?;
        writer.finish().map_err(fail)
    })
}

/// The palette of a PNG of 8 bits, red, green and blue of each code; `None` where it has
/// none or is broken.
pub(super) fn colours(path: &Path) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(BufReader::new(File::open(path).ok()?));
    let info = decoder.read_header_info().ok()?;
    if info.color_type != ColorType::Indexed || info.bit_depth != BitDepth::Eight {
        return None;
    }
    let reader = decoder.read_info().ok()?;
    reader
        .info()
        .palette
        .as_ref()
        .map(|palette| palette.to_vec())
}

pub(super) fn read_mask(path: &Path) -> Result<Array2<u8>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let broken = |e: &dyn std::fmt::Display| Error::format(path, e.to_string());
    let mut decoder = Decoder::new(BufReader::new(file));
    // Without this, codes would be turned into colours.
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|e| broken(&e))?;
    let (colour, depth) = reader.output_color_type();
    if !matches!(colour, ColorType::Indexed | ColorType::Grayscale) || depth != BitDepth::Eight {
        let message = format!(
            "expected 8 bits a pixel with a palette or grey, got {colour:?} of {depth:?} bits"
        );
        return Err(Error::format(path, message));
    }
    let info = reader.info();
    let shape = (info.height as usize, info.width as usize);
    let bytes = reader
        .output_buffer_size()
        .ok_or_else(|| Error::limits(path.display(), "too large for this machine"))?;
    let mut codes = vec![0; bytes];
    let frame = reader.next_frame(&mut codes).map_err(|e| broken(&e))?;
    codes.truncate(frame.buffer_size());
    Array2::from_shape_vec(shape, codes).map_err(|e| broken(&e))
}
