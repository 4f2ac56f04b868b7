//! GeoTIFF rasters with named bands.
//!
//! Read with `tiff-reader`, the layer below `geotiff-reader`, which refuses
//! files without a georeference: training patches often have none.

use std::path::Path;

use ndarray::Array3;
use tiff_reader::{Ifd, TiffError, TiffFile};

use super::DType;
use super::array::{ArrayLayout, ElementType, SampleLayout};
use super::raster::RasterHeader;
use crate::error::{Error, Result};

/// Where GDAL keeps what has no TIFF tag of its own, as XML.
const GDAL_METADATA: u16 = 42112;
/// Images after the first are overviews and masks.
const FIRST: usize = 0;

/// Type, size and band names of the first image of a TIFF.
pub(crate) fn header(path: &Path) -> Result<RasterHeader> {
    header_of(path, &open(path)?)
}

/// The chosen bands as f32; `channels` are within the header's shape.
pub(crate) fn read(path: &Path, channels: &[usize]) -> Result<Array3<f32>> {
    let tiff = open(path)?;
    let header = header_of(path, &tiff)?;
    let [_, h, w] = header.shape;
    let plane = plane_layout(path, &header)?;
    // Grows with what is decoded: a header may announce any size.
    let mut values = Vec::new();
    for channel in channels {
        let bytes = band(path, &tiff, *channel, &plane)?;
        values.extend(plane.read(&[0], &bytes));
    }
    Array3::from_shape_vec((channels.len(), h, w), values)
        .map_err(|e| Error::format(path, e.to_string()))
}

/// All bands, little-endian, one after the other.
pub(crate) fn read_raw(path: &Path) -> Result<(RasterHeader, Vec<u8>)> {
    let tiff = open(path)?;
    let header = header_of(path, &tiff)?;
    let plane = plane_layout(path, &header)?;
    let mut raw = Vec::new();
    for channel in 0..header.shape[0] {
        raw.extend(plane.raw(&band(path, &tiff, channel, &plane)?));
    }
    Ok((header, raw))
}

fn open(path: &Path) -> Result<TiffFile> {
    TiffFile::open(path).map_err(|e| broken(path, e))
}

fn broken(path: &Path, error: TiffError) -> Error {
    match error {
        TiffError::Io(source, _) => Error::io(path, source),
        e @ TiffError::DecodeOutputTooLarge { .. } => Error::limits(path.display(), e.to_string()),
        other => Error::format(path, other.to_string()),
    }
}

fn header_of(path: &Path, tiff: &TiffFile) -> Result<RasterHeader> {
    let ifd = tiff.ifd(FIRST).map_err(|e| broken(path, e))?;
    let layout = ifd.raster_layout().map_err(|e| broken(path, e))?;
    // Samples of odd widths, as 12 bits, come in the next whole bytes.
    let dtype = match (layout.sample_format, layout.bytes_per_sample) {
        (1 | 4, 1) => DType::U8,
        (1 | 4, 2) => DType::U16,
        (1 | 4, 4) => DType::U32,
        (2, 1) => DType::I8,
        (2, 2) => DType::I16,
        (2, 4) => DType::I32,
        (2, 8) => DType::I64,
        (3, 2) => DType::F16,
        (3, 4) => DType::F32,
        (3, 8) => DType::F64,
        (format, bytes) => {
            return Err(Error::unsupported(
                path.display(),
                format!("TIFF samples of format {format} and {bytes} bytes"),
            ));
        }
    };
    let shape = [layout.samples_per_pixel, layout.height, layout.width];
    Ok(RasterHeader {
        dtype,
        shape,
        names: band_names(ifd, shape[0]),
    })
}

/// One band, as `tiff-reader` returns it: contiguous, in the machine's order.
fn plane_layout(path: &Path, header: &RasterHeader) -> Result<SampleLayout> {
    let element = ElementType {
        dtype: header.dtype,
        big_endian: cfg!(target_endian = "big"),
    };
    let axes = [1, header.shape[1] as u64, header.shape[2] as u64];
    ArrayLayout::new(element, false, &axes)
        .map(|layout| layout.sample(0))
        .map_err(|message| Error::format(path, message))
}

/// The bytes of one band, whether bands are interleaved or lie apart.
fn band(path: &Path, tiff: &TiffFile, channel: usize, plane: &SampleLayout) -> Result<Vec<u8>> {
    let bytes = tiff
        .read_band_bytes(FIRST, channel)
        .map_err(|e| broken(path, e))?;
    let expected = plane.byte_range().len();
    if bytes.len() == expected {
        Ok(bytes)
    } else {
        let message = format!("band {channel} has {} bytes, not {expected}", bytes.len());
        Err(Error::format(path, message))
    }
}

/// The band descriptions in GDAL's metadata; a band without one is called
/// `band N`, counted from 1. `None` where no band has one.
fn band_names(ifd: &Ifd, count: usize) -> Option<Vec<String>> {
    let xml = ifd.tag(GDAL_METADATA)?.value.as_str()?;
    let mut names: Vec<Option<String>> = vec![None; count];
    for item in xml.split("<Item ").skip(1) {
        let Some((attributes, rest)) = item.split_once('>') else {
            continue;
        };
        if attribute(attributes, "name") != Some("DESCRIPTION") {
            continue;
        }
        let sample = attribute(attributes, "sample").and_then(|s| s.parse::<usize>().ok());
        if let Some(name) = sample.and_then(|sample| names.get_mut(sample)) {
            let text = rest.split("</Item>").next().unwrap_or_default();
            *name = Some(unescape(text.trim()));
        }
    }
    if names.iter().all(Option::is_none) {
        return None;
    }
    let named = |(position, name): (usize, Option<String>)| {
        name.unwrap_or_else(|| format!("band {}", position + 1))
    };
    Some(names.into_iter().enumerate().map(named).collect())
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = attributes.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

/// The five entities of XML.
fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}
