//! TIFF rasters, with what GDAL and the GeoTIFF standard (OGC 19-008r4) put in them.
//!
//! Headers are parsed and blocks decoded by `tiff-reader`; everything between, which
//! blocks a window needs and what their numbers mean, is here.

mod block_cache;
mod bytes;
mod georeference;
mod grid;
mod image;
mod metadata;
mod raster;
mod sample;

pub(crate) use metadata::{fit_nodata, items, scaling};
pub(crate) use raster::{TiffRaster, allocate};
pub(crate) use sample::{header, header_of, read, read_of, read_raw, read_raw_of};

use std::path::Path;

use tiff_reader::source::SharedSource;
use tiff_reader::{OpenOptions, ParseBudgets, TiffError, TiffFile};

use crate::error::{Error, Result};

/// Decoded blocks that an open file keeps, in bytes: small, as a scene may have
/// twenty files open. Reading whole rows of blocks needs none.
const CACHE_BYTES: usize = 16 << 20;
/// A directory's values in bytes, as the tables of block positions: a scene of
/// 2²⁰ × 2²⁰ pixels in tiles of 512 has 2²² of them.
const TAG_BYTES: usize = 64 << 20;
/// All directories' values.
const METADATA_BYTES: usize = 128 << 20;
/// A scene has one directory, a mask, and those of its overviews.
const DIRECTORIES: usize = 1024;

fn options() -> OpenOptions {
    OpenOptions {
        block_cache_bytes: CACHE_BYTES,
        block_cache_slots: CACHE_BYTES / 1024,
        parse_budgets: ParseBudgets {
            max_ifds: DIRECTORIES,
            max_tag_value_bytes: TAG_BYTES,
            max_metadata_value_bytes: METADATA_BYTES,
            ..ParseBudgets::default()
        },
        decode_output_bytes: grid::BLOCK_BYTES,
    }
}

fn open(path: &Path) -> Result<TiffFile> {
    TiffFile::open_with_options(path, options()).map_err(|e| broken(path, e))
}

/// Opens a TIFF that is a part of something else; errors call it `path`.
fn open_source(path: &Path, source: SharedSource) -> Result<TiffFile> {
    TiffFile::from_source_with_options(source, options()).map_err(|e| broken(path, e))
}

fn broken(path: &Path, error: TiffError) -> Error {
    match error {
        TiffError::Io(source, _) => Error::io(path, source),
        e @ (TiffError::DecodeOutputTooLarge { .. }
        | TiffError::DecodeOutputAllocationFailed { .. }) => {
            Error::limits(path.display(), e.to_string())
        }
        e @ (TiffError::UnsupportedCompression(_)
        | TiffError::UnsupportedPredictor(_)
        | TiffError::UnsupportedBitsPerSample(_)
        | TiffError::UnsupportedSampleFormat(_)) => {
            Error::unsupported(path.display(), e.to_string())
        }
        TiffError::Truncated { offset, .. } | TiffError::OffsetOutOfBounds { offset, .. } => {
            Error::format_at(path, offset, error.to_string())
        }
        other => Error::format(path, other.to_string()),
    }
}
