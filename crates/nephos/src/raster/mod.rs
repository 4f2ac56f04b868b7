//! Raster files: TIFF, JPEG 2000, PNG and JPEG, their georeferences and the files beside them.

mod dtype;
#[cfg(unix)]
mod fault_guard;
pub(crate) mod format;
pub(crate) mod georeference;
pub(crate) mod georeference_files;
pub(crate) mod geotiff_tags;
pub(crate) mod jp2;
pub(crate) mod mapping;
pub(crate) mod picture;
pub(crate) mod sidecar;
pub(crate) mod tiff;
mod window;
pub(crate) mod xml;

pub use dtype::DType;
pub(crate) use dtype::{check_channels, stem};
pub use georeference::{GeoKeys, Georeference};
pub(crate) use mapping::Mapping;
pub(crate) use tiff::{fit_nodata, items as tiff_items};
pub use window::Window;
