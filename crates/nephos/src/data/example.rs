//! Samples as model input: chosen bands, scaled, with labels 0..=3 or 255.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Array3, Axis, s};

use super::Part;
use super::annotation::Annotation;
use super::gaps;
use super::inputs::with_flags;
use super::reading::{Pixels, Readings};
use super::teacher::unknown;
use crate::class::IGNORE;
use crate::config::DataConfig;
use crate::error::{Error, Result};
use crate::mirror::mirrored;
use crate::samples::{self, SampleSource};

/// A container of samples read as a [`DataConfig`] says.
#[derive(Clone)]
pub struct Dataset {
    pub(crate) source: Arc<dyn SampleSource>,
    path: PathBuf,
    pub(crate) config: DataConfig,
    /// What its labels mean; a mixed data set has one per part.
    pub(crate) annotation: Arc<Annotation>,
    /// The containers of a mixed data set, else none.
    pub(crate) parts: Vec<Part>,
    /// How the samples are read, as far as it was determined.
    pub(crate) readings: Arc<Readings>,
    /// Notes on how the samples are read.
    pub(crate) notes: Vec<String>,
}

/// One sample, ready for a model.
#[derive(Debug, Clone)]
pub struct Example {
    /// Name in its container.
    pub name: String,
    /// `[channels, height, width]`: the bands in units of the model's input (see
    /// [`DataConfig::scale`]), then the channels that declare optional bands absent, see
    /// [`Inputs`](super::Inputs); 0 where not valid.
    pub image: Array3<f32>,
    /// `[height, width]`, a class code, a set of classes
    /// ([`Label::of`](nephos_kernel::loss::Label::of)), or 255 where not labelled or not
    /// valid. All 255 where the sample has no label.
    pub label: Array2<u8>,
    /// `[2, height, width]`: a teacher's probabilities × 250 of cloud and of shadow, 255
    /// where unknown; `None` without a teacher, and where samples are not read for training.
    pub teacher: Option<Array3<u8>>,
    /// `[height, width]`, whether every band that is there and not optional holds a finite
    /// number that is not no-data, or any does where all are optional.
    pub valid: Array2<bool>,
    /// Whether each band of the configuration is absent from the whole sample.
    pub absent: Vec<bool>,
}

impl Dataset {
    /// Opens the container at `path`.
    ///
    /// # Errors
    /// The container can't be opened, or a label mapping is not a number.
    pub fn open(path: &Path, config: &DataConfig) -> Result<Self> {
        let source = samples::open_as(path, config.channels_last)?;
        Self::from_source(Arc::from(source), path, config)
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
        let (annotation, notes) = Annotation::new(source.as_ref(), path, config)?;
        Ok(Self {
            source,
            path: path.to_owned(),
            config: config.clone(),
            annotation: Arc::new(annotation),
            parts: Vec::new(),
            readings: Arc::default(),
            notes,
        })
    }

    /// Notes on how the samples are read, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
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

    /// Rows and columns of sample `index`, as stored.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn size_of(&self, index: usize) -> Result<[usize; 2]> {
        let [_, rows, cols] = self.source.shape(index)?;
        Ok([rows, cols])
    }

    /// Reads sample `index` with its label, at its own size or, where that is larger, cropped
    /// to `data.size`.
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

    /// Reads sample `index` without reading its label, which is all 255: it need not
    /// exist, nor be valid.
    ///
    /// # Errors
    /// A broken file, or a band the sample lacks.
    pub fn image(&self, index: usize) -> Result<Example> {
        self.example(index, None)
    }

    fn example(&self, index: usize, label: Option<Array2<u8>>) -> Result<Example> {
        Ok(self.declare(self.crop(self.bands(index, label)?)))
    }

    /// Sample `index` for training, with its label and its teacher's probabilities, at its own
    /// size; its image is the bands alone, 0 where absent, and NaN where an optional band
    /// alone has no data, until [`Dataset::declare`].
    ///
    /// # Errors
    /// As for [`Dataset::get`]; a teacher's file that can't be read. A sample may lack a
    /// label where a teacher has a file for it.
    pub(crate) fn labelled_bands(&self, index: usize) -> Result<Example> {
        let label = self.label(index)?;
        let teacher = match &self.annotation(index).teacher {
            None => None,
            Some(teacher) => teacher.read(&self.name(index), self.size_of(index)?)?,
        };
        if label.is_none() && teacher.is_none() {
            return Err(self.unlabelled(index));
        }
        let mut example = self.bands(index, label)?;
        example.teacher = teacher;
        Ok(example)
    }

    /// What the labels of sample `index` mean.
    pub(crate) fn annotation(&self, index: usize) -> &Annotation {
        self.part(index)
            .map_or(&self.annotation, |part| &part.annotation)
    }

    fn bands(&self, index: usize, label: Option<Array2<u8>>) -> Result<Example> {
        let pixels = self.pixels(index)?;
        let (_, height, width) = pixels.image.dim();
        if let Some([rows, cols]) = (label.as_ref())
            .map(|label| [label.nrows(), label.ncols()])
            .filter(|size| *size != [height, width])
        {
            return Err(Error::format(
                self.origin(index),
                format!(
                    "sample {}: a label of {rows} × {cols} pixels for an image of {height} × {width}",
                    self.source.name(index)
                ),
            ));
        }
        let missing = pixels.inputs.absences();
        let example = self.masked(index, pixels, label);
        self.warn_of_gaps(index, &example, &missing);
        Ok(example)
    }

    /// Warns, once per container, of an optional band that has no data in all or some
    /// pixels; `missing` are the bands that the sample does not have at all.
    fn warn_of_gaps(&self, index: usize, example: &Example, missing: &[bool]) {
        let optional = self.config.optional_positions();
        for band in optional.into_iter().filter(|band| !missing[*band]) {
            let empty = example.absent[band];
            let plane = example.image.index_axis(Axis(0), band);
            let gaps = plane.iter().filter(|value| value.is_nan()).count();
            if !empty && gaps == 0 {
                continue;
            }
            let name = &self.config.bands[band];
            let key = format!("{name} {empty}");
            self.warn_once(index, key, || match empty {
                true => {
                    format!("{name} is empty (no data or 0 in every pixel), and is declared absent")
                }
                false => {
                    let valid = example.valid.iter().filter(|valid| **valid).count();
                    let share = 100.0 * gaps as f64 / valid.max(1) as f64;
                    format!(
                        "{name} has no data in {share:.1} % of the pixels with data, and is \
                         declared absent there"
                    )
                }
            });
        }
    }

    /// The pixels of sample `index`, with its label: 0 where a required band has no data, NaN
    /// where an optional band alone has none, until [`Dataset::declare`]. Where other bands
    /// have data, an optional band that is empty is absent.
    pub(crate) fn masked(
        &self,
        index: usize,
        pixels: Pixels,
        label: Option<Array2<u8>>,
    ) -> Example {
        let Pixels {
            inputs,
            image,
            empty,
            ..
        } = pixels;
        let optional = self.config.optional_positions();
        let mut absent = inputs.absences();
        let there: Vec<usize> = (0..absent.len()).filter(|band| !absent[*band]).collect();
        let mut image = inputs.bands(image);
        if empty.iter().any(|empty| !empty) {
            let empty = there.iter().zip(&empty).filter(|(_, empty)| **empty);
            for (band, _) in empty.filter(|(band, _)| optional.contains(band)) {
                absent[*band] = true;
                image.index_axis_mut(Axis(0), *band).fill(0.0);
            }
        }
        let valid = gaps::valid(&image, &absent, &optional);
        let (_, height, width) = image.dim();
        for mut plane in image.outer_iter_mut() {
            plane.zip_mut_with(&valid, |value, valid| {
                if !valid {
                    *value = 0.0;
                }
            });
        }
        let mut label = label.unwrap_or_else(|| Array2::from_elem((height, width), IGNORE));
        label.zip_mut_with(&valid, |class, valid| {
            if !valid {
                *class = IGNORE;
            }
        });
        Example {
            name: self.source.name(index),
            image,
            label,
            teacher: None,
            valid,
            absent,
        }
    }

    /// Crops to the configured size.
    pub(crate) fn crop(&self, example: Example) -> Example {
        match self.config.size {
            Some(size) => example.cropped(size),
            None => example,
        }
    }

    /// Crops or pads to the configured size, as samples of one batch must be.
    pub(crate) fn fit(&self, example: Example) -> Example {
        match self.config.size {
            Some(size) => example.cropped(size).padded(size),
            None => example,
        }
    }

    /// Adds the channels that declare bands absent to an image of bands alone, where an
    /// optional band has no data (NaN) too. Where another band has lost its value in
    /// between, the pixel is no longer valid.
    pub(crate) fn declare(&self, mut example: Example) -> Example {
        let optional = self.config.optional_positions();
        if optional.is_empty() {
            return example;
        }
        let finite = gaps::valid(&example.image, &example.absent, &optional);
        for ((valid, label), finite) in
            (example.valid.iter_mut().zip(&mut example.label)).zip(&finite)
        {
            if *valid && !finite {
                (*valid, *label) = (false, IGNORE);
            }
        }
        let flags: Vec<bool> = optional.iter().map(|band| example.absent[*band]).collect();
        example.image = with_flags(example.image, &flags);
        let (valid, absent) = (&example.valid, &example.absent);
        gaps::declare(&mut example.image, valid, absent, &optional);
        for mut plane in example.image.outer_iter_mut() {
            plane.zip_mut_with(valid, |value, valid| {
                if !valid {
                    *value = 0.0;
                }
            });
        }
        example
    }

    fn unlabelled(&self, index: usize) -> Error {
        let message = format!("sample {} has no label", self.source.name(index));
        Error::format(self.origin(index), message)
    }

    /// The label in classes, from its own raster or from the label channel.
    pub(crate) fn label(&self, index: usize) -> Result<Option<Array2<u8>>> {
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
                plane.index_axis(Axis(0), 0).mapv(|v| {
                    // NaN and fractions are no label: -1 is never a class.
                    let whole = v as i64;
                    if whole as f32 == v { whole } else { -1 }
                })
            }
        };
        let mut unknown = None;
        let codes = self.annotation(index).codes(&self.source.name(index));
        // Neighbours mostly have the same label.
        let mut before = None;
        let label = stored.mapv(|value| match before {
            Some((last, code)) if last == value => code,
            _ => {
                let code = codes.get(&value).copied().unwrap_or_else(|| {
                    unknown.get_or_insert(value);
                    IGNORE
                });
                before = Some((value, code));
                code
            }
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

impl Example {
    /// The upper left `size` × `size` pixels, or as many as there are.
    fn cropped(self, size: usize) -> Self {
        let (_, height, width) = self.image.dim();
        if height <= size && width <= size {
            return self;
        }
        let (rows, cols) = (height.min(size), width.min(size));
        Self {
            image: self.image.slice(s![.., ..rows, ..cols]).to_owned(),
            label: self.label.slice(s![..rows, ..cols]).to_owned(),
            teacher: (self.teacher).map(|planes| planes.slice(s![.., ..rows, ..cols]).to_owned()),
            valid: self.valid.slice(s![..rows, ..cols]).to_owned(),
            ..self
        }
    }

    /// Filled up with its own reflection, below and to the right, to `size` × `size`; what
    /// is added has no label.
    fn padded(self, size: usize) -> Self {
        let (bands, height, width) = self.image.dim();
        if height.min(width) >= size || height == 0 || width == 0 {
            return self;
        }
        let (tall, wide) = (height.max(size), width.max(size));
        let [rows, cols] = [(height, tall), (width, wide)].map(|(side, to)| {
            let shown = (0..to as isize).map(|at| mirrored(at, side));
            shown.collect::<Vec<usize>>()
        });
        let mut label = Array2::from_elem((tall, wide), IGNORE);
        label.slice_mut(s![..height, ..width]).assign(&self.label);
        let teacher = self.teacher.map(|planes| {
            let mut all = unknown([tall, wide]);
            all.slice_mut(s![.., ..height, ..width]).assign(&planes);
            all
        });
        Self {
            teacher,
            image: Array3::from_shape_fn((bands, tall, wide), |(band, row, col)| {
                self.image[[band, rows[row], cols[col]]]
            }),
            valid: Array2::from_shape_fn((tall, wide), |(row, col)| {
                self.valid[[rows[row], cols[col]]]
            }),
            label,
            ..self
        }
    }
}
