//! How the stored numbers of a sample become a model's input.
//!
//! A sample whose file states how its numbers become reflectance is read as a scene;
//! so is one for which the user states it. Otherwise the configuration decides
//! (`data.scale`, `data.offset`), unless the numbers contradict it: then the scale is inferred
//! as for scenes, with one warning per container.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ndarray::Array3;

use super::{Dataset, Inputs};
use crate::band;
use crate::config::DataConfig;
use crate::error::{Error, Result};
use crate::raster::{DType, Window};
use crate::scene::{
    self, Numbers, Origin, Radiometry, Scene, SceneInfo, SceneOptions, UndeclaredRadiometry,
};

/// Samples of a container that are sampled together where one of them contradicts the
/// configuration.
const SAMPLES_READ: usize = 16;
/// Numbers of a band that are sampled in one sample.
const NUMBERS: usize = 1 << 14;
/// A last axis as short as this may be that of the channels.
const MOST_CHANNELS: usize = 32;
/// Square arrays with a side as short as this may be anything.
const SHORT_SIDE: usize = 16;

/// A scale, and what the numbers then are.
type Guess = (f64, &'static str);

/// Radiometry of the samples of a data set, as determined so far; clones share it.
#[derive(Default)]
pub(crate) struct Readings {
    samples: Mutex<BTreeMap<usize, Arc<Known>>>,
    /// The inferred scale by container and number format, and its description.
    guesses: Mutex<BTreeMap<(PathBuf, &'static str), Guess>>,
    /// Warnings given, by container.
    said: Mutex<BTreeSet<(PathBuf, String)>>,
}

/// Metadata of one sample.
pub(crate) struct Known {
    /// Names of its channels, or of its bands where it is a raster; `None`: those of
    /// `data.channels`.
    names: Option<Vec<String>>,
    /// How many there are.
    channels: usize,
    source: Source,
    dtype: DType,
    /// How it is read where its file does not say; found with its numbers.
    stored: OnceLock<Stored>,
    /// Whether its numbers were checked.
    checked: OnceLock<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Array,
    /// A raster file, and whether it states a no-data number.
    Raster {
        nodata: bool,
    },
    /// The same, which states a scale, or of which the user does.
    Stated {
        nodata: bool,
    },
}

/// Input = (stored + `offset`) / `scale`; reflectance = (stored + `offset`) /
/// `reflectance`.
#[derive(Debug, Clone, Copy)]
struct Stored {
    offset: f32,
    scale: f32,
    reflectance: f64,
    origin: Origin,
}

/// A sample's bands as model input.
pub(crate) struct Pixels {
    pub inputs: Inputs,
    /// `[bands that are there, rows, cols]` in units of the model's input, NaN where there
    /// is no data.
    pub image: Array3<f32>,
    /// Whether each of them is empty: only no data and the stored number 0.
    pub empty: Vec<bool>,
    /// What was done to each of them.
    pub radiometry: Vec<Radiometry>,
    pub dtype: DType,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dataset {
    /// The configured bands of sample `index` that are there.
    ///
    /// # Errors
    /// A broken file, a band that the sample lacks, an array of another layout, or numbers
    /// that can't be reflectance.
    pub(crate) fn pixels(&self, index: usize) -> Result<Pixels> {
        let known = self.known(index)?;
        let inputs = self.inputs_of(index, &known)?;
        let positions = inputs.positions();
        let (mut image, fixed) = self.numbers(index, &known, &positions)?;
        let nothing = |(band, plane): (usize, ndarray::ArrayView2<'_, f32>)| {
            let zero = fixed.as_ref().map_or(0.0, |made| made[band].apply(0.0));
            plane.iter().all(|value| value.is_nan() || *value == zero)
        };
        let empty = image.outer_iter().enumerate().map(nothing).collect();
        let (radiometry, per_input) = match fixed {
            // Reflectance.
            Some(radiometry) => {
                let gain = self.config.input_gain();
                image.mapv_inplace(|reflectance| reflectance * gain);
                (radiometry, 1.0 / gain)
            }
            None => {
                let stored = match known.stored.get() {
                    Some(stored) => *stored,
                    None => {
                        let stored = self.stored(index, &known, &inputs, &image)?;
                        *known.stored.get_or_init(|| stored)
                    }
                };
                let Stored { offset, scale, .. } = stored;
                image.mapv_inplace(|number| (number + offset) / scale);
                let nodata = self.nodata(&known);
                let of = Radiometry::scaled(stored.reflectance, offset.into(), stored.origin);
                let per_input = scale / stored.reflectance as f32;
                (vec![of.with_nodata(nodata); positions.len()], per_input)
            }
        };
        if known.checked.get().is_none() {
            self.check(index, &inputs, &image, per_input, &radiometry)?;
            known.checked.get_or_init(|| ());
        }
        Ok(Pixels {
            inputs,
            image,
            empty,
            radiometry,
            dtype: known.dtype,
        })
    }

    /// Whether sample `index` is a raster file, which takes longer to read than an array.
    ///
    /// # Errors
    /// A broken file.
    pub(crate) fn is_raster(&self, index: usize) -> Result<bool> {
        Ok(self.known(index)?.source != Source::Array)
    }

    /// Bands of sample `index`, NaN where there is no data: stored numbers, or reflectance
    /// with its radiometry.
    fn numbers(
        &self,
        index: usize,
        known: &Known,
        positions: &[usize],
    ) -> Result<(Array3<f32>, Option<Vec<Radiometry>>)> {
        let given = &self.config.given;
        let mut options = self.options(index)?;
        match known.source {
            Source::Stated { nodata } => {
                options.offset = given.offset;
                if !nodata {
                    options.nodata = options.nodata.or(self.configured_nodata(known.dtype));
                }
                let scene = self.as_scene(index, &options)?;
                let image = scene.read(positions, whole(scene.info()))?;
                let bands = &scene.info().bands;
                let radiometry = positions.iter().map(|band| bands[*band].radiometry.clone());
                Ok((image, Some(radiometry.collect())))
            }
            Source::Raster { .. } => {
                (options.scale, options.offset) = (Some(1.0), Some(0.0));
                let scene = self.as_scene(index, &options)?;
                let mut image = scene.read(positions, whole(scene.info()))?;
                self.blank(index, &mut image, known);
                Ok((image, None))
            }
            Source::Array => {
                let mut image = self.source.read(index, positions)?;
                self.blank(index, &mut image, known);
                Ok((image, None))
            }
        }
    }

    /// Replaces the no-data number of the configuration or the user by NaN, and fills that are
    /// not declared, with one warning.
    fn blank(&self, index: usize, image: &mut Array3<f32>, known: &Known) {
        let nodata = self.nodata(known).map(|nodata| nodata as f32);
        let (offset, unit) = (self.config.offset, self.config.quantification);
        // NaN: no number is no data.
        if nodata.is_none_or(|number| !number.is_nan()) {
            let mut filled = None;
            image.mapv_inplace(|number| {
                let reflectance = f64::from(number + offset) / f64::from(unit);
                if !scene::is_fill(number.into(), reflectance) {
                    return number;
                }
                if Some(number) != nodata {
                    filled.get_or_insert(number);
                }
                f32::NAN
            });
            if let Some(number) = filled {
                self.warn_once(index, format!("fill {number}"), || {
                    format!(
                        "{number} is no reflectance and taken as no data; data.nodata or \
                         `options.nodata` says otherwise"
                    )
                });
            }
        }
        image.mapv_inplace(
            |number| match number.is_finite() && Some(number) != nodata {
                true => number,
                false => f32::NAN,
            },
        );
    }

    /// The stored number that means no data in a sample, beside those of its file.
    fn nodata(&self, known: &Known) -> Option<f64> {
        let stated = matches!(known.source, Source::Raster { nodata: true });
        let configured = self.config.nodata.filter(|_| !stated).map(f64::from);
        self.config.given.nodata.or(configured)
    }

    /// The same as an option of a raster, which accepts only numbers of its format.
    fn configured_nodata(&self, dtype: DType) -> Option<f64> {
        let configured = self.config.nodata.map(f64::from)?;
        crate::raster::fit_nodata(configured, dtype)
    }

    /// Metadata of sample `index`, without its numbers.
    fn known(&self, index: usize) -> Result<Arc<Known>> {
        if let Some(known) = lock(&self.readings.samples).get(&index) {
            return Ok(known.clone());
        }
        let known = Arc::new(self.find_out(index)?);
        let mut samples = lock(&self.readings.samples);
        Ok(samples.entry(index).or_insert(known).clone())
    }

    fn find_out(&self, index: usize) -> Result<Known> {
        let dtype = self.source.dtype(index)?;
        let mut known = Known {
            names: None,
            channels: self.source.shape(index)?[0],
            source: Source::Array,
            dtype,
            stored: OnceLock::new(),
            checked: OnceLock::new(),
        };
        let options = self.options(index)?;
        let own = self.source.channel_names(index)?;
        let own = own.filter(|_| !self.config.given.channels);
        let Some(scene) = self.source.scene(index, &options)? else {
            known.names = own;
            return Ok(known);
        };
        let info = scene.info();
        let names: Vec<String> = info.bands.iter().map(|band| band.name.clone()).collect();
        // Names that the file gives; else those usual for such a file, where the
        // configuration names none.
        let usual = || {
            !self.config.given.channels
                && self.config.channels == DataConfig::default().channels
                && names.iter().all(|name| band::is_known(name))
        };
        known.channels = names.len();
        if own.is_some() || usual() {
            known.names = Some(names);
        }
        let stated = |origin: Origin| !origin.is_unstated();
        let nodata = (info.bands.iter()).any(|band| band.radiometry.nodata.is_some());
        known.source = match (info.bands.iter())
            .any(|band| !band::is_thermal(&band.name) && stated(band.radiometry.origin))
        {
            true => Source::Stated { nodata },
            false => Source::Raster { nodata },
        };
        Ok(known)
    }

    /// How a raster is opened: with the user's options, but for the offset.
    fn options(&self, index: usize) -> Result<SceneOptions> {
        let given = &self.config.given;
        let count = self.source.shape(index)?[0];
        let channels = &self.config.channels;
        Ok(SceneOptions {
            bands: (given.channels && channels.len() == count).then(|| channels.clone()),
            scale: given.scale,
            nodata: given.nodata,
            assume_reflectance: self.config.assume_reflectance,
            ..SceneOptions::default()
        })
    }

    fn as_scene(&self, index: usize, options: &SceneOptions) -> Result<Box<dyn Scene>> {
        (self.source.scene(index, options)?)
            .ok_or_else(|| Error::format(self.origin(index), "a raster that is none any more"))
    }

    /// Channels, or bands of the scene, that hold the configured bands of a sample.
    fn inputs_of(&self, index: usize, known: &Known) -> Result<Inputs> {
        if known.source == Source::Array {
            self.check_layout(index)?;
        }
        let names = known.names.as_ref().unwrap_or(&self.config.channels);
        let names = &names[..names.len().min(known.channels)];
        let find = |requested: &str| {
            let requested = band::canonical(requested);
            (names.iter()).position(|name| band::canonical(name) == requested)
        };
        let inputs = Inputs::find(&self.config, |name, substitute| {
            find(name).or_else(|| find(band::substitute(name).filter(|_| substitute)?))
        });
        inputs.map_err(|missing| {
            let origin = match known.names {
                Some(_) => "its own band names",
                None => "data.channels",
            };
            let count = known.channels;
            Error::usage(format!(
                "{} has no band `{missing}`; by {origin} its {count} channels are {}. Where these \
                 names are wrong, say them with `options.bands`",
                self.called(index),
                names.join(", "),
            ))
        })
    }

    /// Refuses arrays whose channels are on an unexpected axis.
    fn check_layout(&self, index: usize) -> Result<()> {
        let [first, second, last] = self.source.shape(index)?;
        let seems_last = |[first, second, last]: [usize; 3]| {
            let short = last <= MOST_CHANNELS && last < first && last < second;
            short && (first > MOST_CHANNELS || first == second && first >= SHORT_SIDE)
        };
        if !self.config.channels_last && seems_last([first, second, last]) {
            return Err(Error::usage(format!(
                "{} is an array of shape [{first}, {second}, {last}], which looks like [height, \
                 width, channels]; [channels, height, width] is expected. `options.channels_last` \
                 (in a configuration: data.channels_last = true) reads it as it is; or save it with \
                 np.moveaxis(array, -1, -3)",
                self.called(index)
            )));
        }
        // As stored: [second, last, first].
        if self.config.channels_last && second <= MOST_CHANNELS && first > MOST_CHANNELS {
            return Err(Error::usage(format!(
                "{} is an array of shape [{second}, {last}, {first}], whose channels come first: \
                 leave out `options.channels_last` (data.channels_last)",
                self.called(index)
            )));
        }
        Ok(())
    }

    /// Radiometry of a sample whose file states none; `image` holds its stored numbers.
    fn stored(
        &self,
        index: usize,
        known: &Known,
        inputs: &Inputs,
        image: &Array3<f32>,
    ) -> Result<Stored> {
        let config = &self.config;
        let given = &config.given;
        let offset = given.offset.map_or(config.offset, |offset| offset as f32);
        if let Some(scale) = given.scale {
            return Ok(Stored {
                offset: given.offset.map_or(0.0, |offset| offset as f32),
                ..of_scale(config, scale, Origin::Given)
            });
        }
        let origin = match given.offset {
            Some(_) => Origin::Given,
            None if config.assume_reflectance => Origin::Assumed,
            None => Origin::Configuration,
        };
        let configured = Stored {
            offset,
            scale: config.scale,
            reflectance: config.quantification.into(),
            origin,
        };
        let reflective = reflective(inputs);
        let numbers = UndeclaredRadiometry::of(known.dtype, some(image, &reflective));
        let fits =
            |scale: f32, numbers: &UndeclaredRadiometry| numbers.fits(scale.into(), offset.into());
        let Some(numbers) = numbers.filter(|_| !config.assume_reflectance) else {
            return Ok(configured);
        };
        if fits(config.quantification, &numbers) {
            return Ok(configured);
        }
        // A model whose `quantification` does not apply to its own samples.
        if fits(config.scale, &numbers) {
            return Ok(Stored {
                reflectance: config.scale.into(),
                ..configured
            });
        }
        let (scale, meaning) = self.guess(index, known.dtype, &numbers)?;
        if scale == f64::from(config.quantification) {
            return Ok(configured);
        }
        self.warn_once(index, "scale", || {
            format!(
                "no scale is stated, and {} can't be reflectance × {} as the configuration says \
                 (data.quantification): they are taken as {meaning}, inferred from number format \
                 and range; `options.scale` and `options.offset` change it",
                numbers.describe(),
                config.quantification
            )
        });
        Ok(of_scale(config, scale, Origin::Guessed))
    }

    /// The inferred scale of a container's samples of one number format.
    fn guess(&self, index: usize, dtype: DType, own: &UndeclaredRadiometry) -> Result<Guess> {
        let key = (self.origin(index).to_owned(), dtype.name());
        if let Some(guess) = lock(&self.readings.guesses).get(&key) {
            return Ok(*guess);
        }
        let range = (self.part(index)).map_or(0..self.len(), |part| part.samples.clone());
        let step = range.len().div_ceil(SAMPLES_READ).max(1);
        let mut numbers = Vec::new();
        for other in range.step_by(step) {
            let known = match self.known(other) {
                Ok(known) if known.dtype == dtype => known,
                // Its errors are returned when it is read.
                _ => continue,
            };
            if matches!(known.source, Source::Stated { .. }) {
                continue;
            }
            let Ok(inputs) = self.inputs_of(other, &known) else {
                continue;
            };
            let (image, _) = self.numbers(other, &known, &inputs.positions())?;
            numbers.extend(some(&image, &reflective(&inputs)));
        }
        let pooled = UndeclaredRadiometry::of(dtype, numbers.into_iter());
        let guess = pooled.as_ref().unwrap_or(own).guess();
        lock(&self.readings.guesses).insert(key, guess);
        Ok(guess)
    }

    /// Refuses numbers that can't be reflectance, and warns, once per container, of others
    /// that are odd. Reflectance = `image` × `per_input`.
    fn check(
        &self,
        index: usize,
        inputs: &Inputs,
        image: &Array3<f32>,
        per_input: f32,
        radiometry: &[Radiometry],
    ) -> Result<()> {
        let names = inputs.present();
        let bands = reflective(inputs);
        let mut planes = thinned(image, &bands);
        planes.mapv_inplace(|input| input * per_input);
        let named = (bands.iter()).map(|band| (names[*band].as_str(), &radiometry[*band]));
        let mut numbers = Numbers::new(named, bands.len());
        numbers.add(planes.view());
        match numbers.doubt(false) {
            Some(doubt) if doubt.refuses => Err(doubt.error(&self.called(index))),
            Some(doubt) => {
                self.warn_once(index, "odd", || doubt.to_string());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Container and sample, for messages.
    fn called(&self, index: usize) -> String {
        format!(
            "{}: sample {}",
            self.origin(index).display(),
            self.source.name(index)
        )
    }

    /// Warns of something about the container of sample `index`, once.
    pub(crate) fn warn_once(
        &self,
        index: usize,
        what: impl Into<String>,
        message: impl Fn() -> String,
    ) {
        let key = (self.origin(index).to_owned(), what.into());
        if lock(&self.readings.said).insert(key) {
            tracing::warn!(
                "{}: {} (said once of this container)",
                self.called(index),
                message()
            );
        }
    }
}

/// Reading by a scale of reflectance: input = reflectance × quantification / scale.
fn of_scale(config: &DataConfig, scale: f64, origin: Origin) -> Stored {
    let input = scale * f64::from(config.scale) / f64::from(config.quantification);
    Stored {
        offset: 0.0,
        scale: input as f32,
        reflectance: scale,
        origin,
    }
}

/// Positions among the bands that are there of those that are not thermal.
fn reflective(inputs: &Inputs) -> Vec<usize> {
    let names = inputs.present();
    (0..names.len())
        .filter(|band| !band::is_thermal(&names[*band]))
        .collect()
}

/// Numbers of some bands, evenly over the image.
fn some<'a>(image: &'a Array3<f32>, bands: &'a [usize]) -> impl Iterator<Item = f32> + 'a {
    let (_, rows, cols) = image.dim();
    let step = (rows * cols).div_ceil(NUMBERS).max(1);
    bands.iter().flat_map(move |band| {
        (image
            .index_axis(ndarray::Axis(0), *band)
            .into_iter()
            .copied())
        .step_by(step)
    })
}

/// Some rows of some bands, evenly over the image.
fn thinned(image: &Array3<f32>, bands: &[usize]) -> Array3<f32> {
    let (_, rows, cols) = image.dim();
    let step = (rows * cols).div_ceil(4 * NUMBERS).max(1).min(rows.max(1));
    let rows: Vec<usize> = (0..rows).step_by(step).collect();
    (image.select(ndarray::Axis(0), bands)).select(ndarray::Axis(1), &rows)
}

fn whole(info: &SceneInfo) -> Window {
    let [rows, cols] = info.size;
    Window {
        row: 0,
        col: 0,
        rows,
        cols,
    }
}
