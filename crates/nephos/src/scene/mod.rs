//! Scenes, as agencies and GDAL write them: GeoTIFF, folders of bands, SAFE, Landsat Collection 2,
//! pictures, arrays in memory; their radiometry, band names and no-data pixels.

mod array_scene;
mod band_file;
pub mod formats;
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "gdal")]
mod gdal;
mod hls;
mod infer_radiometry;
mod interface;
mod kind;
pub mod landsat;
mod memory;
mod nodata;
mod open_scene;
mod picture;
mod places;
mod plan;
mod plausibility;
mod radiometry;
mod raster_names;
mod raster_scene;
mod safe;
mod same_grid;
mod undeclared_radiometry;
mod unsupported;

pub use array_scene::{ArrayBand, ArrayOptions, ArrayScene, ArrayValues};
#[cfg(feature = "gdal")]
pub(crate) use gdal::GdalScene;
pub use interface::{Scene, SceneBand, SceneInfo, SceneOptions, SunAngles};
pub use kind::{Kind, detect};
pub(crate) use kind::{NUMPY_MAGIC, TACO_LEVEL_0, first_bytes};
pub use landsat::LandsatScene;
pub use memory::MemoryScene;
pub(crate) use nodata::is_fill;
pub use open_scene::open_scene;
pub(crate) use picture::PictureScene;
pub(crate) use places::places as spread_places;
pub use plan::Plan;
pub(crate) use plausibility::Numbers;
pub use plausibility::{Doubt, implausible};
pub use radiometry::{Origin, Planck, Radiometry, SATURATED_REFLECTANCE};
pub(crate) use raster_scene::RasterScene;
pub(crate) use safe::SafeScene;
pub(crate) use undeclared_radiometry::UndeclaredRadiometry;
pub use unsupported::refuse_remote;
