//! Sources whose samples are those of other sources.

use ndarray::{Array2, Array3};

use super::{SampleSource, Table};
use crate::error::Result;
use crate::raster::{DType, Georeference};
use crate::scene::{Scene, SceneOptions};

/// Samples of other sources: fewer of them, in another order, or one source after
/// another. Each method of [`SampleSource`] delegates to the source that holds the sample.
pub(crate) trait SubsetOf: Send + Sync {
    /// Number of samples.
    fn count(&self) -> usize;

    /// The source that holds sample `index`, and the sample's position there.
    ///
    /// # Errors
    /// There is no such sample.
    fn route(&self, index: usize) -> Result<(&dyn SampleSource, usize)>;

    /// As [`SampleSource::name`].
    fn called(&self, index: usize) -> String {
        match self.route(index) {
            Ok((source, index)) => source.name(index),
            Err(_) => index.to_string(),
        }
    }

    /// As [`SampleSource::metadata`].
    fn table(&self) -> Option<&Table> {
        None
    }

    /// As [`SampleSource::read_label`].
    ///
    /// # Errors
    /// As there.
    fn label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        let (source, index) = self.route(index)?;
        source.read_label(index)
    }
}

impl<R: SubsetOf> SampleSource for R {
    fn len(&self) -> usize {
        self.count()
    }

    fn name(&self, index: usize) -> String {
        self.called(index)
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        let (source, index) = self.route(index)?;
        source.shape(index)
    }

    fn dtype(&self, index: usize) -> Result<DType> {
        let (source, index) = self.route(index)?;
        source.dtype(index)
    }

    fn channel_names(&self, index: usize) -> Result<Option<Vec<String>>> {
        let (source, index) = self.route(index)?;
        source.channel_names(index)
    }

    fn metadata(&self) -> Option<&Table> {
        self.table()
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let (source, index) = self.route(index)?;
        source.read(index, channels)
    }

    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        self.label(index)
    }

    fn georeference(&self, index: usize) -> Result<Georeference> {
        let (source, index) = self.route(index)?;
        source.georeference(index)
    }

    fn scene(&self, index: usize, options: &SceneOptions) -> Result<Option<Box<dyn Scene>>> {
        let (source, index) = self.route(index)?;
        source.scene(index, options)
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let (source, index) = self.route(index)?;
        source.read_raw(index)
    }
}
