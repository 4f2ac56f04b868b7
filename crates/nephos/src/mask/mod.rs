//! What goes out: class masks and probabilities as Cloud-Optimised GeoTIFF, PNG or
//! NumPy array, and what is made of them.
//!
//! [`CogWriter`] takes a raster in rows from the top down. What else is made of a
//! mask is made of its rows ([`Dilation`], [`collapse`], [`MaskCounts`]) or of the
//! finished file by strips ([`MaskReader`], [`write_cloud_mask`],
//! [`write_polygons`]), in memory that does not grow with the mask's height.

mod chains;
mod cloud_mask;
mod cog;
mod dilation;
mod format;
mod geotiff;
mod ground;
mod lonlat;
mod numpy;
mod palette;
mod png;
mod polygons;
mod reader;
mod regions;
mod sidecar;
mod stac;
mod summary;
mod xml;

pub use cloud_mask::{CLOUDY, collapse, write_cloud_mask};
pub use cog::{CogSpec, CogWriter, Resampling, probability_code};
pub use dilation::Dilation;
pub use format::{MaskFormat, read, write};
pub use geotiff::write_probabilities;
pub use polygons::{PolygonOptions, write_polygons};
pub use reader::MaskReader;
pub use sidecar::{write_class_names, write_qgis_style};
pub use stac::{AssetKind, StacInput, stac_item, write_json};
pub use summary::{ClassShare, MaskCounts, MaskSummary};
