//! Which pixels of a raster have no data: numbers that its file declares, and fills that
//! are recognised where it does not.
//!
//! Separate from how stored numbers become reflectance
//! ([`Radiometry`](super::Radiometry), which also has the one number that a band's
//! metadata declare). NaN and infinities are never data.

mod recognise;

use ndarray::{Array3, Axis};

pub(crate) use recognise::is_fill;
pub(super) use recognise::{places, recognise};

use super::SceneBand;
use crate::error::{Error, Result};
use crate::raster::DType;
use crate::raster::tiff::fit_nodata;

/// Beyond this a stored number is a fill, such as the lowest or highest of its format,
/// and not a measurement in any unit.
const HUGE: f64 = 1e9;
/// Marks, as a NaN with this payload, a number that is no data where others are too.
const MARK: u32 = 0x7fc5_a500;
/// Most combinations, each of which has a payload of its own.
const MOST_COMBINATIONS: usize = 16;

/// What no data is in the bands of a scene, beside each band's declared number.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct NoData {
    /// Of each band: numbers that are no data wherever they are.
    numbers: Vec<Vec<f64>>,
    /// Whether numbers beyond [`HUGE`] are no data.
    huge: bool,
    combinations: Vec<Combination>,
    /// What was recognised, one sentence each.
    pub found: Vec<String>,
}

/// Numbers that are no data where several bands hold them at once: all of them, but for
/// those that have no data anyway. Such a pixel has no data in any band.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Combination {
    /// Band and number.
    pub parts: Vec<(usize, f64)>,
}

impl NoData {
    /// What was recognised, and how to have it as data, one sentence each.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let note = |found: &String| {
            let found = found.trim_end_matches('.');
            format!("{found}; `options.nodata = none` makes it data.")
        };
        self.found.iter().map(note)
    }

    /// Declared in a file for band `band`, beside the number of its radiometry.
    pub fn declare(&mut self, band: usize, number: f64) {
        if self.numbers.len() <= band {
            self.numbers.resize(band + 1, Vec::new());
        }
        if !self.numbers[band].contains(&number) {
            self.numbers[band].push(number);
        }
    }

    /// See [`Combination`].
    pub fn combine(&mut self, combination: Combination) {
        if self.combinations.len() < MOST_COMBINATIONS {
            self.combinations.push(combination);
        }
    }

    /// Whether the number alone says that the band has no data.
    pub fn holds(&self, band: usize, stored: f64) -> bool {
        !stored.is_finite()
            || (self.huge && stored.abs() >= HUGE)
            || (self.numbers.get(band)).is_some_and(|numbers| numbers.contains(&stored))
    }

    /// The bands of a window in reflectance, NaN where there is no data: `gather` gives
    /// the requested bands with each stored number converted, and NaN where a mask
    /// says that nothing is.
    pub fn reflectance(
        &self,
        scene: &[SceneBand],
        bands: &[usize],
        gather: impl FnOnce(&[usize], Converter<'_>) -> Result<Array3<f32>>,
    ) -> Result<Array3<f32>> {
        let converter = Converter {
            nodata: self,
            bands: scene,
        };
        if self.combinations.is_empty() {
            return gather(bands, converter);
        }
        // Whatever is requested, the bands of the combinations decide.
        let mut all = bands.to_vec();
        for (band, _) in self.combinations.iter().flat_map(|c| &c.parts) {
            if !all.contains(band) {
                all.push(*band);
            }
        }
        let mut out = gather(&all, converter)?;
        self.settle(scene, &all, &mut out);
        out.slice_collapse(ndarray::s![..bands.len(), .., ..]);
        match out.is_standard_layout() {
            true => Ok(out),
            false => Ok(out.as_standard_layout().into_owned()),
        }
    }

    /// Makes marks no data or numbers.
    fn settle(&self, scene: &[SceneBand], all: &[usize], out: &mut Array3<f32>) {
        let (_, rows, cols) = out.dim();
        let place = |band: usize| all.iter().position(|other| *other == band);
        for (index, combination) in self.combinations.iter().enumerate() {
            let mut every = vec![true; rows * cols];
            let mut any = vec![false; rows * cols];
            for (band, _) in &combination.parts {
                let Some(position) = place(*band) else {
                    continue;
                };
                let plane = out.index_axis(Axis(0), position);
                for ((value, every), any) in plane.iter().zip(&mut every).zip(&mut any) {
                    let marked = is_mark(*value, index);
                    *any |= marked;
                    *every &= marked || (value.is_nan() && mark_of(*value).is_none());
                }
            }
            for mut plane in out.outer_iter_mut() {
                for ((value, every), any) in plane.iter_mut().zip(&every).zip(&any) {
                    if *every && *any {
                        *value = f32::NAN;
                    }
                }
            }
        }
        for (mut plane, band) in out.outer_iter_mut().zip(all) {
            let number = |index: usize| {
                let part = self.combinations.get(index)?.parts.iter();
                part.clone().find(|part| part.0 == *band).map(|part| part.1)
            };
            plane.mapv_inplace(|value| match mark_of(value).and_then(number) {
                Some(stored) => scene[*band].radiometry.apply(stored),
                None => value,
            });
        }
    }

    /// Stored numbers, NaN where there is no data; for few pixels at a time. `all` are
    /// the bands of `stored`, and hold those of the combinations.
    pub fn blank(&self, scene: &[SceneBand], all: &[usize], stored: &mut Array3<f64>) {
        for (mut plane, band) in stored.outer_iter_mut().zip(all) {
            let declared = scene[*band].radiometry.nodata;
            plane.mapv_inplace(|v| match declared == Some(v) || self.holds(*band, v) {
                true => f64::NAN,
                false => v,
            });
        }
        for combination in &self.combinations {
            for mut pixel in stored.lanes_mut(Axis(0)) {
                if combination.is_at(all, |position| pixel[position]) {
                    pixel.fill(f64::NAN);
                }
            }
        }
    }
}

impl Combination {
    /// The same number in several bands.
    pub fn of(bands: &[usize], number: f64) -> Self {
        Self {
            parts: bands.iter().map(|band| (*band, number)).collect(),
        }
    }

    /// Whether a pixel, whose numbers `of` gives by their position in `all`, is this.
    fn is_at(&self, all: &[usize], of: impl Fn(usize) -> f64) -> bool {
        let mut any = false;
        for (band, number) in &self.parts {
            let Some(position) = all.iter().position(|other| other == band) else {
                continue;
            };
            let stored = of(position);
            any |= stored == *number;
            if stored != *number && !stored.is_nan() {
                return false;
            }
        }
        any
    }
}

/// From stored numbers to reflectance, NaN or a mark where there may be no data.
#[derive(Clone, Copy)]
pub(super) struct Converter<'a> {
    nodata: &'a NoData,
    bands: &'a [SceneBand],
}

impl Converter<'_> {
    /// Of a number of band `band`.
    pub fn convert(&self, band: usize, stored: f64) -> f32 {
        if self.nodata.holds(band, stored) {
            return f32::NAN;
        }
        let radiometry = &self.bands[band].radiometry;
        if radiometry.nodata != Some(stored) {
            for (index, combination) in self.nodata.combinations.iter().enumerate() {
                if combination.parts.contains(&(band, stored)) {
                    return f32::from_bits(MARK | index as u32);
                }
            }
        }
        radiometry.apply(stored)
    }
}

/// Which combination a value is a mark of.
fn mark_of(value: f32) -> Option<usize> {
    let bits = value.to_bits();
    (bits & !0xff == MARK).then_some((bits & 0xff) as usize)
}

fn is_mark(value: f32, index: usize) -> bool {
    mark_of(value) == Some(index)
}

/// The number of [`SceneOptions::nodata`](super::SceneOptions::nodata), as pixels of `dtype` hold
/// it; `None` where it is NaN, which says that no number does.
///
/// # Errors
/// A number that no pixel can have.
pub(super) fn given(path: &std::path::Path, number: f64, dtype: DType) -> Result<Option<f64>> {
    let fitting = fit_nodata(number, dtype);
    if fitting.is_some() || number.is_nan() {
        return Ok(fitting);
    }
    Err(Error::usage(format!(
        "{}: `options.nodata = {number}` is no {} number, which is what the pixels are",
        path.display(),
        dtype.name()
    )))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::scene::{Origin, Radiometry};

    fn bands(nodata: [Option<f64>; 3]) -> Vec<SceneBand> {
        let band = |nodata| SceneBand {
            name: "red".into(),
            source: "red".into(),
            dtype: DType::U16,
            resolution: None,
            radiometry: Radiometry::scaled(10.0, 0.0, Origin::Given).with_nodata(nodata),
        };
        nodata.map(band).to_vec()
    }

    /// Reads `stored`, `[band, 1, pixel]`, of bands `requested`.
    fn read(
        nodata: &NoData,
        scene: &[SceneBand],
        stored: &Array3<f64>,
        requested: &[usize],
    ) -> Vec<Vec<f32>> {
        let found = nodata.reflectance(scene, requested, |bands, converter| {
            let (_, rows, cols) = stored.dim();
            Ok(Array3::from_shape_fn(
                (bands.len(), rows, cols),
                |(b, r, c)| converter.convert(bands[b], stored[[bands[b], r, c]]),
            ))
        });
        let found = found.unwrap();
        found
            .outer_iter()
            .map(|plane| plane.iter().copied().collect())
            .collect()
    }

    #[test]
    fn a_combination_is_no_data_where_all_its_bands_hold_it() {
        let stored = array![
            [[0.0, 0.0, 5.0, 0.0]],
            [[0.0, 5.0, 0.0, 7.0]],
            [[9.0, 9.0, 9.0, 9.0]],
        ];
        let mut nodata = NoData::default();
        nodata.combine(Combination::of(&[0, 1], 0.0));
        let scene = bands([None; 3]);
        let red = read(&nodata, &scene, &stored, &[0]);
        assert!(red[0][0].is_nan());
        assert_eq!(red[0][1..], [0.0, 0.5, 0.0]);
        // A band that is none of the combination's has no data there either.
        let other = read(&nodata, &scene, &stored, &[2, 1]);
        assert!(other[0][0].is_nan() && other[1][0].is_nan());
        assert_eq!(other[0][1..], [0.9; 3]);
        assert_eq!(other[1][1..], [0.5, 0.0, 0.7]);
        // Where one of the bands has no data anyway, the others decide.
        let scene = bands([None, Some(7.0), None]);
        let red = read(&nodata, &scene, &stored, &[0]);
        assert!(red[0][3].is_nan() && red[0][1] == 0.0);
        let mut all = stored.clone();
        nodata.blank(&scene, &[0, 1, 2], &mut all);
        let blank = |pixel: usize| {
            all.slice(ndarray::s![.., 0, pixel])
                .iter()
                .all(|v| v.is_nan())
        };
        assert_eq!([0, 1, 2, 3].map(blank), [true, false, false, true]);
    }

    #[test]
    fn numbers_of_a_band_and_beyond_measurement() {
        let mut nodata = NoData {
            huge: true,
            ..NoData::default()
        };
        nodata.declare(1, -9999.0);
        assert!(nodata.holds(1, -9999.0) && !nodata.holds(0, -9999.0));
        assert!(nodata.holds(2, f64::from(f32::MIN)) && nodata.holds(0, 1e20));
        assert!(!NoData::default().holds(0, 1e20));
        assert!(NoData::default().holds(0, f64::NEG_INFINITY));
    }
}
