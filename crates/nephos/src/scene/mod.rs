//! Readers of the files that agencies, CloudSEN12+ and NumPy write.
//!
//! Every container of samples is opened as a [`SampleSource`], which has the
//! shape of each sample and reads channels of one sample on request; no
//! container is held in memory.

mod array;
mod band_file;
mod channels_last;
#[cfg(unix)]
mod fault_guard;
pub mod formats;
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "gdal")]
mod gdal;
mod georeference;
pub(crate) mod georeference_files;
pub(crate) mod geotiff_tags;
mod hls;
mod infer_radiometry;
mod interface;
mod jp2;
pub mod landsat;
mod mapping;
mod memory;
mod nodata;
mod npz;
mod numpy;
mod open;
mod open_scene;
mod pairs;
pub mod pickle;
mod picture;
mod plausibility;
mod radiometry;
mod raster;
mod raster_names;
mod raster_scene;
mod safe;
mod same_grid;
mod sample_list;
mod sidecar;
mod subset_of;
mod table;
mod taco;
mod tiff;
pub mod torch;
mod undeclared_radiometry;
mod unsupported;
pub(crate) mod xml;

#[cfg(feature = "gdal")]
pub use gdal::GdalScene;
pub use georeference::{GeoKeys, Georeference};
pub use interface::{Scene, SceneBand, SceneInfo, SceneOptions, SunAngles, Window};
pub use landsat::LandsatScene;
pub(crate) use mapping::Mapping;
pub use memory::MemoryScene;
pub(crate) use nodata::is_fill;
pub use npz::NpzSource;
pub use numpy::NpySource;
pub use open::{Kind, detect, is_container, open, open_as};
pub use open_scene::open_scene;
pub use pairs::RasterSource;
pub use picture::PictureScene;
pub use plausibility::{Doubt, implausible};
pub(crate) use plausibility::{Numbers, places as spread_places};
pub use radiometry::{Origin, Planck, Radiometry, SATURATED_REFLECTANCE};
pub use raster_scene::RasterScene;
pub use safe::SafeScene;
pub use sample_list::{Part, SampleList};
pub(crate) use subset_of::SubsetOf;
pub use table::Table;
pub use taco::TacoSource;
pub(crate) use taco::parquet_table;
pub(crate) use tiff::{fit_nodata, items as tiff_items};
pub(crate) use undeclared_radiometry::UndeclaredRadiometry;
pub use unsupported::refuse_remote;

use std::path::Path;

use ndarray::{Array2, Array3, ArrayView2};

use crate::error::{Error, Result};

/// Number format of stored samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    I64,
    F16,
    F32,
    F64,
}

impl DType {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// NumPy's name, as in `uint16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }
}

/// A container of samples, each an array of shape `[channels, height, width]`.
pub trait SampleSource: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of sample `index`, unique in the container: the file's stem, the
    /// key of a dict, or the position.
    fn name(&self, index: usize) -> String;

    /// `[channels, height, width]` of sample `index`.
    ///
    /// # Errors
    /// The sample's header can't be read.
    fn shape(&self, index: usize) -> Result<[usize; 3]>;

    /// Number format of sample `index`.
    ///
    /// # Errors
    /// The sample's header can't be read.
    fn dtype(&self, index: usize) -> Result<DType>;

    /// Names of the channels of sample `index`, where the file itself gives them;
    /// most containers don't.
    ///
    /// # Errors
    /// The sample's header can't be read.
    fn channel_names(&self, index: usize) -> Result<Option<Vec<String>>> {
        let _ = index;
        Ok(None)
    }

    /// The container's own metadata, one row per sample in their order;
    /// `None`, as in most containers, where it has none.
    fn metadata(&self) -> Option<&Table> {
        None
    }

    /// The chosen channels of sample `index`, `[channels.len(), height, width]`,
    /// in stored units as f32.
    ///
    /// # Errors
    /// A channel or sample that is not there, or a broken file.
    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>>;

    /// The label raster of sample `index`, `[height, width]` in stored values,
    /// where labels are stored separately from the channels; `None`, as in most containers,
    /// where a channel holds them.
    ///
    /// # Errors
    /// A broken label file, or one whose size is not the image's.
    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        let _ = index;
        Ok(None)
    }

    /// Georeference of sample `index`; most containers have none.
    ///
    /// # Errors
    /// The sample's header can't be read.
    fn georeference(&self, index: usize) -> Result<Georeference> {
        let _ = index;
        Ok(Georeference::default())
    }

    /// Sample `index` as the scene that it is, opened as `options` say, where it is a raster
    /// file, so that samples and scenes are read alike: scale, offset, no-data number and
    /// masks; `None`, as in most containers, where it is an array.
    ///
    /// # Errors
    /// A broken file.
    fn scene(&self, index: usize, options: &SceneOptions) -> Result<Option<Box<dyn Scene>>> {
        let _ = (index, options);
        Ok(None)
    }

    /// Sample `index` as stored: its number format, `[channels, height, width]`,
    /// and its numbers, little-endian in C order.
    ///
    /// # Errors
    /// A sample that is not there, or a broken file.
    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)>;
}

/// Name of a path without its last extension.
fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Refuses channels past the end of a sample.
fn check_channels(path: &Path, channels: &[usize], count: usize) -> Result<()> {
    match channels.iter().find(|channel| **channel >= count) {
        None => Ok(()),
        Some(channel) => Err(Error::usage(format!(
            "{}: channel {channel} is requested, there are {count} (counted from 0)",
            path.display()
        ))),
    }
}

/// Refuses a sample past the end of a container.
fn check_sample(path: &Path, index: usize, count: usize) -> Result<()> {
    if index < count {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: sample {index} is requested, there are {count} (counted from 0)",
        path.display()
    )))
}

/// A label raster as whole numbers.
fn whole_numbers(path: &Path, label: &ArrayView2<'_, f32>) -> Result<Array2<i64>> {
    match label.indexed_iter().find(|(_, v)| v.fract() != 0.0) {
        None => Ok(label.mapv(|v| v as i64)),
        Some(((row, col), value)) => Err(Error::format(
            path,
            format!("the label at row {row}, column {col} is {value}, not a whole number"),
        )),
    }
}
