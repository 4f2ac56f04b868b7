//! Radiometry of files that state none: inferred from number format and range, and
//! reported in a note.

use ndarray::{Array3, Axis};

use super::{Origin, Radiometry, SceneInfo, SceneOptions};
use crate::band;
use crate::error::Result;
use crate::raster::{DType, Window};

/// Sampled windows on each side of the scene; a scene in which the first
/// contain almost no data is sampled with the second.
const PLACES: [usize; 2] = [4, 12];
/// Rows and columns of a sampled window.
const PLACE: usize = 32;
/// Fewest valid numbers from which a scale is inferred.
pub(super) const ENOUGH: usize = 256;
/// Above this, numbers with four decimals of reflectance would be brighter than the
/// brightest cloud.
const TEN_THOUSANDTHS: f64 = 20_000.0;
/// How [`SceneInfo::product`] of a picture begins.
const PICTURE: &str = "picture";
/// Share of pixels that are 0 in every band that counts as a border.
const ZEROS: f64 = 0.005;

/// Numbers from windows spread over a scene.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    /// Of each band, without no data, sorted.
    values: Vec<Vec<f64>>,
    /// Share of the pixels that are 0 in every band.
    zeros: f64,
}

impl Sampled {
    /// Reads windows by `read`, which gives stored numbers, NaN where there is no data.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn of(
        info: &SceneInfo,
        read: impl Fn(&[usize], Window) -> Result<Array3<f64>>,
    ) -> Result<Self> {
        let bands: Vec<usize> = (0..info.bands.len()).collect();
        let mut sampled = Self::default();
        for places in PLACES {
            sampled = Self {
                values: vec![Vec::new(); bands.len()],
                zeros: 0.0,
            };
            let (mut pixels, mut zeros) = (0usize, 0usize);
            for window in spread(info, places) {
                let stored = read(&bands, window)?;
                for (plane, values) in stored.outer_iter().zip(&mut sampled.values) {
                    values.extend(plane.iter().filter(|v| v.is_finite()));
                }
                let zero = |pixel: ndarray::ArrayView1<'_, f64>| pixel.iter().all(|v| *v == 0.0);
                zeros += stored
                    .lanes(Axis(0))
                    .into_iter()
                    .filter(|p| zero(*p))
                    .count();
                pixels += window.rows * window.cols;
            }
            sampled.zeros = zeros as f64 / pixels.max(1) as f64;
            for values in &mut sampled.values {
                values.sort_by(f64::total_cmp);
            }
            let message =
                |values: &Vec<f64>| values.partition_point(|v| *v <= 0.0) + ENOUGH <= values.len();
            if sampled.values.iter().all(message) {
                break;
            }
        }
        Ok(sampled)
    }

    /// Range of the numbers of some bands, without zeros.
    fn range(&self, bands: &[usize]) -> Option<Range> {
        let values = bands.iter().flat_map(|band| &self.values[*band]);
        Range::of(values.copied().filter(|v| *v != 0.0).collect())
    }
}

/// All windows that may be sampled.
pub(super) fn places(info: &SceneInfo) -> Vec<Window> {
    PLACES
        .into_iter()
        .flat_map(|places| spread(info, places))
        .collect()
}

/// Windows in the middle of the cells of a grid of `places` × `places`, each within
/// one block.
pub(super) fn spread(info: &SceneInfo, places: usize) -> Vec<Window> {
    let along = |side: usize, block: usize, place: usize| {
        let middle = (2 * place + 1) * side / (2 * places);
        let end = ((middle / block + 1) * block).min(side);
        let count = PLACE.min(block).min(side);
        (middle.min(end.saturating_sub(count)), count)
    };
    let mut windows = Vec::new();
    for down in 0..places {
        for across in 0..places {
            let (row, rows) = along(info.size[0], info.block[0], down);
            let (col, cols) = along(info.size[1], info.block[1], across);
            let window = Window {
                row,
                col,
                rows,
                cols,
            };
            if !windows.contains(&window) {
                windows.push(window);
            }
        }
    }
    windows
}

/// Percentiles 1, 50 and 99, and the largest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
    pub max: f64,
}

impl Range {
    /// `None` without a value.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        let last = values.len().checked_sub(1)?;
        // Each is of the numbers that are not below the one before.
        let mut begin = 0;
        let mut at = |share: f64| {
            let place = (share * last as f64).round() as usize;
            let rest = &mut values[begin..];
            let (_, value, _) = rest.select_nth_unstable_by(place - begin, f64::total_cmp);
            begin = place;
            *value
        };
        Some(Self {
            low: at(0.01),
            middle: at(0.5),
            high: at(0.99),
            max: at(1.0),
        })
    }
}

/// Gives every band whose radiometry is [`Origin::Guessed`] the scale that its
/// numbers suggest, and notes it.
pub(super) fn infer_radiometry(info: &mut SceneInfo, sampled: &Sampled, options: &SceneOptions) {
    let guessed = |info: &SceneInfo, thermal: bool| -> Vec<usize> {
        (0..info.bands.len())
            .filter(|band| {
                let band = &info.bands[*band];
                band.radiometry.origin == Origin::Guessed && band::is_thermal(&band.name) == thermal
            })
            .collect()
    };
    for thermal in [false, true] {
        let bands = guessed(info, thermal);
        // Bands without a known name may be masks or angles.
        let known: Vec<usize> = (bands.iter().copied())
            .filter(|band| band::is_known(&info.bands[*band].name))
            .collect();
        let telling = if known.is_empty() { &bands } else { &known };
        let Some(first) = telling.first() else {
            continue;
        };
        let dtype = info.bands[*first].dtype;
        let range = sampled.range(telling);
        let (scale, meaning) = match thermal {
            false => reflectance(dtype, range, info.product.starts_with(PICTURE)),
            true => temperature(range),
        };
        for band in &bands {
            let radiometry = &mut info.bands[*band].radiometry;
            let nodata = radiometry.nodata;
            let (offset, origin) = match options.offset {
                Some(offset) => (offset, Origin::Given),
                None if options.assume_reflectance => (0.0, Origin::Assumed),
                None => (0.0, Origin::Guessed),
            };
            *radiometry = Radiometry::scaled(scale, offset, origin).with_nodata(nodata);
        }
        info.notes.push(note(dtype, range, thermal, meaning));
        if let (false, Some(range), None) = (thermal, range, options.offset) {
            info.notes.extend(hint(dtype, range, scale));
        }
    }
    let unstated = info
        .bands
        .iter()
        .any(|band| band.radiometry.nodata.is_none());
    if unstated && sampled.zeros >= ZEROS {
        info.notes.push(format!(
            "{:.0} % of the sampled pixels are 0 in every band, and the file states no \
             no-data number; `options.nodata = 0` leaves them out.",
            (sampled.zeros * 100.0).max(1.0)
        ));
    }
}

/// What numbers may be that start far above 0.
fn hint(dtype: DType, range: Range, scale: f64) -> Option<String> {
    if scale == 10_000.0 && (1000.0..2000.0).contains(&range.low) {
        let hint = "Hardly a number is below 1000: if this was cut from a Sentinel-2 product of \
                    processing baseline 04.00 or later, 1000 was added to each, which \
                    `options.offset = -1000` takes off.";
        return Some(hint.into());
    }
    // Zero reflectance is 7273 in Landsat Collection 2 Level-2, about 5000 in Level-1.
    if dtype == DType::U16 && (4900.0..15_000.0).contains(&range.low) {
        let hint = "Hardly a number is below 5000, as in Landsat products: surface reflectance of \
                    Collection 2 takes `options.scale = 36363.64` and `options.offset = -7272.73`; \
                    Level-1 takes its whole folder, with the MTL file.";
        return Some(hint.into());
    }
    None
}

fn note(dtype: DType, range: Option<Range>, thermal: bool, meaning: &str) -> String {
    let what = if thermal { "thermal bands" } else { "bands" };
    let numbers = match range {
        Some(range) => format!(
            "{} numbers, mostly from {} to {},",
            dtype.name(),
            short(range.low),
            short(range.high)
        ),
        None => format!("{} numbers", dtype.name()),
    };
    format!(
        "No scale is stated for the {what}: {numbers} are taken as {meaning}, inferred from number \
         format and range; `options.scale` and `options.offset` change it."
    )
}

/// Three significant digits, as whole a number as possible.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v >= 100.0 => format!("{value:.0}"),
        v => {
            let digits = (2 - v.log10().floor() as i32).clamp(0, 8) as usize;
            let text = format!("{value:.digits$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
    }
}

/// The scale of reflectance, and what the numbers then are. Only in a picture do whole
/// numbers of 16 bits go up to brightness 1: in other files such numbers have another unit, and
/// are far too bright as reflectance.
pub(super) fn reflectance(
    dtype: DType,
    range: Option<Range>,
    picture: bool,
) -> (f64, &'static str) {
    let ten_thousandths = (10_000.0, "reflectance × 10000");
    let eight_bits = (255.0, "8-bit brightness, 255 as reflectance 1");
    let sixteen_bits = (65_535.0, "16-bit brightness, 65535 as reflectance 1");
    let is_float = matches!(dtype, DType::F16 | DType::F32 | DType::F64);
    let Some(range) = range else {
        return match dtype {
            DType::U8 | DType::I8 | DType::Bool => eight_bits,
            _ if is_float => (1.0, "reflectance"),
            _ => ten_thousandths,
        };
    };
    match range.high {
        _ if matches!(dtype, DType::U8 | DType::I8 | DType::Bool) => eight_bits,
        high if is_float && high <= 3.0 => (1.0, "reflectance"),
        high if is_float && high <= 120.0 => (100.0, "reflectance in percent"),
        _ if range.max <= 255.0 => eight_bits,
        high if picture && high > TEN_THOUSANDTHS => sixteen_bits,
        _ => ten_thousandths,
    }
}

/// The scale of brightness temperature / 100 K, and what the numbers then are.
fn temperature(range: Option<Range>) -> (f64, &'static str) {
    match range.map(|range| range.middle) {
        Some(middle) if middle <= 10.0 => (1.0, "brightness temperature / 100 K"),
        Some(middle) if middle <= 500.0 => (100.0, "brightness temperature in kelvin"),
        Some(middle) if middle <= 5000.0 => (1000.0, "brightness temperature × 10 in kelvin"),
        _ => (10_000.0, "brightness temperature × 100 in kelvin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(dtype: DType, low: f64, high: f64, max: f64) -> f64 {
        let middle = (low + high) / 2.0;
        let range = Range {
            low,
            middle,
            high,
            max,
        };
        reflectance(dtype, Some(range), true).0
    }

    #[test]
    fn common_scales_are_recognised() {
        assert_eq!(scale(DType::U8, 3.0, 200.0, 255.0), 255.0);
        assert_eq!(scale(DType::U16, 200.0, 9000.0, 18000.0), 10_000.0);
        assert_eq!(scale(DType::U16, 3.0, 200.0, 255.0), 255.0);
        assert_eq!(scale(DType::U16, 6000.0, 50_000.0, 65_535.0), 65_535.0);
        assert_eq!(scale(DType::I16, -50.0, 9000.0, 12_000.0), 10_000.0);
        assert_eq!(scale(DType::F32, 0.01, 0.9, 1.7), 1.0);
        assert_eq!(scale(DType::F32, 1.0, 80.0, 120.0), 100.0);
        assert_eq!(scale(DType::F32, 100.0, 8000.0, 16_000.0), 10_000.0);
        assert_eq!(reflectance(DType::F32, None, false).0, 1.0);
        assert_eq!(reflectance(DType::U16, None, false).0, 10_000.0);
    }

    #[test]
    fn numbers_that_start_high_are_hinted_at() {
        let of = |low: f64, scale: f64| {
            let range = Range {
                low,
                middle: 2.0 * low,
                high: 3.0 * low,
                max: 4.0 * low,
            };
            hint(DType::U16, range, scale).unwrap_or_default()
        };
        assert!(of(1050.0, 10_000.0).contains("`options.offset = -1000`"));
        assert!(of(7400.0, 65_535.0).contains("`options.offset = -7272.73`"));
        assert_eq!(of(300.0, 10_000.0), "");
    }

    #[test]
    fn temperatures_become_hundreds_of_kelvin() {
        let of = |middle: f64| {
            let range = Range {
                low: 0.9 * middle,
                middle,
                high: 1.1 * middle,
                max: 1.2 * middle,
            };
            temperature(Some(range)).0
        };
        for (middle, expected) in [
            (2.9, 1.0),
            (290.0, 100.0),
            (2900.0, 1000.0),
            (29_000.0, 10_000.0),
        ] {
            assert_eq!(of(middle), expected);
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(0.012345), "0.0123");
        assert_eq!(short(1234.5), "1234");
        assert_eq!(short(2.0), "2");
        assert_eq!(short(-0.5), "-0.5");
    }
}
