//! Simulated sky over real ground: clouds, haze and shadows with exact labels, over real
//! images without clouds.
//!
//! The ground is real, and the labels are
//! exact. What is unknown of the image is drawn: the sun's position, so that
//! terrain and clouds may be lit from different directions, and the share of the image's
//! brightness that its own air scatters. Bands keep the image's sharpness; clouds have
//! the pixel's.

use ndarray::{Array2, Array3, ArrayView3, Axis, Zip};
use rand::{Rng, RngExt};

use crate::band::{SENTINEL2, canonical};
use crate::error::{Error, Result};

use super::ground::Kind;
use super::render::Renderer;
use super::sky::{Sky, Weather};
use super::spectra::CIRRUS;
use super::{Part, Simulator, stream};

/// Label of pixels without data.
const IGNORED: u8 = 255;

/// Puts simulated skies over real images.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SkyOver {
    /// Share of the skies, in [0, 1], that are difficult, as
    /// [`Simulator::hard`](super::Simulator::hard).
    pub hard: f64,
}

/// A real image under a simulated sky.
#[derive(Debug, Clone, PartialEq)]
pub struct Overcast {
    /// `[bands, height, width]`, reflectance; NaN where the image has no data.
    pub bands: Array3<f32>,
    /// `[height, width]`, class codes, 255 where the image has no data.
    pub label: Array2<u8>,
    /// Direction of the sun, degrees clockwise from the top of the image.
    pub sun_azimuth: f32,
    /// Angle of the sun from the vertical, degrees.
    pub sun_zenith: f32,
    /// What kind of clouds.
    pub weather: Weather,
    /// Optical thickness of haze added, at 550 nm.
    pub haze: f32,
}

impl SkyOver {
    /// Position among Sentinel-2's bands of the band `name`; `None` where no light is
    /// simulated, as for thermal bands.
    pub fn band(name: &str) -> Option<usize> {
        let name = canonical(name);
        SENTINEL2.iter().position(|(_, common, _)| *common == name)
    }

    /// Sky `index` of the series of `seed` over `clear`, `[bands, height, width]`,
    /// reflectance at the top of the atmosphere, NaN for no data, of the bands `names`,
    /// with pixels of `pixel` metres.
    ///
    /// # Errors
    /// A band that is not simulated, a share or pixel out of range, or not one name per
    /// band.
    pub fn render(
        &self,
        clear: ArrayView3<'_, f32>,
        names: &[String],
        pixel: f64,
        seed: u64,
        index: u64,
    ) -> Result<Overcast> {
        let (bands, rows, cols) = clear.dim();
        let simulator = Simulator {
            pixel,
            hard: self.hard,
            ..Simulator::default()
        };
        simulator.check(rows.max(cols))?;
        if names.len() != bands {
            return Err(Error::usage(format!(
                "{} names of bands for {bands} bands",
                names.len()
            )));
        }
        let mut rng = stream(seed, Part::Over, index);
        let (sky, haze) = draw(&mut rng, rows.max(cols), pixel, self.hard);
        let renderer = Renderer::new([rows, cols], &sky, pixel);
        let mut seen = Array3::zeros((bands, rows, cols));
        let mut valid = Array2::from_elem((rows, cols), true);
        for ((name, clear), mut out) in names
            .iter()
            .zip(clear.axis_iter(Axis(0)))
            .zip(seen.axis_iter_mut(Axis(0)))
        {
            let band = Self::band(name)
                .ok_or_else(|| Error::usage(format!("no light is simulated in band `{name}`")))?;
            Zip::from(&mut valid)
                .and(clear)
                .for_each(|valid, value| *valid &= value.is_finite());
            // No data is as dark as can be while neighbours are averaged.
            let filled = clear.mapv(|v| if v.is_finite() { v } else { 0.0 });
            let mut under_haze = filled;
            add_haze(&mut under_haze, &sky, haze, band);
            out.assign(&renderer.band_over(band, under_haze.view()));
        }
        let mut label = renderer.labels();
        Zip::from(&mut label).and(&valid).for_each(|label, valid| {
            if !valid {
                *label = IGNORED;
            }
        });
        for mut out in seen.axis_iter_mut(Axis(0)) {
            Zip::from(&mut out).and(&valid).for_each(|value, valid| {
                if !valid {
                    *value = f32::NAN;
                }
            });
        }
        Ok(Overcast {
            bands: seen,
            label,
            sun_azimuth: sky.sun_azimuth,
            sun_zenith: sky.sun_zenith,
            weather: sky.weather,
            haze,
        })
    }
}

/// Sky and haze. The image brings its own air: what is drawn is a clean one, and no
/// stray light.
fn draw(rng: &mut impl Rng, size: usize, pixel: f64, hard: f64) -> (Sky, f32) {
    let kind = Kind {
        hard: rng.random::<f64>() < hard,
        realistic: true,
    };
    let haze = if rng.random_bool(0.25) {
        rng.random_range(0.05..0.5)
    } else {
        0.0
    };
    let mut sky = Sky::draw(rng, size, pixel, kind);
    sky.air.aerosol = 0.05;
    sky.air.stray = 0.0;
    (sky, haze)
}

/// Haze below the clouds: it dims the ground's light and adds its own.
fn add_haze(image: &mut Array2<f32>, sky: &Sky, haze: f32, band: usize) {
    if haze == 0.0 || band == CIRRUS {
        return;
    }
    let mut hazy = sky.air;
    hazy.aerosol = haze;
    let [_, path] = hazy.band(band).path;
    let kept = hazy.band(band).through_aerosol(sky.air.sun_cosine);
    let gases = hazy.gases(band, 0.0);
    image.mapv_inplace(|v| v * kept + gases * path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn ground(bands: usize) -> Array3<f32> {
        Array3::from_shape_fn((bands, 64, 80), |(b, r, c)| {
            0.06 + 0.02 * b as f32 + 0.05 * ((r / 8 + c / 8) % 2) as f32
        })
    }

    #[test]
    fn the_ground_is_unchanged_under_a_clear_sky() {
        let clear = ground(3);
        let names = names(&["red", "green", "blue"]);
        let over = SkyOver::default();
        let mut cloudless = 0;
        for index in 0..60 {
            let made = over.render(clear.view(), &names, 20.0, 4, index).unwrap();
            if made.weather == Weather::Cloudless && made.haze == 0.0 {
                let sky_free = made.label.iter().all(|c| *c == Class::Clear as u8);
                let same = Zip::from(&made.bands)
                    .and(&clear)
                    .all(|a, b| (a - b).abs() < 0.02);
                assert!(sky_free && same, "sky {index}");
                cloudless += 1;
            }
        }
        assert!(cloudless >= 2);
    }

    #[test]
    fn clouds_brighten_dark_ground_and_shadows_darken_it() {
        let clear = ground(7);
        let all = ["blue", "green", "red", "nir", "swir16", "swir22", "cirrus"];
        let over = SkyOver::default();
        let mut seen = [0; 2];
        for index in 0..30 {
            let made = over
                .render(clear.view(), &names(&all), 20.0, 9, index)
                .unwrap();
            let change = |class: Class| {
                let mut sum = [0.0f64; 2];
                for ((at, label), _) in made.label.indexed_iter().zip(0..) {
                    if *label == class as u8 {
                        sum[0] += f64::from(made.bands[[2, at.0, at.1]] - clear[[2, at.0, at.1]]);
                        sum[1] += 1.0;
                    }
                }
                (sum[1] > 100.0).then(|| sum[0] / sum[1])
            };
            if let Some(brighter) = change(Class::Thick) {
                assert!(brighter > 0.1, "sky {index}: {brighter}");
                seen[0] += 1;
            }
            // A veil over a shadow may be brighter than the shadow is dark.
            if let Some(darker) = change(Class::Shadow)
                .filter(|_| made.haze == 0.0 && matches!(made.weather, Weather::Cumulus))
            {
                assert!(darker < 0.01, "sky {index}: {darker}");
                seen[1] += 1;
            }
        }
        assert!(seen[0] >= 5 && seen[1] >= 1, "{seen:?}");
    }

    #[test]
    fn no_data_stays_and_equal_seeds_give_equal_skies() {
        let mut clear = ground(3);
        clear[[1, 5, 6]] = f32::NAN;
        let names = names(&["B04", "B03", "B02"]);
        let over = SkyOver { hard: 0.5 };
        let made = over.render(clear.view(), &names, 45.0, 1, 2).unwrap();
        assert_eq!(made.label[[5, 6]], IGNORED);
        assert!(made.bands[[0, 5, 6]].is_nan());
        assert_eq!(made.label.iter().filter(|c| **c == IGNORED).count(), 1);
        let again = over.render(clear.view(), &names, 45.0, 1, 2).unwrap();
        assert_eq!(made.label, again.label);
        assert!(
            made.bands
                .iter()
                .zip(&again.bands)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
        let other = over.render(clear.view(), &names, 45.0, 1, 3).unwrap();
        assert_ne!(made.label, other.label);
    }

    #[test]
    fn bands_without_light_and_wrong_counts_are_errors() {
        let clear = ground(2);
        let render = |list: &[&str], pixel| {
            SkyOver::default()
                .render(clear.view(), &names(list), pixel, 1, 0)
                .map_err(|e| e.to_string())
        };
        assert!(
            render(&["red", "lwir11"], 30.0)
                .unwrap_err()
                .contains("lwir11")
        );
        assert!(render(&["red"], 30.0).is_err());
        assert!(render(&["red", "nir"], 0.0).is_err());
    }
}
