//! Containers of CloudSEN12+ and other data sets of the TACO Foundation.
//!
//! Three formats, distinguished by their content; numbers are little-endian.
//!
//! - `.mlstac`: `#y`, the length of a JSON header (u64), the header, an object of
//!   sample name to `[begin, length]`, then the samples; `begin` counts from the
//!   header's end. A sample is a GeoTIFF whose channels hold the label too.
//!   (Python package `mlstac` 0.1.8, `core.py`.)
//! - `.tortilla` and `.taco`, version 1: `#y` or `WX`, offset and length of the footer
//!   (u64 each), number of parts (u64); a `.taco` also has offset and length of a
//!   JSON collection. The footer is a Parquet table with one row per sample:
//!   `tortilla:id`, `tortilla:file_format`, `tortilla:offset`, `tortilla:length` and
//!   whatever the data set adds. Samples begin at byte 200. A sample of format
//!   `TORTILLA` is such a file within the file, its offsets counted from its own
//!   beginning: in CloudSEN12+ image and label. (`pytortilla` 0.5.1, `tacotoolbox`
//!   0.3.3, `tacoreader` 0.6.5.) In files of `tacoreader` 0.2 the fields after the
//!   footer's length have other positions; they are not used here.
//! - `.tacozip`, version 2: a zip archive whose entries are stored, not compressed.
//!   `METADATA/level0.parquet` has one row per sample: `id`, `type` (`FILE` or `FOLDER`),
//!   `internal:offset` and `internal:size`, which count from the archive's first
//!   byte. Those of a folder are of its entry `__meta__`, a Parquet table of the same
//!   columns, one row per file. (`tacotoolbox` 0.26.9, `tacoreader` 2.4.21.)
//!
//! Of a data set in several files (`NAME.0000.part.taco`) each holds the metadata of
//! its own samples and is opened by itself.

#[cfg(feature = "taco")]
mod decode;
mod index;
mod parquet;
mod sample;
mod section;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ndarray::{Array2, Array3, Axis};

use self::index::Entry;
use self::sample::Sample;
use self::section::Section;
use super::table::Table;
use super::{SampleSource, check_sample, whole_numbers};
use crate::error::{Error, Result};
use crate::raster::mapping::Mapping;
use crate::raster::{DType, check_channels, tiff};
use crate::scene::{RasterScene, Scene, SceneOptions};

/// A Parquet file as a table of text.
///
/// # Errors
/// The file can't be read or is no such table, or of more than 1 GiB; the library is
/// built without the feature `taco`.
pub(crate) fn parquet_table(path: &Path) -> Result<Table> {
    Mapping::open(path)?.checked(|bytes| parquet::table(path, bytes))
}

/// A container of samples with a table about them.
pub struct TacoSource {
    path: PathBuf,
    file: Arc<Mapping>,
    table: Table,
    entries: Vec<Entry>,
    /// Position of image and label of each sample, found on first use.
    samples: Vec<OnceLock<Sample>>,
}

impl TacoSource {
    /// Opens a container; its table is read, no sample is.
    ///
    /// # Errors
    /// The file can't be read, is none of the three formats, or its table is broken
    /// or names samples past the end of the file; the library is built without the feature
    /// `taco`, and the table is Parquet.
    pub fn open(path: &Path) -> Result<Self> {
        let file = Arc::new(Mapping::open(path)?);
        let (table, entries) = file.checked(|bytes| index::read(path, bytes))?;
        let samples = entries.iter().map(|_| OnceLock::new()).collect();
        Ok(Self {
            path: path.to_owned(),
            file,
            table,
            entries,
            samples,
        })
    }

    fn sample(&self, index: usize) -> Result<&Sample> {
        check_sample(&self.path, index, self.entries.len())?;
        let slot = &self.samples[index];
        if let Some(sample) = slot.get() {
            return Ok(sample);
        }
        let whole = Section::new(self.file.clone(), self.entries[index].range.clone());
        let sample = self
            .file
            .checked(|_| Sample::find(&self.named(index), &whole))?;
        Ok(slot.get_or_init(|| sample))
    }

    /// The container and the sample in it, for messages.
    fn named(&self, index: usize) -> PathBuf {
        self.path.join(&self.entries[index].name)
    }
}

impl SampleSource for TacoSource {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, index: usize) -> String {
        match self.entries.get(index) {
            Some(entry) => entry.name.clone(),
            None => index.to_string(),
        }
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        Ok(self.sample(index)?.header.shape)
    }

    fn dtype(&self, index: usize) -> Result<DType> {
        Ok(self.sample(index)?.header.dtype)
    }

    fn channel_names(&self, index: usize) -> Result<Option<Vec<String>>> {
        Ok(self.sample(index)?.header.names.clone())
    }

    fn metadata(&self) -> Option<&Table> {
        Some(&self.table)
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let sample = self.sample(index)?;
        let path = self.named(index);
        check_channels(&path, channels, sample.header.shape[0])?;
        (self.file).checked(|_| tiff::read_of(&sample.image.raster(&path)?, channels))
    }

    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        let sample = self.sample(index)?;
        let Some(label) = &sample.label else {
            return Ok(None);
        };
        let path = self.named(index);
        let raster = self.file.checked(|_| label.raster(&path))?;
        let [_, h, w] = sample.header.shape;
        let shape = tiff::header_of(&raster).shape;
        if shape != [1, h, w] {
            let message = format!("a label of shape {shape:?}; its image needs [1, {h}, {w}]");
            return Err(Error::format(path, message));
        }
        let label = self.file.checked(|_| tiff::read_of(&raster, &[0]))?;
        whole_numbers(&path, &label.index_axis(Axis(0), 0)).map(Some)
    }

    fn scene(&self, index: usize, options: &SceneOptions) -> Result<Option<Box<dyn Scene>>> {
        let path = self.named(index);
        let raster = self.sample(index)?.image.raster(&path)?;
        Ok(Some(Box::new(RasterScene::of(&path, raster, options)?)))
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let sample = self.sample(index)?;
        let raw = (self.file)
            .checked(|_| tiff::read_raw_of(&sample.image.raster(&self.named(index))?))?;
        Ok((sample.header.dtype, sample.header.shape, raw))
    }
}
