//! Augmentation of training samples.
//!
//! Each augmentation has a file and random numbers of its own, which depend on the seed
//! of the run, the epoch and the position of the sample in it alone. Their order is
//! that of imaging: the part of the scene in view, clouds, the atmosphere, the
//! optics and the sensor, the product.
//!
//! Pixels that are not valid stay 0 in all bands, and ignored pixels stay ignored.

mod bands;
mod correction;
mod edge;
mod frame;
mod haze;
mod paste;
mod radiometry;
mod random;
mod resample;
mod sample_cache;
mod smooth;
#[cfg(test)]
mod tests;
mod view;

pub use random::AugmentSeed;

use std::sync::Arc;

use nephos_kernel::loss::Label;
use rayon::prelude::*;

use super::{Dataset, Example};
use crate::class::{CLASS_COUNT, Class};
use crate::config::{AugmentConfig, DataConfig};
use crate::error::{Error, Result};
use frame::Frame;
use random::Step;
use sample_cache::SampleCache;
use view::View;

/// Shares of cloud and shadow among the labelled pixels of samples whose clouds are
/// pasted: overcast samples would hide all of another.
const CLOUDY: std::ops::RangeInclusive<f64> = 0.005..=0.8;

/// Varies samples of one configuration.
#[derive(Clone)]
pub struct Augmenter {
    config: AugmentConfig,
    /// Names of the bands.
    names: Vec<String>,
    optional: Vec<usize>,
    /// Number of the input for reflectance 1.
    unit: f32,
    cache: SampleCache,
    clouds: Option<Clouds>,
}

/// Where clouds are taken from, and in which samples there are any.
#[derive(Clone)]
struct Clouds {
    samples: Dataset,
    cache: SampleCache,
    cloudy: Vec<usize>,
}

impl Augmenter {
    /// Varies samples of `train` as `data.augment` says; with pasting this reads all
    /// labels that clouds may come from.
    ///
    /// # Errors
    /// Samples to take clouds from that can't be opened or read, or hold no clouds.
    pub fn new(train: &Dataset, data: &DataConfig) -> Result<Self> {
        let config = data.augment.clone();
        let cache = SampleCache::default();
        let clouds = if config.paste.probability > 0.0 {
            let (samples, cache) = match &config.paste.from {
                Some(path) => (Dataset::open(path, data)?, SampleCache::default()),
                None => (train.clone(), cache.clone()),
            };
            let cloudy = cloudy(&samples)?;
            Some(Clouds {
                samples,
                cache,
                cloudy,
            })
        } else {
            None
        };
        Ok(Self {
            names: data.bands.clone(),
            optional: data.optional_positions(),
            unit: data.input_gain(),
            config,
            cache,
            clouds,
        })
    }

    /// Sample `index` of `dataset`, that of [`Augmenter::new`], varied. `focus` is a class
    /// of which a cropped sample holds a pixel, where there is one.
    ///
    /// # Errors
    /// As for [`Dataset::get`].
    pub fn get(
        &self,
        dataset: &Dataset,
        index: usize,
        draw: AugmentSeed,
        focus: Option<u8>,
    ) -> Result<Example> {
        let mut whole = self.cache.read(dataset, index)?;
        if self.config.crop.is_none() {
            whole = Arc::new(dataset.fit(Example::clone(&whole)));
        }
        let mut rng = draw.rng(Step::Frame);
        let focus = focus.and_then(|class| a_pixel_of(&whole, class, &mut rng));
        let (height, width) = whole.valid.dim();
        let size = self.config.crop.map_or([height, width], |side| [side; 2]);
        let zoom = self
            .config
            .magnification(dataset.annotation(index).pixel_size);
        let frame = Frame::draw(&self.config, zoom, [height, width], size, focus, &mut rng);
        let mut example = frame.of(&whole);
        self.paste(&mut example, draw)?;
        self.sense(&mut example, draw);
        Ok(dataset.declare(example))
    }

    /// Pastes clouds of another sample over this one.
    fn paste(&self, example: &mut Example, draw: AugmentSeed) -> Result<()> {
        let Some(clouds) = &self.clouds else {
            return Ok(());
        };
        let mut rng = draw.rng(Step::Paste);
        if !rng.chance(self.config.paste.probability) {
            return Ok(());
        }
        let chosen = clouds.cloudy[rng.below(clouds.cloudy.len())];
        let source = clouds.cache.read(&clouds.samples, chosen)?;
        // Any cloud of the source may be in view.
        let cloud = a_pixel_of(&source, Class::Thick as u8, &mut rng)
            .or_else(|| a_pixel_of(&source, Class::Thin as u8, &mut rng));
        let (height, width) = example.valid.dim();
        let (rows, cols) = source.valid.dim();
        let free = AugmentConfig {
            rotate: true,
            flip: true,
            ..self.config.clone()
        };
        let mut rng = draw.rng(Step::PastedFrame);
        let zoom = free.magnification(clouds.samples.annotation(chosen).pixel_size);
        let (have, size) = ([rows, cols], [height, width]);
        let frame = Frame::draw(&free, zoom, have, size, cloud, &mut rng);
        let source = frame.of(&source);
        let mut view = self.view(example);
        paste::paste(&mut view, &source, self.config.paste.edge);
        Ok(())
    }

    /// Atmosphere, optics, sensor and product.
    fn sense(&self, example: &mut Example, draw: AugmentSeed) {
        let config = &self.config;
        let mut view = self.view(example);
        // The first number of each step decides whether it is applied.
        let taken = |on: bool, step: Step, share: f64| {
            let mut rng = draw.rng(step);
            (on && rng.chance(share)).then_some(rng)
        };
        let share = config.probability;
        if let Some(mut rng) = taken(config.haze > 0.0, Step::Haze, share) {
            haze::haze(config, &mut view, &mut rng);
        }
        if let Some(mut rng) = taken(config.blur > 0.0, Step::Blur, share) {
            radiometry::blur(config, &mut view, &mut rng);
        }
        let gains = config.gain > 0.0 || config.band_gain > 0.0 || config.band_offset > 0.0;
        if let Some(mut rng) = taken(gains, Step::Radiometry, 1.0) {
            radiometry::gains(config, &mut view, &mut rng);
        }
        if let Some(mut rng) = taken(config.noise > 0.0, Step::Noise, share) {
            radiometry::noise(config, &mut view, &mut rng);
        }
        if let Some(mut rng) = taken(!config.saturation.is_empty(), Step::Saturation, share) {
            radiometry::saturation(config, &mut view, &mut rng);
        }
        let share = config.correction;
        if let Some(mut rng) = taken(share > 0.0, Step::Correction, share) {
            correction::correction(&mut view, &mut rng);
        }
        if let Some(mut rng) = taken(config.nodata > 0.0, Step::Edge, config.nodata) {
            edge::cut(example, &mut rng);
        }
        let share = config.band_dropout;
        if let Some(mut rng) = taken(share > 0.0, Step::Bands, share) {
            bands::drop_out(example, &self.names, &self.optional, &mut rng);
        }
    }

    fn view<'a>(&'a self, example: &'a mut Example) -> View<'a> {
        View {
            example,
            names: &self.names,
            unit: self.unit,
        }
    }
}

/// Samples with clouds and with something else.
fn cloudy(pool: &Dataset) -> Result<Vec<usize>> {
    let share = |index: usize| -> Result<Option<usize>> {
        let counts = pool.class_counts(index)?;
        let total: u64 = counts.iter().sum();
        let clouds = total - counts[Class::Clear as usize];
        Ok(CLOUDY
            .contains(&(clouds as f64 / total.max(1) as f64))
            .then_some(index))
    };
    let found: Vec<Option<usize>> = (0..pool.len())
        .into_par_iter()
        .map(share)
        .collect::<Result<_>>()?;
    let cloudy: Vec<usize> = found.into_iter().flatten().collect();
    if cloudy.is_empty() {
        return Err(Error::format(
            pool.path(),
            "no sample has clouds over less than 80 % of it: there is nothing to paste \
             (data.augment.paste)",
        ));
    }
    Ok(cloudy)
}

/// Any pixel of a class, or of a set of classes of which it is the first.
fn a_pixel_of(example: &Example, class: u8, rng: &mut random::AugmentRng) -> Option<[usize; 2]> {
    let is = |code: u8| Label::of(code).is_some_and(|l| l.first() == usize::from(class));
    let count = example.label.iter().filter(|code| is(**code)).count();
    let chosen = rng.below(count);
    let mut pixels = example.label.indexed_iter().filter(|(_, code)| is(**code));
    pixels.nth(chosen).map(|((row, col), _)| [row, col])
}

impl Dataset {
    /// Labelled pixels of each class in sample `index`; all 0 without a label.
    pub(crate) fn class_counts(&self, index: usize) -> Result<[u64; CLASS_COUNT]> {
        self.counts_by(index, |code| Some(usize::from(code)))
    }

    /// The same, pixels labelled with a set of classes counting for its first.
    pub(crate) fn first_class_counts(&self, index: usize) -> Result<[u64; CLASS_COUNT]> {
        self.counts_by(index, |code| Label::of(code).map(Label::first))
    }

    /// Pixels of sample `index` by the class that `class` makes of a label; what is none is left
    /// out.
    fn counts_by(
        &self,
        index: usize,
        class: impl Fn(u8) -> Option<usize>,
    ) -> Result<[u64; CLASS_COUNT]> {
        let mut counts = [0; CLASS_COUNT];
        for code in self.label(index)?.iter().flatten() {
            if let Some(count) = class(*code).and_then(|class| counts.get_mut(class)) {
                *count += 1;
            }
        }
        Ok(counts)
    }
}
