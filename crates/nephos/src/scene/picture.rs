//! PNG and JPEG pictures: `red`, `green`, `blue`, or one channel `gray`.

use std::path::Path;

use image::{ColorType, ImageDecoder, ImageReader};
use ndarray::Array3;

use super::DType;
use super::raster::RasterHeader;
use crate::error::{Error, Result};

/// Type, size and channels of a picture; transparency is left out.
pub(crate) fn header(path: &Path) -> Result<RasterHeader> {
    let decoder = reader(path)?.into_decoder().map_err(|e| broken(path, e))?;
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let names: &[&str] = if colour.has_color() {
        &["red", "green", "blue"]
    } else {
        &["gray"]
    };
    Ok(RasterHeader {
        dtype: match colour {
            ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => DType::U16,
            _ => DType::U8,
        },
        shape: [names.len(), height as usize, width as usize],
        names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
    })
}

/// The chosen channels in stored numbers, 0 to 255 or 65535.
pub(crate) fn read(path: &Path, channels: &[usize]) -> Result<Array3<f32>> {
    let (header, samples) = decode(path)?;
    let [count, h, w] = header.shape;
    Ok(Array3::from_shape_fn(
        (channels.len(), h, w),
        |(c, row, col)| f32::from(samples[(row * w + col) * count + channels[c]]),
    ))
}

/// All channels, little-endian, one after the other.
pub(crate) fn read_raw(path: &Path) -> Result<(RasterHeader, Vec<u8>)> {
    let (header, samples) = decode(path)?;
    let count = header.shape[0];
    let mut raw = Vec::with_capacity(samples.len() * header.dtype.size());
    for channel in 0..count {
        let plane = samples.iter().skip(channel).step_by(count);
        match header.dtype {
            DType::U16 => raw.extend(plane.flat_map(|v| v.to_le_bytes())),
            _ => raw.extend(plane.map(|v| *v as u8)),
        }
    }
    Ok((header, raw))
}

/// The picture's numbers, pixel by pixel, channel fastest.
fn decode(path: &Path) -> Result<(RasterHeader, Vec<u16>)> {
    let header = header(path)?;
    let picture = reader(path)?.decode().map_err(|e| broken(path, e))?;
    let widen = |bytes: Vec<u8>| bytes.into_iter().map(u16::from).collect();
    let samples: Vec<u16> = match (header.dtype, header.shape[0]) {
        (DType::U16, 1) => picture.into_luma16().into_raw(),
        (DType::U16, _) => picture.into_rgb16().into_raw(),
        (_, 1) => widen(picture.into_luma8().into_raw()),
        (_, _) => widen(picture.into_rgb8().into_raw()),
    };
    if samples.len() != header.shape.iter().product::<usize>() {
        return Err(Error::format(path, "the picture changed while it was read"));
    }
    Ok((header, samples))
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|e| Error::io(path, e))
}

fn broken(path: &Path, error: image::ImageError) -> Error {
    match error {
        image::ImageError::IoError(source)
            if source.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            Error::io(path, source)
        }
        image::ImageError::Limits(e) => Error::limits(path.display(), e.to_string()),
        image::ImageError::Unsupported(e) => Error::unsupported(path.display(), e.to_string()),
        other => Error::format(path, other.to_string()),
    }
}
