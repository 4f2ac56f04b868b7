//! What every container of samples is.

use std::path::Path;

use ndarray::{Array2, Array3, ArrayView2};

use super::Table;
use crate::error::{Error, Result};
use crate::raster::{DType, Georeference};
use crate::scene::{Scene, SceneOptions};

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

/// Refuses a sample past the end of a container.
pub(crate) fn check_sample(path: &Path, index: usize, count: usize) -> Result<()> {
    if index < count {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: sample {index} is requested, there are {count} (counted from 0)",
        path.display()
    )))
}

/// A label raster as whole numbers.
pub(crate) fn whole_numbers(path: &Path, label: &ArrayView2<'_, f32>) -> Result<Array2<i64>> {
    match label.indexed_iter().find(|(_, v)| v.fract() != 0.0) {
        None => Ok(label.mapv(|v| v as i64)),
        Some(((row, col), value)) => Err(Error::format(
            path,
            format!("the label at row {row}, column {col} is {value}, not a whole number"),
        )),
    }
}
