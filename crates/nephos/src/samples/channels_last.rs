//! Arrays whose channels are their last axis.

use ndarray::{Array2, Array3, Axis};

use super::{SampleSource, Table};
use crate::error::Result;
use crate::raster::DType;

/// A container of arrays `[height, width, channels]`, as one of arrays
/// `[channels, height, width]`.
pub(crate) struct ChannelsLast(Box<dyn SampleSource>);

impl ChannelsLast {
    pub fn new(source: Box<dyn SampleSource>) -> Self {
        Self(source)
    }
}

impl SampleSource for ChannelsLast {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        self.0.name(index)
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        let [height, width, channels] = self.0.shape(index)?;
        Ok([channels, height, width])
    }

    fn dtype(&self, index: usize) -> Result<DType> {
        self.0.dtype(index)
    }

    fn metadata(&self) -> Option<&Table> {
        self.0.metadata()
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let [height, _, count] = self.0.shape(index)?;
        crate::raster::check_channels(std::path::Path::new(&self.name(index)), channels, count)?;
        let stored = self.0.read(index, &(0..height).collect::<Vec<_>>())?;
        let first = stored.permuted_axes([2, 0, 1]);
        Ok(first
            .select(Axis(0), channels)
            .as_standard_layout()
            .into_owned())
    }

    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        self.0.read_label(index)
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let (dtype, [height, width, channels], stored) = self.0.read_raw(index)?;
        let size = dtype.size();
        let mut raw = Vec::with_capacity(stored.len());
        for channel in 0..channels {
            for pixel in stored.chunks_exact(channels * size) {
                raw.extend_from_slice(&pixel[channel * size..(channel + 1) * size]);
            }
        }
        Ok((dtype, [channels, height, width], raw))
    }
}
