//! Simulated Sentinel-2 images with known clouds.
//!
//! Land of 17 materials in fields, woods, towns, coasts, deserts and snow is under
//! clouds from fractal noise, each layer with its optical thickness, height and
//! phase. The sensor's image follows from a few laws of radiative transfer, each
//! cited in place; labels follow from optical thickness and from the light
//! that reaches the ground. The aim is not to replace a radiative transfer code. It
//! is that the features that separate clouds from snow, sand and haze in real images are here
//! too: colour, texture, the shift between a cloud and its shadow, water and ice
//! absorption in the shortwave infrared, and the cirrus band.
//!
//! [`SkyOver`] puts the same skies over real images without clouds.
//!
//! What is left out: clouds have no height of their own, so shadows have exactly the
//! shape of their clouds; the sensor looks straight down, so there is no parallax
//! between bands; water has no waves; months and latitudes are not modelled. By default
//! lands are of the common kinds; [`Simulator::realistic`] has them as varied as real ones
//! are (`docs/simulating.md` compares both with measured percentiles).
//!
//! | class | rule |
//! |---|---|
//! | thick cloud | optical thickness of all layers ≥ [`THICK`] |
//! | thin cloud | else ≥ [`THIN`] |
//! | cloud shadow | else, clouds take more than [`SHADOW`] of the ground's red light |
//! | clear | else |
//!
//! `docs/images/simulated.png` shows six of them, drawn by [`write_preview`].
//!
//! The same seed, index, size and pixel give the same image on the same kind of
//! machine, whatever the number of threads.

mod atmosphere;
mod cloud;
mod ground;
mod noise;
mod over;
mod over_files;
mod parcels;
mod preview;
#[cfg(test)]
mod reality;
mod render;
mod sensor;
mod sky;
mod spectra;
mod splits;
mod tiff;

pub use cloud::{THICK, THIN};
pub use ground::Landscape;
pub use over::{Overcast, SkyOver};
pub use over_files::{OverPlan, OverReport, write_over};
pub use preview::write_preview;
pub use render::SHADOW;
pub use sensor::EIGHT_BIT_STEP;
pub use sky::Weather;
pub use splits::{SplitPlan, write_splits};

use std::path::Path;

use ndarray::{Array2, Array3, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::band::SENTINEL2;
use crate::class::CLASS_COUNT;
use crate::error::{Error, Result};

use ground::{Ground, Kind};
use render::Renderer;
use sky::Sky;
use spectra::BANDS;

/// Smallest side of a simulated image, pixels.
pub const MIN_SIZE: usize = 32;

/// Largest side of a simulated image, pixels: one tile of Sentinel-2.
pub const MAX_SIZE: usize = 10_980;

/// Makes simulated images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulator {
    /// Side of a pixel in metres. Larger pixels show the same clouds smaller: a
    /// 128-pixel image at 40 m covers as much sky as one of 512 at 10 m.
    pub pixel: f64,
    /// Images that show the same land under different skies: `n`, `n + 1`, … share
    /// one region of interest.
    pub images_per_roi: usize,
    /// Share of the regions of interest, in [0, 1], with difficult content: wide
    /// snow, bright sand, open sea and floes, low sun, with no cloud, faint cloud or deep
    /// cloud of ice over them. The others do not change.
    pub hard: f64,
    /// Lands, suns, air and clouds as varied as those of real images, compared with
    /// percentiles of labelled Sentinel-2 pixels: salt and lava, high plateaux, dry
    /// woods, muddy and green water, glint, reeds, metal roofs, clean and old snow,
    /// any sun, haze and veils of cirrus. Without, images are those of earlier versions.
    pub realistic: bool,
    /// Share of the images, in [0, 1], that were once pictures of 8 bits: steps of
    /// [`EIGHT_BIT_STEP`] and nothing brighter than 255 of them.
    pub eight_bit: f64,
}

impl Default for Simulator {
    fn default() -> Self {
        Self {
            pixel: 10.0,
            images_per_roi: 1,
            hard: 0.0,
            realistic: false,
            eight_bit: 0.0,
        }
    }
}

/// One simulated image.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedScene {
    /// `[13, size, size]`, Sentinel-2 bands in the order of
    /// [`SENTINEL2`], reflectance at the top of the atmosphere
    /// × 10000, at least 1.
    pub bands: Array3<u16>,
    /// `[size, size]`, class codes.
    pub label: Array2<u8>,
    /// Direction of the sun, degrees clockwise from the top of the image.
    pub sun_azimuth: f32,
    /// Angle of the sun from the vertical, degrees.
    pub sun_zenith: f32,
    /// What kind of land.
    pub landscape: Landscape,
    /// What kind of clouds.
    pub weather: Weather,
    /// Number of the region of interest, from 0.
    pub roi: u64,
}

impl Simulator {
    /// Checks the settings and the size of images to come.
    ///
    /// # Errors
    /// A pixel outside 1..=1000 m, a share outside 0..=1, no image per region, or a size outside
    /// [`MIN_SIZE`]..=[`MAX_SIZE`].
    pub fn check(&self, size: usize) -> Result<()> {
        if !(1.0..=1000.0).contains(&self.pixel) {
            return Err(Error::usage(format!(
                "the pixel size must be 1 to 1000 m, not {}",
                self.pixel
            )));
        }
        if !(0.0..=1.0).contains(&self.hard) {
            return Err(Error::usage(format!(
                "the share of hard images must be in 0..=1, not {}",
                self.hard
            )));
        }
        if !(0.0..=1.0).contains(&self.eight_bit) {
            return Err(Error::usage(format!(
                "the share of images of 8 bits must be in 0..=1, not {}",
                self.eight_bit
            )));
        }
        if self.images_per_roi == 0 {
            return Err(Error::usage("a region of interest needs at least 1 image"));
        }
        if !(MIN_SIZE..=MAX_SIZE).contains(&size) {
            return Err(Error::usage(format!(
                "simulated images are {MIN_SIZE} to {MAX_SIZE} pixels per side, not {size}"
            )));
        }
        Ok(())
    }

    /// Image `index` of the endless series of `seed`, `size` × `size` pixels.
    ///
    /// # Errors
    /// As for [`Simulator::check`].
    pub fn simulate(&self, seed: u64, index: u64, size: usize) -> Result<SimulatedScene> {
        self.check(size)?;
        let roi = index / self.images_per_roi as u64;
        let (ground, sky) = self.draw(seed, index, size);
        let mut sensor = stream(seed, Part::Sensor, index);
        let mut scene = self.photograph(&ground, &sky, roi, &mut sensor);
        if stream(seed, Part::EightBit, index).random::<f64>() < self.eight_bit {
            scene.bands.mapv_inplace(sensor::eight_bit);
        }
        Ok(scene)
    }

    /// Land and sky of one image.
    fn draw(&self, seed: u64, index: u64, size: usize) -> (Ground, Sky) {
        let roi = index / self.images_per_roi as u64;
        let kind = Kind {
            hard: stream(seed, Part::Kind, roi).random::<f64>() < self.hard,
            realistic: self.realistic,
        };
        let mut land = stream(seed, Part::Ground, roi);
        let ground = Ground::draw(&mut land, size, self.pixel, kind);
        let mut sky = Sky::draw(&mut stream(seed, Part::Sky, index), size, self.pixel, kind);
        if self.realistic {
            sky.air.altitude = ground.altitude;
            sky.air.vapour *= ground.landscape.humidity();
        }
        (ground, sky)
    }

    fn photograph(
        &self,
        ground: &Ground,
        sky: &Sky,
        roi: u64,
        rng: &mut ChaCha8Rng,
    ) -> SimulatedScene {
        let (rows, cols) = ground.cover.dim();
        let renderer = Renderer::new([rows, cols], sky, self.pixel);
        let relief = renderer.relief(ground, self.pixel);
        let mut bands = Array3::zeros((BANDS, rows, cols));
        for (band, image) in bands.axis_iter_mut(Axis(0)).enumerate() {
            let scene = renderer.band(band, ground, &relief);
            sensor::record(&scene, band, sky.air.sun_cosine, self.pixel, rng, image);
        }
        SimulatedScene {
            bands,
            label: renderer.labels(),
            sun_azimuth: sky.sun_azimuth,
            sun_zenith: sky.sun_zenith,
            landscape: ground.landscape,
            weather: sky.weather,
            roi,
        }
    }
}

impl SimulatedScene {
    /// Writes the bands as a GeoTIFF with their names and their scale, 1/10000.
    ///
    /// # Errors
    /// More than 2 GB, or a file that can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let (bands, rows, cols) = self.bands.dim();
        let pixels: Vec<u16> = self.bands.iter().copied().collect();
        tiff::write(
            path,
            &tiff::Image {
                pixels: tiff::Stored::U16(&pixels),
                shape: [rows, cols],
                bands: &SENTINEL2.map(|(name, ..)| name.to_owned()),
                scale: &vec![[1e-4, 0.0]; bands],
            },
        )
    }

    /// Share of pixels of each class.
    pub fn class_shares(&self) -> [f64; CLASS_COUNT] {
        let mut counts = [0usize; CLASS_COUNT];
        for code in &self.label {
            counts[usize::from(*code)] += 1;
        }
        counts.map(|count| count as f64 / self.label.len() as f64)
    }
}

/// Streams of random numbers, one per part of the simulation.
#[derive(Clone, Copy)]
enum Part {
    Ground,
    Sky,
    Sensor,
    Kind,
    EightBit,
    Over,
}

/// Random numbers that depend on these three alone.
fn stream(seed: u64, part: Part, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16] = part as u8;
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests;
