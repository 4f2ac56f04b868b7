//! Outputs: class masks and probabilities as Cloud-Optimised GeoTIFF, PNG or
//! NumPy array, and what is made of them.
//!
//! [`CogWriter`] takes a raster in rows from the top down. What else is made of a
//! mask is made of its rows ([`Dilation`], [`collapse`], [`MaskCounts`]) or of the
//! finished file by strips ([`MaskReader`], [`write_cloud_mask`],
//! [`write_polygons`]), in memory that does not grow with the mask's height.

mod chains;
mod cloud_mask;
mod cog;
mod dates;
mod dilation;
mod footprint;
mod format;
mod geotiff;
mod ground;
mod lonlat;
mod meridian;
mod numpy;
mod palette;
mod png;
mod polygons;
mod reader;
mod record;
mod regions;
mod scene_date;
mod sidecar;
mod stac;
mod summary;
mod system;
mod world_file;
mod xml;

pub use cloud_mask::{CLOUDY, collapse, write_cloud_mask};
pub use cog::{CogSpec, CogWriter, Resampling, probability_code};
pub use dates::{Dates, created};
pub use dilation::Dilation;
pub use footprint::{Footprint, footprint};
pub use format::{MaskFormat, read, write};
pub use ground::pixel_metres;
pub use polygons::{PolygonOptions, check_polygons, write_polygons};
pub use reader::{MaskReader, reduced, reduced_probabilities};
pub use record::{MaskKind, MaskRecord, read_record};
pub use scene_date::stated_date;
pub(crate) use sidecar::{class_names_path, sidecar_record};
pub use sidecar::{write_class_names, write_qgis_style};
pub use stac::{AssetKind, StacInput, check_stac, stac_item, write_json};
pub use summary::{ClassShare, MaskCounts, MaskSummary};
