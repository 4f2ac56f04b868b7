//! Whether numbers can be reflectance.
//!
//! A wrong scale gives a mask that looks like one and is wrong. The limits lie where
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
//! What no histogram tells: an offset of 0.1 left out, or a scale wrong by less than
//! half.

use super::{Scene, Window};
use crate::band::{canonical, is_thermal};
use crate::error::Result;

/// The 99th percentile is below: brighter than clouds get, and than
/// [`SATURATED_REFLECTANCE`](super::SATURATED_REFLECTANCE).
const BRIGHTEST: f32 = 2.1;
/// The median is below, even where all is cloud.
const BRIGHT_MEDIAN: f32 = 1.25;
/// The median is below in the shortwave infrared, where snow and ice are dark.
const BRIGHT_SHORTWAVE_MEDIAN: f32 = 0.9;
/// The 1st percentile is above: correction for the atmosphere leaves less below 0.
const DARKEST: f32 = -0.2;
/// The 99th percentile of some band is above, except at night.
const ALL_DARK: f32 = 0.005;

/// Most places that are looked at.
const PLACES: usize = 64;
/// Fewest, in scenes with large blocks.
const FEWEST_PLACES: usize = 4;
/// Pixels of a band that are decoded for it, about.
const DECODED: usize = 1 << 23;
/// Largest side of the window that is looked at in a place.
const SIDE: usize = 128;
/// Fewest pixels that say something on constancy.
const FEWEST_PIXELS: usize = 100;

/// Looks at a sample of pixels, spread evenly over the scene, and says what can't be
/// reflectance: a full sentence for each reason, with the band, its percentiles and the
/// option that corrects it. Empty where nothing is odd. Thermal bands are left out.
///
/// At most a million pixels of each band are looked at, in at most 64 of the scene's
/// blocks.
///
/// # Errors
/// A band the scene lacks, or a broken file.
pub fn implausible(scene: &dyn Scene, bands: &[usize]) -> Result<Vec<String>> {
    let info = scene.info();
    let reflective: Vec<usize> = (bands.iter().copied())
        .filter(|index| (info.bands.get(*index)).is_none_or(|band| !is_thermal(&band.name)))
        .collect();
    let mut values = vec![Vec::new(); reflective.len()];
    for window in places(info.size, info.block) {
        let sample = scene.read(&reflective, window)?;
        for (values, plane) in values.iter_mut().zip(sample.outer_iter()) {
            values.extend(plane.iter().filter(|value| value.is_finite()));
        }
    }
    let seen: Vec<Seen> = (reflective.iter().zip(values))
        .filter_map(|(band, values)| Seen::of(&info.bands[*band].name, values))
        .collect();
    if seen.is_empty() && !reflective.is_empty() {
        return Ok(vec![
            "no pixel of those looked at, spread over the scene, has data; where numbers are \
             taken for no data that are none, say the right one with --nodata"
                .to_owned(),
        ]);
    }
    let mut warnings: Vec<String> = seen.iter().filter_map(Seen::oddity).collect();
    let brightest = (seen.iter().filter(|band| !is_cirrus(&band.name)))
        .max_by(|a, b| a.percentiles[2].total_cmp(&b.percentiles[2]));
    if let Some(band) = brightest.filter(|band| band.percentiles[2].abs() < ALL_DARK) {
        warnings.push(band.warn(&format!(
            "and no band is brighter: land, sea and clouds reach more than {ALL_DARK} in \
             daylight. Say how numbers become reflectance with --scale and --offset"
        )));
    }
    Ok(warnings)
}

/// What was seen of one band.
struct Seen {
    name: String,
    /// 1st, 50th and 99th.
    percentiles: [f32; 3],
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
        let mut percentile = |share: usize| {
            let position = (last * share + 50) / 100;
            *values.select_nth_unstable_by(position, f32::total_cmp).1
        };
        Some(Self {
            name: name.to_owned(),
            percentiles: [percentile(1), percentile(50), percentile(99)],
            pixels: last + 1,
            constant,
            whole,
        })
    }

    /// What can't be in this band alone.
    fn oddity(&self) -> Option<String> {
        let [low, median, high] = self.percentiles;
        let brightest_median = match is_shortwave(&self.name) {
            true => BRIGHT_SHORTWAVE_MEDIAN,
            false => BRIGHT_MEDIAN,
        };
        if self.constant && self.pixels >= FEWEST_PIXELS {
            let value = format!("all {} pixels looked at are {low}", self.pixels);
            return Some(format!(
                "band {}: {value}, which no land, sea or cloud is; where it means no data, \
                 say so with --nodata",
                self.name
            ));
        }
        if high > BRIGHTEST || median > brightest_median {
            let what = match self.whole {
                true => "these are whole numbers that were not scaled",
                false => "clouds and snow are not as bright",
            };
            return Some(self.warn(&format!(
                "{what}. Say how numbers become reflectance with --scale (and --offset): \
                 reflectance = (stored + offset) / scale"
            )));
        }
        (low < DARKEST).then(|| {
            self.warn(
                "reflectance is not as far below 0. Say how numbers become reflectance with \
                 --offset (and --scale): reflectance = (stored + offset) / scale",
            )
        })
    }

    fn warn(&self, what: &str) -> String {
        let [low, median, high] = self.percentiles.map(short);
        format!(
            "band {}: the 1st, 50th and 99th percentile of its reflectance are {low}, {median} \
             and {high}; {what}",
            self.name
        )
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

fn is_shortwave(name: &str) -> bool {
    let name = canonical(name);
    name.starts_with("swir") || name == "cirrus"
}

/// Windows of at most [`SIDE`] pixels a side in the middle of blocks that are spread
/// evenly over the scene.
fn places(size: [usize; 2], block: [usize; 2]) -> Vec<Window> {
    let block = [0, 1].map(|axis| block[axis].clamp(1, size[axis].max(1)));
    // Very small blocks are taken several together.
    let block = [0, 1].map(|axis| {
        block[axis]
            .max(SIDE)
            .min(size[axis].max(1))
            .max(block[axis])
    });
    let blocks = [0, 1].map(|axis| size[axis].div_ceil(block[axis]));
    let budget = (DECODED / (block[0].saturating_mul(block[1]))).clamp(FEWEST_PLACES, PLACES);
    // As many in both directions, and more down where there are fewer across.
    let across = budget.isqrt().min(blocks[1]).max(1);
    let down = (budget / across).min(blocks[0]).max(1);
    let across = (budget / down).min(blocks[1]);
    let spread = |axis: usize, count: usize| {
        (0..count).map(move |place| {
            let first = (2 * place + 1) * blocks[axis] / (2 * count) * block[axis];
            let length = block[axis].min(size[axis] - first);
            let side = length.min(SIDE);
            (first + (length - side) / 2, side)
        })
    };
    spread(0, down)
        .flat_map(|(row, rows)| {
            spread(1, across).map(move |(col, cols)| Window {
                row,
                col,
                rows,
                cols,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::scene::{Georeference, MemoryScene};

    fn warnings(names: &[&str], reflectance: Array3<f32>) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let scene = MemoryScene::new("a", &names, reflectance, Georeference::default()).unwrap();
        let bands: Vec<usize> = (0..names.len()).collect();
        implausible(&scene, &bands).unwrap()
    }

    /// One band with numbers spread from `low` to `high`.
    fn ramp(low: f32, high: f32) -> Array3<f32> {
        Array3::from_shape_fn((1, 200, 300), |(_, row, col)| {
            low + (high - low) * (row * 300 + col) as f32 / 60_000.0
        })
    }

    #[test]
    fn reflectance_is_not_warned_of() {
        for (name, low, high) in [
            ("red", 0.0, 0.4),
            ("nir", 0.6, 1.4),
            ("blue", -0.05, 1.9),
            ("swir16", 0.0, 0.8),
            ("red", 0.001, 0.03),
            ("lwir11", 2.2, 3.1),
        ] {
            let found = warnings(&[name], ramp(low, high));
            assert!(found.is_empty(), "{name} {low}..{high}: {found:?}");
        }
        // Water is dark in the infrared, and the cirrus band nearly everywhere.
        let mut water = Array3::zeros((3, 200, 300));
        for (mut band, high) in water.outer_iter_mut().zip([0.08, 0.004, 0.002]) {
            band.assign(&ramp(0.0, high).index_axis(ndarray::Axis(0), 0));
        }
        assert!(warnings(&["green", "swir22", "cirrus"], water).is_empty());
    }

    #[test]
    fn what_can_not_be_reflectance_is() {
        for (name, low, high, text) in [
            ("red", 0.0, 4000.5, "--scale"),
            ("nir", 0.9, 1.9, "--scale"),
            ("swir16", 0.7, 1.5, "--scale"),
            ("red", -0.5, 0.4, "--offset"),
            ("red", 0.0, 0.00004, "in daylight"),
            ("red", 0.1, 0.1, "--nodata"),
            ("red", f32::NAN, 1.0, "no pixel"),
        ] {
            let found = warnings(&[name], ramp(low, high));
            assert_eq!(found.len(), 1, "{name} {low}..{high}: {found:?}");
            assert!(found[0].contains(text), "{found:?}");
            assert!(text == "no pixel" || found[0].starts_with(&format!("band {name}: ")));
        }
        let whole = warnings(&["red"], ramp(0.0, 60_000.0).mapv(f32::round));
        assert!(whole[0].contains("whole numbers"), "{whole:?}");
    }

    #[test]
    fn places_are_few_within_the_scene_and_spread() {
        for (size, block, count) in [
            ([10_980, 10_980], [512, 512], 30),
            ([10_980, 10_980], [1024, 1024], 8),
            ([10_980, 10_980], [1, 10_980], 5),
            ([10_980, 10_980], [256, 256], 64),
            ([603, 627], [1, 627], 5),
            ([10_980, 10_980], [10_980, 10_980], 1),
            ([1, 1], [1, 1], 1),
        ] {
            let places = places(size, block);
            assert_eq!(places.len(), count, "{size:?} {block:?}");
            for window in &places {
                assert!(window.row + window.rows <= size[0] && window.rows >= 1);
                assert!(window.col + window.cols <= size[1] && window.cols >= 1);
                assert!(window.rows <= SIDE && window.cols <= SIDE);
            }
        }
        assert!(places([0, 0], [0, 0]).is_empty());
    }
}
