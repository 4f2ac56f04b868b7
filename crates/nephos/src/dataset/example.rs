//! Samples as a model sees them: chosen bands, scaled, with labels 0..=3 or 255.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Array3, s};

use super::inputs::with_flags;
use super::{Inputs, Part};
use crate::band;
use crate::class::{CLASS_COUNT, IGNORE};
use crate::config::{DataConfig, LabelConfig};
use crate::error::{Error, Result};
use crate::scene::{self, SampleSource};

/// A container of samples read as a [`DataConfig`] says.
#[derive(Clone)]
pub struct Dataset {
    pub(super) source: Arc<dyn SampleSource>,
    path: PathBuf,
    pub(super) config: DataConfig,
    /// Stored label to class, from the configuration.
    classes: BTreeMap<i64, u8>,
    /// The containers of a mixed data set, else none.
    pub(super) parts: Vec<Part>,
}

/// One sample, ready for a model.
#[derive(Debug, Clone)]
pub struct Example {
    /// Name in its container.
    pub name: String,
    /// `[channels, height, width]`: the bands, (stored + offset) / scale, then the
    /// channels that declare optional bands absent, see [`Inputs`]; 0 where not valid.
    pub image: Array3<f32>,
    /// `[height, width]`, a class code, or 255 where not labelled or not valid.
    /// All 255 where the sample has no label.
    pub label: Array2<u8>,
    /// `[height, width]`, whether every band that is there holds a finite number that
    /// is not no-data.
    pub valid: Array2<bool>,
    /// Whether each band of the configuration is absent.
    pub absent: Vec<bool>,
}

impl Dataset {
    /// Opens the container at `path`.
    ///
    /// # Errors
    /// The container can't be opened, or a label mapping is not a number.
    pub fn open(path: &Path, config: &DataConfig) -> Result<Self> {
        Self::from_source(Arc::from(scene::open(path)?), path, config)
    }

    /// Reads samples from `source`; errors call it `path`.
    ///
    /// # Errors
    /// A label mapping is not a number.
    pub fn from_source(
        source: Arc<dyn SampleSource>,
        path: &Path,
        config: &DataConfig,
    ) -> Result<Self> {
        Ok(Self {
            source,
            path: path.to_owned(),
            config: config.clone(),
            classes: label_table(&config.labels)?,
            parts: Vec::new(),
        })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The container.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of sample `index` in its container.
    pub fn name(&self, index: usize) -> String {
        self.source.name(index)
    }

    /// Reads sample `index` with its label.
    ///
    /// # Errors
    /// A broken file, a band the sample lacks, no label, or a label that is
    /// neither a class, nor ignored, nor mapped.
    pub fn get(&self, index: usize) -> Result<Example> {
        let label = self.label(index)?.ok_or_else(|| self.unlabelled(index))?;
        self.example(index, Some(label))
    }

    /// Reads sample `index`; a missing label is all 255.
    ///
    /// # Errors
    /// As for [`Dataset::get`], but for the missing label.
    pub fn get_unlabelled(&self, index: usize) -> Result<Example> {
        let label = self.label(index)?;
        self.example(index, label)
    }

    fn example(&self, index: usize, label: Option<Array2<u8>>) -> Result<Example> {
        Ok(self.declare(self.fit(self.bands(index, label)?)))
    }

    /// Sample `index` at its own size; its image is the bands alone, 0 where absent.
    pub(super) fn labelled_bands(&self, index: usize) -> Result<Example> {
        let label = self.label(index)?.ok_or_else(|| self.unlabelled(index))?;
        self.bands(index, Some(label))
    }

    fn bands(&self, index: usize, label: Option<Array2<u8>>) -> Result<Example> {
        let inputs = self.inputs(index)?;
        let mut image = self.source.read(index, &inputs.positions())?;
        let (_, height, width) = image.dim();
        let nodata = self.config.nodata;
        let mut valid = Array2::from_elem((height, width), true);
        for plane in image.outer_iter() {
            valid.zip_mut_with(&plane, |valid, v| {
                *valid &= v.is_finite() && Some(*v) != nodata;
            });
        }
        let (offset, scale) = (self.config.offset, self.config.scale);
        for mut plane in image.outer_iter_mut() {
            plane.zip_mut_with(&valid, |v, valid| {
                *v = if *valid { (*v + offset) / scale } else { 0.0 };
            });
        }
        let mut label = label.unwrap_or_else(|| Array2::from_elem((height, width), IGNORE));
        label.zip_mut_with(&valid, |class, valid| {
            if !valid {
                *class = IGNORE;
            }
        });
        Ok(Example {
            name: self.source.name(index),
            image: inputs.bands(image),
            label,
            valid,
            absent: inputs.absences(),
        })
    }

    /// Crops or pads to the configured size.
    pub(super) fn fit(&self, example: Example) -> Example {
        match self.config.size {
            Some(size) => example.fit(size),
            None => example,
        }
    }

    /// Adds the channels that declare bands absent to an image of bands alone.
    pub(super) fn declare(&self, mut example: Example) -> Example {
        let bands = self.config.optional_positions();
        if bands.is_empty() {
            return example;
        }
        let flags: Vec<bool> = bands.iter().map(|band| example.absent[*band]).collect();
        let count = example.absent.len();
        example.image = with_flags(example.image, &flags);
        for mut plane in example
            .image
            .slice_mut(s![count.., .., ..])
            .outer_iter_mut()
        {
            plane.zip_mut_with(&example.valid, |flag, valid| {
                if !valid {
                    *flag = 0.0;
                }
            });
        }
        example
    }

    /// Channels that hold the configured bands.
    pub(super) fn inputs(&self, index: usize) -> Result<Inputs> {
        let named = self.source.channel_names(index)?;
        let names = named.as_ref().unwrap_or(&self.config.channels);
        let count = self.source.shape(index)?[0];
        let names = &names[..names.len().min(count)];
        let find = |wanted: &str| {
            let wanted = band::canonical(wanted);
            names
                .iter()
                .position(|name| band::canonical(name) == wanted)
        };
        let inputs = Inputs::find(&self.config, |name, stand_in| {
            find(name).or_else(|| find(band::stand_in(name).filter(|_| stand_in)?))
        });
        inputs.map_err(|missing| {
            let origin = if named.is_some() {
                "its own band names"
            } else {
                "data.channels"
            };
            Error::usage(format!(
                "{}: sample {} has no band `{missing}`; by {origin} its {count} channels are {}",
                self.origin(index).display(),
                self.source.name(index),
                names.join(", "),
            ))
        })
    }

    fn unlabelled(&self, index: usize) -> Error {
        let message = format!("sample {} has no label", self.source.name(index));
        Error::format(self.origin(index), message)
    }

    /// The label in classes, from its own raster or from the label channel.
    pub(super) fn label(&self, index: usize) -> Result<Option<Array2<u8>>> {
        let stored = match self.source.read_label(index)? {
            Some(label) => label,
            None => {
                let channel = self.config.label_channel;
                // A source that names its channels names its label too, or has none.
                let named = self.source.channel_names(index)?.is_some();
                if named || channel >= self.source.shape(index)?[0] {
                    return Ok(None);
                }
                let plane = self.source.read(index, &[channel])?;
                plane.index_axis(ndarray::Axis(0), 0).mapv(|v| {
                    // NaN and fractions are no label: -1 is never a class.
                    if v.fract() == 0.0 { v as i64 } else { -1 }
                })
            }
        };
        let mut unknown = None;
        let label = stored.mapv(|value| {
            self.classes.get(&value).copied().unwrap_or_else(|| {
                unknown.get_or_insert(value);
                IGNORE
            })
        });
        match unknown {
            None => Ok(Some(label)),
            Some(value) => Err(Error::format(
                self.origin(index),
                format!(
                    "sample {}: label {value} is no class 0..=3; list it in \
                     data.labels.ignore or map it in data.labels.map",
                    self.source.name(index)
                ),
            )),
        }
    }
}

/// Stored label to class: the classes themselves, then `ignore`, then `map`.
pub(crate) fn label_table(config: &LabelConfig) -> Result<BTreeMap<i64, u8>> {
    let mut table: BTreeMap<i64, u8> = (0..CLASS_COUNT as u8)
        .map(|code| (i64::from(code), code))
        .collect();
    table.extend(config.ignore.iter().map(|value| (*value, IGNORE)));
    for (key, class) in &config.map {
        let value = key.parse().map_err(|_| {
            Error::usage(format!(
                "data.labels.map.{key} must be keyed by a whole number"
            ))
        })?;
        table.insert(value, *class);
    }
    Ok(table)
}

impl Example {
    /// Crops or pads (bottom and right) to `size` × `size`; padding is not valid.
    fn fit(self, size: usize) -> Self {
        let (bands, height, width) = self.image.dim();
        if (height, width) == (size, size) {
            return self;
        }
        let (rows, cols) = (height.min(size), width.min(size));
        let mut image = Array3::zeros((bands, size, size));
        let mut label = Array2::from_elem((size, size), IGNORE);
        let mut valid = Array2::from_elem((size, size), false);
        image
            .slice_mut(s![.., ..rows, ..cols])
            .assign(&self.image.slice(s![.., ..rows, ..cols]));
        label
            .slice_mut(s![..rows, ..cols])
            .assign(&self.label.slice(s![..rows, ..cols]));
        valid
            .slice_mut(s![..rows, ..cols])
            .assign(&self.valid.slice(s![..rows, ..cols]));
        Self {
            name: self.name,
            image,
            label,
            valid,
            absent: self.absent,
        }
    }
}
