//! PNG and JPEG pictures: `red`, `green`, `blue`, or one channel `gray`.

mod scans;
pub(crate) mod whole;

use std::io::Cursor;
use std::path::Path;

use image::{ColorType, DynamicImage, ImageDecoder, ImageReader};
use ndarray::Array3;

use super::DType;
use crate::error::{Error, Result};
use crate::raster::format::RasterHeader;

/// A decoded picture.
pub(crate) struct Picture {
    pub header: RasterHeader,
    /// Pixel by pixel, channel fastest.
    pub samples: Vec<u16>,
    /// Whether each pixel is visible; `None` where the picture has no transparency.
    pub visible: Option<Vec<bool>>,
    /// Whether colours are from a palette.
    pub palette: bool,
}

/// Type, size and channels of a picture; transparency is no channel.
pub(crate) fn header(path: &Path) -> Result<RasterHeader> {
    let reader = ImageReader::open(path).map_err(|e| Error::io(path, e))?;
    header_of(path, reader)
}

fn header_of<R: std::io::BufRead + std::io::Seek>(
    path: &Path,
    reader: ImageReader<R>,
) -> Result<RasterHeader> {
    let reader = reader
        .with_guessed_format()
        .map_err(|e| Error::io(path, e))?;
    let decoder = reader.into_decoder().map_err(|e| broken(path, e))?;
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

/// The chosen channels in stored numbers, 0 to 255 or 65535; NaN where the picture is
/// transparent.
pub(crate) fn read(path: &Path, channels: &[usize]) -> Result<Array3<f32>> {
    Ok(decode(path)?.channels(channels))
}

/// All channels, little-endian, one after the other.
pub(crate) fn read_raw(path: &Path) -> Result<(RasterHeader, Vec<u8>)> {
    let Picture {
        header, samples, ..
    } = decode(path)?;
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

impl Picture {
    pub fn channels(&self, channels: &[usize]) -> Array3<f32> {
        let [count, h, w] = self.header.shape;
        Array3::from_shape_fn((channels.len(), h, w), |(c, row, col)| {
            let pixel = row * w + col;
            match self.visible.as_ref().is_none_or(|visible| visible[pixel]) {
                true => f32::from(self.samples[pixel * count + channels[c]]),
                false => f32::NAN,
            }
        })
    }
}

/// Reads a whole picture.
///
/// # Errors
/// It can't be read, is cut off or broken.
pub(crate) fn decode(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    whole::check(path, &bytes)?;
    let reader = || ImageReader::new(Cursor::new(&bytes[..]));
    let header = header_of(path, reader())?;
    let picture = (reader().with_guessed_format())
        .map_err(|e| Error::io(path, e))?
        .decode()
        .map_err(|e| broken(path, e))?;
    let visible = visible(&picture);
    let to_u16 = |bytes: Vec<u8>| bytes.into_iter().map(u16::from).collect();
    let samples: Vec<u16> = match (header.dtype, header.shape[0]) {
        (DType::U16, 1) => picture.into_luma16().into_raw(),
        (DType::U16, _) => picture.into_rgb16().into_raw(),
        (_, 1) => to_u16(picture.into_luma8().into_raw()),
        (_, _) => to_u16(picture.into_rgb8().into_raw()),
    };
    let [count, height, width] = header.shape;
    let pixels = height * width;
    if samples.len() != count * pixels || visible.as_ref().is_some_and(|v| v.len() != pixels) {
        return Err(Error::format(
            path,
            "another number of pixels than its header says",
        ));
    }
    Ok(Picture {
        header,
        samples,
        visible,
        palette: has_palette(&bytes),
    })
}

/// Which pixels are not wholly transparent.
fn visible(picture: &DynamicImage) -> Option<Vec<bool>> {
    Some(match picture {
        DynamicImage::ImageLumaA8(p) => p.pixels().map(|p| p.0[1] != 0).collect(),
        DynamicImage::ImageRgba8(p) => p.pixels().map(|p| p.0[3] != 0).collect(),
        DynamicImage::ImageLumaA16(p) => p.pixels().map(|p| p.0[1] != 0).collect(),
        DynamicImage::ImageRgba16(p) => p.pixels().map(|p| p.0[3] != 0).collect(),
        _ => return None,
    })
}

/// Whether a file is a PNG with a palette: its header has colour type 3.
fn has_palette(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x89, b'P', b'N', b'G']) && bytes.get(25) == Some(&3)
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
