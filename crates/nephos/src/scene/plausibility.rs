//! Whether numbers can be reflectance.
//!
//! A wrong scale gives a mask that looks like one and is wrong. The limits are where
//! real scenes do not reach and wrong scales do:
//!
//! | seen in | band | 1st percentile | median | 99th |
//! |---|---|---|---|---|
//! | Landsat 8 biome patches, brightest cloud | nir | 0.70 | 1.02 | 1.36 |
//! | the same, brightest snow | blue | 0.94 | 0.95 | 0.97 |
//! | the same, brightest sand | swir16 | 0.44 | 0.48 | 0.51 |
//! | the same, cloud of ice | cirrus | 0.04 | 0.13 | 0.47 |
//! | the same, water in the dark | swir22 | 0.001 | 0.001 | 0.007 |
//! | Sentinel-2 L2A in October at 53° N, low sun | blue | −0.01 | 0.26 | 1.80 |
//! | its cloud alone | blue | 0.13 | 1.08 | 1.80 |
//! | Landsat 8 numbers / 10000, gain and offset forgotten | nir | 0.98 | 1.50 | 2.03 |
//! | the same | swir16 | 0.74 | 1.11 | 1.72 |
//! | reflectance × 3, clouds | blue | 0.47 | 0.60 | 2.63 |
//! | the same, clear land | nir08 | 0.23 | 1.41 | 2.43 |
//!
//! Not detectable in a histogram: an offset of 0.1 left out where nothing is dark, or a scale
//! wrong by less than half.
//!
//! Numbers without a stated scale are refused where they can't be reflectance;
//! of others that is a warning, but for an offset that was applied twice. What the limits
//! of a refusal were tested on, beside the table:
//!
//! | seen in | what | limit |
//! |---|---|---|
//! | Sentinel-2 L2A, cloud under a low sun, 256² to 64² pixels | blue has a median of 1.46 to 1.80, its 99th percentile is 1.80; the darkest of blue, green, red and nir has 0.74 of the brightest's median | 2.1; 0.7 |
//! | Landsat 8 numbers / 10000 | the same share is 0.53 | 0.7 |
//! | the same | the darkest band's 1st percentile is 0.50; 0.25 in 518 real images | 0.45 |
//! | the same, red, green and blue alone | of the 1st percentiles, red's is 20 % below blue's; 11 % in real images as bright | 15 % |
//! | Sentinel-2 L2A, 64² to 256² pixels | at most 1.8 % of a band is below −0.05, at most 0.4 % of 256² pixels | 5 % |
//!
//! Whether 1000 was added to Sentinel-2's numbers is inferred from the darkest band of each
//! pixel: see [`Numbers::added`].

use std::fmt;

use ndarray::{Array2, ArrayView3, Zip};

use super::places::places;
use super::{Origin, Radiometry, Scene, SceneBand, SceneInfo};
use crate::band::{canonical, is_known, is_thermal};
use crate::error::{Error, Result};

/// Bound of the 99th percentile: brighter than clouds get, and than
/// [`SATURATED_REFLECTANCE`](super::SATURATED_REFLECTANCE).
const BRIGHTEST: f32 = 2.1;
/// The median is below, even where all is cloud, but under a low sun.
const BRIGHT_MEDIAN: f32 = 1.25;
/// Where all is cloud, the darkest of the visible and near infrared bands has at least
/// this share of the brightest's median.
const WHITE: f32 = 0.7;
/// The median is below in the shortwave infrared, where snow and ice are dark.
const BRIGHT_SHORTWAVE_MEDIAN: f32 = 0.9;
/// The 1st percentile is above: correction for the atmosphere leaves less below 0.
const DARKEST: f32 = -0.2;
/// Below this, reflectance is clearly negative …
const NEGATIVE: f32 = -0.05;
/// … in fewer than this share of the pixels.
const NEGATIVE_SHARE: f32 = 0.05;
/// The 99th percentile of some band is above, except at night.
const ALL_DARK: f32 = 0.005;
/// With a shortwave infrared band the 1st percentile of some band is below.
const BRIGHT_FLOOR: f32 = 0.45;
/// Share of the blue 1st percentile by which the red one is below it, at most, where both
/// are brighter than [`BRIGHT_FLOOR`].
const COLOURED_FLOOR: f32 = 0.15;

/// Fewest pixels from which constancy is inferred.
const FEWEST_PIXELS: usize = 100;
/// Fewest pixels that may be refused.
const FEWEST_TO_REFUSE: usize = 256;

/// Why numbers can hardly be reflectance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// One for each kind of oddity, with the bands that show it and their percentiles.
    pub reasons: Vec<String>,
    /// Whether they are not to be segmented unless the user accepts them.
    pub refuses: bool,
}

impl Doubt {
    /// The refusal as an error about `what`: a file, or a sample of one.
    pub fn error(&self, what: &dyn fmt::Display) -> Error {
        Error::usage(format!(
            "{what}: its numbers can't be reflectance as they are read: {self}. Say how they \
             become reflectance with `options.scale` and `options.offset`, reflectance = (stored + \
             offset) / scale; or accept them with `options.assume_reflectance`"
        ))
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reasons.join("; "))
    }
}

/// Checks a sample of pixels, spread evenly over the scene, and returns what can't be
/// reflectance. `None` where nothing is odd. Thermal bands are left out; where no scale is
/// stated, other bands of the scene are read too, to detect whether 1000 was added.
///
/// At most a million pixels of each band are sampled, in at most 64 of the scene's
/// blocks.
///
/// # Errors
/// A band the scene lacks, or a broken file.
pub fn implausible(scene: &dyn Scene, bands: &[usize]) -> Result<Option<Doubt>> {
    let info = scene.info();
    let mut looked: Vec<usize> = (bands.iter().copied())
        .filter(|index| (info.bands.get(*index)).is_none_or(|band| !is_thermal(&band.name)))
        .collect();
    let used = looked.len();
    let unstated = |band: &SceneBand| band.radiometry.origin.is_unstated();
    if (looked.iter()).all(|index| info.bands.get(*index).is_some_and(unstated)) {
        looked.extend((0..info.bands.len()).filter(|index| {
            let band = &info.bands[*index];
            !bands.contains(index)
                && unstated(band)
                && is_known(&band.name)
                && !is_thermal(&band.name)
        }));
    }
    let mut numbers = Numbers::new(
        (looked.iter())
            .filter_map(|index| info.bands.get(*index))
            .map(|band| (band.name.as_str(), &band.radiometry)),
        used,
    );
    for window in places(info.size, info.block) {
        numbers.add(scene.read(&looked, window)?.view());
    }
    Ok(numbers.doubt(is_product(info)))
}

/// Whether the radiometry is from an agency's own metadata: these are trusted.
fn is_product(info: &SceneInfo) -> bool {
    ["Sentinel-2", "Landsat"]
        .iter()
        .any(|agency| info.product.starts_with(agency))
}

/// Reflectance of some bands, to be checked.
pub(crate) struct Numbers {
    bands: Vec<Band>,
    /// The requested bands come first; those after them only show whether 1000 was
    /// added.
    used: usize,
    /// The least of all bands' reflectance at each pixel that has them all.
    darkest: Vec<f32>,
}

struct Band {
    name: String,
    radiometry: Radiometry,
    values: Vec<f32>,
}

impl Numbers {
    /// Of bands with these names and radiometries, none of them thermal.
    pub fn new<'a>(bands: impl Iterator<Item = (&'a str, &'a Radiometry)>, used: usize) -> Self {
        let band = |(name, radiometry): (&str, &Radiometry)| Band {
            name: name.to_owned(),
            radiometry: radiometry.clone(),
            values: Vec::new(),
        };
        Self {
            bands: bands.map(band).collect(),
            used,
            darkest: Vec::new(),
        }
    }

    /// Adds pixels, `[bands, rows, cols]` of reflectance, NaN where there is no data.
    pub fn add(&mut self, planes: ArrayView3<'_, f32>) {
        for (band, plane) in self.bands.iter_mut().zip(planes.outer_iter()) {
            band.values
                .extend(plane.iter().filter(|value| value.is_finite()));
        }
        // Of each pixel the least number and the largest magnitude, NaN where one is.
        let mut least = Array2::from_elem([planes.dim().1, planes.dim().2], f32::INFINITY);
        let mut largest = Array2::<f32>::zeros(least.raw_dim());
        for plane in planes.outer_iter() {
            Zip::from(&mut least)
                .and(&mut largest)
                .and(&plane)
                .for_each(|least, largest, value| {
                    *least = least.min(*value);
                    let magnitude = value.abs();
                    *largest = match magnitude > *largest || magnitude.is_nan() {
                        true => magnitude,
                        false => *largest,
                    };
                });
        }
        // A border of zeros is no dark land.
        let has_data = |largest: &f32| largest.is_finite() && *largest != 0.0;
        let pixels = least.iter().zip(&largest);
        (self.darkest)
            .extend(pixels.filter_map(|(least, largest)| has_data(largest).then_some(*least)));
    }

    /// What can't be reflectance; `product`: an agency's own metadata are applied.
    pub fn doubt(self, product: bool) -> Option<Doubt> {
        let Self {
            bands,
            used,
            darkest,
        } = self;
        let origins: Vec<Origin> = bands.iter().map(|band| band.radiometry.origin).collect();
        let ten_thousandths = bands.iter().all(|band| {
            let Radiometry { gain, bias, .. } = band.radiometry;
            (1.0 / gain - 10_000.0).abs() < 0.5 && bias == 0.0
        });
        let mut seen: Vec<Option<Seen>> = (bands.into_iter())
            .map(|band| Seen::of(&band.name, band.values))
            .collect();
        let all: Vec<&Seen> = seen.iter().flatten().collect();
        let added = ten_thousandths && added(&all, darkest);
        seen.truncate(used);
        let seen: Vec<&Seen> = seen.iter().flatten().collect();
        if seen.is_empty() {
            let empty = "no sampled pixel, spread over the image, has data; where \
                         numbers are taken for no data that are none, say the right one with \
                         `options.nodata`";
            return (used > 0).then(|| Doubt {
                reasons: vec![empty.to_owned()],
                refuses: false,
            });
        }
        let used = &origins[..used];
        let unstated = used.iter().any(|origin| origin.is_unstated());
        let assumed = |origin: &Origin| matches!(origin, Origin::Assumed | Origin::MetadataAssumed);
        let may_refuse = !used.iter().any(assumed) && seen.iter().all(|band| band.is_enough());
        let mut found = Reasons::default();
        found.bright(&seen, unstated);
        found.negative(
            &seen,
            unstated || used.contains(&Origin::Metadata) && !product,
        );
        found.floors(&seen, unstated && ten_thousandths, added);
        found.dark(&seen);
        found.constant(&seen);
        let Reasons { reasons, refuses } = found;
        (!reasons.is_empty()).then_some(Doubt {
            reasons,
            refuses: refuses && may_refuse,
        })
    }
}

/// Whether 1000 was added to Sentinel-2's numbers, and not taken off: of reflectance ×
/// 10000 in `bands`, with the least of each pixel.
///
/// Under no cloud some band of nearly every scene is darker than 0.05 somewhere: water in
/// the infrared, shadow and forest in the red, the cirrus band all over. With 1000 added
/// these lie just above 0.1, and next to nothing below; but for the noise of surface
/// reflectance, which in four bands and more has floors at 0.1 all the same. Snow, sand and
/// closed cloud have such floors too, but higher, or are bright. Tested on 523 real
/// images: none of four bands or more is classified so, 5 of 514 in the visible alone; with
/// 1000 added, all 31 and 106 of 111 of seven bands are, of four bands 21 and 44.
fn added(bands: &[&Seen], mut darkest: Vec<f32>) -> bool {
    if darkest.len() < FEWEST_TO_REFUSE || bands.is_empty() {
        return false;
    }
    let below = |limit: f32| {
        darkest.iter().filter(|value| **value < limit).count() as f32 / darkest.len() as f32
    };
    let beyond_visible = bands.iter().any(|band| !is_visible(&band.name));
    let [noise, under, edge, near] = [0.085, 0.1, 0.115, 0.15].map(below);
    let floors = (bands.iter())
        .filter(|band| (0.09..=0.115).contains(&band.percentiles[0]))
        .count();
    let middle = darkest.len() / 2;
    let median = *darkest.select_nth_unstable_by(middle, f32::total_cmp).1;
    let brightest = (bands.iter()).fold(0.0, |most, band| band.percentiles[1].max(most));
    let hard_edge = under <= 0.0005
        && (edge >= 0.01 || beyond_visible && near >= 0.05 && median < 0.2 && brightest < 0.45);
    hard_edge || beyond_visible && floors >= 4 && noise <= 0.005
}

/// Reasons for doubt, and whether they suffice to refuse.
#[derive(Default)]
struct Reasons {
    reasons: Vec<String>,
    refuses: bool,
}

impl Reasons {
    fn bright(&mut self, seen: &[&Seen], unstated: bool) {
        let too_bright: Vec<&Seen> = (seen.iter().copied())
            .filter(|band| band.is_bright())
            .collect();
        if too_bright.is_empty() {
            return;
        }
        let medians = || {
            (seen.iter())
                .filter(|band| !is_shortwave(&band.name))
                .map(|band| band.percentiles[1])
        };
        let least = medians().fold(f32::INFINITY, f32::min);
        let most = medians().fold(0.0, f32::max);
        // Cloud under a low sun is as bright, and white.
        let coloured = least < WHITE * most;
        self.refuses |= unstated && too_bright.iter().any(|band| band.is_too_bright(coloured));
        let what = match too_bright.iter().all(|band| band.whole) {
            true => "these are whole numbers that were not scaled",
            false => "clouds and snow are not as bright",
        };
        self.reasons.push(format!(
            "too bright is {}; {what}",
            listed(&too_bright, Seen::described)
        ));
    }

    fn negative(&mut self, seen: &[&Seen], refusable: bool) {
        let negative: Vec<&Seen> = (seen.iter().copied())
            .filter(|band| band.negative >= NEGATIVE_SHARE || band.percentiles[0] < DARKEST)
            .collect();
        if negative.is_empty() {
            return;
        }
        let clearly = |band: &&Seen| band.negative >= NEGATIVE_SHARE;
        self.refuses |= refusable && negative.iter().any(clearly);
        let share = |band: &Seen| {
            let share = (100.0 * band.negative).round();
            format!("{} ({share} % below {NEGATIVE})", band.described())
        };
        self.reasons.push(format!(
            "far below 0 is {}; no reflectance is, and where an offset is applied that was \
             applied before, `options.offset = 0` leaves it out",
            listed(&negative, share)
        ));
    }

    fn floors(&mut self, seen: &[&Seen], unstated: bool, added: bool) {
        if unstated && added {
            self.refuses = true;
            self.reasons.push(
                "hardly a number is below 1000, and the darkest lie just above it, as in \
                 Sentinel-2 products of processing baseline 04.00 and later, where 1000 was \
                 added to each: `options.scale = 10000` with `options.offset = -1000` takes it off"
                    .to_owned(),
            );
        }
        let floor = |name: &str| {
            let band = seen.iter().find(|band| canonical(&band.name) == name);
            band.map(|band| band.percentiles[0])
        };
        let lowest = (seen.iter()).fold(f32::INFINITY, |low, band| band.percentiles[0].min(low));
        let bright = lowest >= BRIGHT_FLOOR && seen.iter().any(|band| is_shortwave(&band.name));
        let coloured = match (floor("blue"), floor("red")) {
            (Some(blue), Some(red)) => {
                lowest >= BRIGHT_FLOOR && red < (1.0 - COLOURED_FLOOR) * blue
            }
            _ => false,
        };
        if unstated && (bright || coloured) {
            self.refuses = true;
            self.reasons.push(format!(
                "no band has anything darker than {}, as in Landsat's own numbers: surface \
                 reflectance of Collection 2 takes `options.scale = 36363.64` and \
                 `options.offset = -7272.73`, and Level-1 its whole folder, with the MTL file",
                short(lowest)
            ));
        }
    }

    fn dark(&mut self, seen: &[&Seen]) {
        let brightest = (seen.iter().filter(|band| !is_cirrus(&band.name)))
            .max_by(|a, b| a.percentiles[2].total_cmp(&b.percentiles[2]));
        if let Some(band) = brightest.filter(|band| band.percentiles[2].abs() < ALL_DARK) {
            self.reasons.push(format!(
                "the brightest band is {}: land, sea and clouds reach more than {ALL_DARK} in \
                 daylight",
                band.described()
            ));
        }
    }

    fn constant(&mut self, seen: &[&Seen]) {
        let constant: Vec<&Seen> = (seen.iter().copied())
            .filter(|band| band.constant && band.pixels >= FEWEST_PIXELS)
            .collect();
        if !constant.is_empty() {
            let value = |band: &Seen| format!("{} ({})", band.name, short(band.percentiles[0]));
            self.reasons.push(format!(
                "all sampled pixels are the same in {}, which no land, sea or cloud is; where \
                 it means no data, say so with `options.nodata`",
                listed(&constant, value)
            ));
        }
    }
}

/// Statistics of one band.
struct Seen {
    name: String,
    /// 1st, 50th and 99th.
    percentiles: [f32; 3],
    /// Share that is clearly below 0.
    negative: f32,
    pixels: usize,
    constant: bool,
    /// Whether no number has a fraction.
    whole: bool,
}

impl Seen {
    /// `None` without a value.
    fn of(name: &str, mut values: Vec<f32>) -> Option<Self> {
        let last = values.len().checked_sub(1)?;
        let first = values[0];
        let constant = values.iter().all(|value| *value == first);
        let whole = values.iter().all(|value| value.fract() == 0.0);
        let negative = values.iter().filter(|value| **value < NEGATIVE).count();
        let mut percentile = |share: usize| {
            let position = (last * share + 50) / 100;
            *values.select_nth_unstable_by(position, f32::total_cmp).1
        };
        Some(Self {
            name: name.to_owned(),
            percentiles: [percentile(1), percentile(50), percentile(99)],
            negative: negative as f32 / (last + 1) as f32,
            pixels: last + 1,
            constant,
            whole,
        })
    }

    /// Whether there are enough pixels to refuse them.
    fn is_enough(&self) -> bool {
        self.pixels >= FEWEST_TO_REFUSE
    }

    fn is_bright(&self) -> bool {
        let [_, median, high] = self.percentiles;
        high > BRIGHTEST || median > self.bright_median()
    }

    /// Whether no cloud is as bright; `coloured`: nor is it cloud by its colour.
    fn is_too_bright(&self, coloured: bool) -> bool {
        let [_, median, high] = self.percentiles;
        let by_median = coloured || is_shortwave(&self.name);
        high > BRIGHTEST || by_median && median > self.bright_median()
    }

    fn bright_median(&self) -> f32 {
        match is_shortwave(&self.name) {
            true => BRIGHT_SHORTWAVE_MEDIAN,
            false => BRIGHT_MEDIAN,
        }
    }

    /// As in `nir (percentiles 1, 50 and 99: 0.98, 1.5 and 2.03)`.
    fn described(&self) -> String {
        let [low, median, high] = self.percentiles.map(short);
        format!(
            "{} (percentiles 1, 50 and 99: {low}, {median} and {high})",
            self.name
        )
    }
}

/// As in `a, b and c`.
fn listed(bands: &[&Seen], describe: impl Fn(&Seen) -> String) -> String {
    let mut texts: Vec<String> = bands.iter().map(|band| describe(band)).collect();
    let last = texts.pop().unwrap_or_default();
    match texts.is_empty() {
        true => last,
        false => format!("{} and {last}", texts.join(", ")),
    }
}

/// About three digits, whatever the size.
fn short(value: f32) -> String {
    let rounded: f32 = format!("{value:.2e}").parse().unwrap_or(value);
    rounded.to_string()
}

fn is_cirrus(name: &str) -> bool {
    canonical(name) == "cirrus"
}

fn is_visible(name: &str) -> bool {
    let name = canonical(name);
    ["coastal", "blue", "green", "red", "pan", "gray"].contains(&name.as_str())
}

fn is_shortwave(name: &str) -> bool {
    let name = canonical(name);
    name.starts_with("swir") || name == "cirrus"
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    fn doubt(names: &[&str], origin: Origin, reflectance: &Array3<f32>) -> Option<Doubt> {
        let radiometry = Radiometry::scaled(10_000.0, 0.0, origin);
        let bands = names.iter().map(|name| (*name, &radiometry));
        let mut numbers = Numbers::new(bands, names.len());
        numbers.add(reflectance.view());
        numbers.doubt(false)
    }

    /// Bands with numbers spread from `low` to `high`.
    fn ramps(ranges: &[[f32; 2]]) -> Array3<f32> {
        Array3::from_shape_fn((ranges.len(), 200, 300), |(band, row, col)| {
            let [low, high] = ranges[band];
            low + (high - low) * (row * 300 + col) as f32 / 60_000.0
        })
    }

    #[test]
    fn reflectance_is_plausible() {
        for (name, low, high) in [
            ("red", 0.0, 0.4),
            ("nir", 0.6, 1.4),
            ("blue", -0.03, 1.9),
            ("swir16", 0.0, 0.8),
            ("red", 0.001, 0.03),
        ] {
            let found = doubt(&[name], Origin::Guessed, &ramps(&[[low, high]]));
            assert_eq!(found, None, "{name} {low}..{high}");
        }
        // Water is dark in the infrared, and the cirrus band nearly everywhere.
        let water = ramps(&[[0.0, 0.08], [0.0, 0.004], [0.0, 0.002]]);
        let names = ["green", "swir22", "cirrus"];
        assert_eq!(doubt(&names, Origin::Guessed, &water), None);
        // Closed cloud and sand have no dark pixel.
        let names = ["blue", "green", "red", "nir", "swir16"];
        let cloud = ramps(&[[0.7, 1.1], [0.7, 1.1], [0.65, 1.1], [0.7, 1.2], [0.2, 0.4]]);
        assert_eq!(doubt(&names, Origin::Guessed, &cloud), None);
        let sand = ramps(&[
            [0.15, 0.3],
            [0.2, 0.35],
            [0.25, 0.5],
            [0.3, 0.6],
            [0.4, 0.7],
        ]);
        assert_eq!(doubt(&names, Origin::Guessed, &sand), None);
    }

    #[test]
    fn implausible_numbers_of_unstated_scale_are_refused() {
        type Case<'a> = (&'a [&'a str], &'a [[f32; 2]], &'a str);
        let cases: [Case<'_>; 8] = [
            (&["red"], &[[0.0, 4000.5]], "too bright is red"),
            (
                &["red", "nir"],
                &[[0.6, 1.3], [0.9, 2.0]],
                "too bright is nir",
            ),
            (&["swir16"], &[[0.7, 1.5]], "too bright is swir16"),
            (&["red"], &[[-0.5, 0.4]], "far below 0 is red"),
            (
                &["red", "nir"],
                &[[-0.1, 0.1], [0.0, 0.4]],
                "`options.offset = 0`",
            ),
            (
                &["blue", "green", "red", "nir"],
                &[[0.16, 0.3], [0.14, 0.3], [0.103, 0.3], [0.11, 0.4]],
                "`options.offset = -1000`",
            ),
            (
                &["blue", "green", "red"],
                &[[0.78, 1.4], [0.7, 1.3], [0.62, 1.3]],
                "36363.64",
            ),
            (
                &["red", "nir", "swir16"],
                &[[0.6, 1.1], [0.8, 1.2], [0.55, 0.9]],
                "MTL",
            ),
        ];
        for (names, ranges, text) in cases {
            let numbers = ramps(ranges);
            for origin in [Origin::Guessed, Origin::Configuration] {
                let found = doubt(names, origin, &numbers).unwrap();
                assert!(found.refuses, "{names:?} {found}");
                let error = found.error(&"a.tif").to_string();
                for option in ["scale", "offset", "assume_reflectance"] {
                    assert!(error.contains(&format!("`options.{option}")), "{error}");
                }
                assert!(error.contains("a.tif") && error.contains(text), "{error}");
            }
            let given = doubt(names, Origin::Given, &numbers);
            assert!(given.is_none_or(|doubt| !doubt.refuses), "{names:?}");
            let assumed = doubt(names, Origin::Assumed, &numbers).unwrap();
            assert!(!assumed.refuses, "{names:?}");
        }
    }

    #[test]
    fn an_offset_applied_twice_is_refused_unless_the_user_states_it() {
        let numbers = ramps(&[[-0.1, 0.1], [0.0, 0.4]]);
        let names = ["red", "nir"];
        assert!(doubt(&names, Origin::Metadata, &numbers).unwrap().refuses);
        assert!(
            !doubt(&names, Origin::MetadataAssumed, &numbers)
                .unwrap()
                .refuses
        );
        assert!(!doubt(&names, Origin::Given, &numbers).unwrap().refuses);
        // An agency's metadata are trusted.
        let radiometry = Radiometry::scaled(10_000.0, -1000.0, Origin::Metadata);
        let mut product = Numbers::new(names.iter().map(|name| (*name, &radiometry)), 2);
        product.add(numbers.view());
        assert!(!product.doubt(true).unwrap().refuses);
        // Noise of water, as of real surface reflectance, is none.
        assert_eq!(
            doubt(&["red"], Origin::Metadata, &ramps(&[[-0.052, 0.2]])),
            None
        );
    }

    #[test]
    fn odd_numbers_are_a_warning() {
        for (low, high, text) in [
            (0.0, 0.00004, "in daylight"),
            (0.2, 0.2, "`options.nodata`"),
            (f32::NAN, 1.0, "no sampled pixel"),
        ] {
            let found = doubt(&["red"], Origin::Guessed, &ramps(&[[low, high]])).unwrap();
            assert!(!found.refuses && found.reasons.len() == 1, "{found}");
            assert!(found.reasons[0].contains(text), "{found}");
        }
        let whole = ramps(&[[0.0, 60_000.0]]).mapv(f32::round);
        let whole = doubt(&["red"], Origin::Given, &whole).unwrap();
        assert!(whole.reasons[0].contains("whole numbers"), "{whole}");
        // Cloud under a low sun is brighter than most, and white.
        let cloud = ramps(&[[1.2, 1.8], [1.1, 1.7], [1.1, 1.6], [1.0, 1.5]]);
        let cloud = doubt(&["blue", "green", "red", "nir"], Origin::Guessed, &cloud).unwrap();
        assert!(!cloud.refuses, "{cloud}");
        // One reason names all bands.
        let bright = ramps(&[[0.0, 4.0], [0.0, 5.0]]);
        let bright = doubt(&["red", "nir"], Origin::Given, &bright).unwrap();
        assert!(
            bright.reasons.len() == 1 && bright.reasons[0].contains("and nir"),
            "{bright}"
        );
    }
}
