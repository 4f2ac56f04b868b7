//! Fill values that are not declared, recognised from a sample of pixels.
//!
//! Two kinds: numbers that no reflectance can be (−9999, the lowest number of the
//! format), which are no data in any band wherever they are; and numbers that may be one
//! (0, 65535), which are no data only where all bands hold them at once, and only if a
//! good share of the pixels does and nothing else comes near.

use ndarray::Array3;

use super::{Combination, HUGE, NoData};
use crate::band;
use crate::error::Result;
use crate::raster::tiff::fit_nodata;
use crate::raster::{DType, Window};
use crate::scene::infer_radiometry::spread;
use crate::scene::{SceneBand, SceneInfo};

/// Numbers that writers fill with: no data where they are below [`LOWEST`] reflectance.
const BELOW: [f64; 9] = [
    -99.0, -999.0, -9999.0, -10_000.0, -28_672.0, -32_767.0, -32_768.0, -99_999.0, -999_999.0,
];
/// Reflectance is never as far below 0.
const LOWEST: f64 = -0.5;
/// Of thermal bands, whatever their unit.
const COLDEST: f64 = -999.0;
/// Numbers that may be fills, depending on the other numbers.
const EVERYWHERE: [f64; 4] = [0.0, -999.0, 32_767.0, 65_535.0];
/// Such a number is so many times the highest other one, if above 0.
const LEAST_GAP: f64 = 1.6;
/// The lowest other number, where such a number is below 0.
const LOWEST_OTHER: f64 = -400.0;
/// Share of all pixels, or of those along the scene's edge, that make it a fill.
const SHARE: f64 = 0.005;
const EDGE_SHARE: f64 = 0.01;
/// Share of a window from which on it counts as filled.
const FILLED: f64 = 0.95;
/// Windows that are sampled on each side of the scene, within and along its edge.
const WITHIN: usize = 4;
const ALONG: usize = 5;
/// Rows and columns of a window at the edge.
const PLACE: usize = 32;
/// Bands that decide where all of them hold a number: those, where two of them are there.
const DECIDING: [&str; 6] = ["blue", "green", "red", "nir", "swir16", "swir22"];

/// Whether a number is a fill that no reflectance can be, for numbers that come without a
/// file's metadata: `reflectance` is what it would be.
pub(crate) fn is_fill(stored: f64, reflectance: f64) -> bool {
    stored.abs() >= HUGE || (stored < 0.0 && reflectance < LOWEST && BELOW.contains(&stored))
}

/// Samples windows of a scene by `read`, which gives stored numbers, NaN where `declared`
/// or a mask says that there is no data. The result is `declared` and what was
/// recognised; the numbers of single bands that were seen are returned with it.
///
/// # Errors
/// What `read` returns.
pub(crate) fn recognise(
    info: &SceneInfo,
    declared: &NoData,
    read: impl Fn(&[usize], Window) -> Result<Array3<f64>>,
) -> Result<(NoData, Vec<(usize, f64)>)> {
    let bands: Vec<usize> = (0..info.bands.len()).collect();
    let deciding = deciding(&info.bands);
    let mut counts = FillCounts::new(info);
    for window in spread(info, WITHIN) {
        counts.add(&read(&bands, window)?, &deciding, false);
    }
    for window in along_edge(info) {
        counts.add(&read(&bands, window)?, &deciding, true);
    }
    Ok(counts.recognised(info, &deciding, declared))
}

/// All windows that are sampled.
pub(crate) fn places(info: &SceneInfo) -> Vec<Window> {
    let mut places = spread(info, WITHIN);
    places.extend(along_edge(info));
    places
}

/// Counts over the sampled windows.
struct FillCounts {
    pixels: usize,
    edge: usize,
    /// Of each band, how often each of [`BELOW`] and the first number beyond [`HUGE`].
    below: Vec<[usize; BELOW.len()]>,
    huge: Vec<Option<(f64, usize)>>,
    /// Of each of [`EVERYWHERE`]: pixels in all, at the edge, and windows there that are filled
    /// or have a border.
    everywhere: [[usize; 3]; EVERYWHERE.len()],
    /// Other numbers of the bands that decide.
    others: Vec<f64>,
}

impl FillCounts {
    fn new(info: &SceneInfo) -> Self {
        Self {
            pixels: 0,
            edge: 0,
            below: vec![[0; BELOW.len()]; info.bands.len()],
            huge: vec![None; info.bands.len()],
            everywhere: Default::default(),
            others: Vec::new(),
        }
    }

    fn add(&mut self, stored: &Array3<f64>, deciding: &[usize], edge: bool) {
        let (_, rows, cols) = stored.dim();
        let pixels = rows * cols;
        self.pixels += pixels;
        self.edge += if edge { pixels } else { 0 };
        for (band, plane) in stored.outer_iter().enumerate() {
            for value in plane.iter().filter(|v| **v < 0.0 || v.abs() >= HUGE) {
                if let Some(known) = BELOW.iter().position(|below| below == value) {
                    self.below[band][known] += 1;
                } else if value.abs() >= HUGE {
                    let (_, count) = self.huge[band].get_or_insert((*value, 0));
                    *count += 1;
                }
            }
        }
        for (number, [all, at_edge, filled]) in EVERYWHERE.iter().zip(&mut self.everywhere) {
            let everywhere = Combination::of(deciding, *number);
            let indices: Vec<usize> = (0..stored.dim().0).collect();
            let filled_at: Vec<bool> = (stored.lanes(ndarray::Axis(0)).into_iter())
                .map(|pixel| everywhere.is_at(&indices, |band| pixel[band]))
                .collect();
            let count = filled_at.iter().filter(|filled_at| **filled_at).count();
            *all += count;
            if edge {
                *at_edge += count;
                let whole = count as f64 >= FILLED * pixels as f64;
                *filled += usize::from(whole || has_line(&filled_at, rows, cols));
            }
        }
        let is_other = |value: &&f64| {
            !value.is_nan()
                && value.abs() < HUGE
                && !BELOW.contains(value)
                && !EVERYWHERE.contains(value)
        };
        for band in deciding {
            let plane = stored.index_axis(ndarray::Axis(0), *band);
            self.others.extend(plane.iter().filter(is_other));
        }
    }

    fn recognised(
        mut self,
        info: &SceneInfo,
        deciding: &[usize],
        declared: &NoData,
    ) -> (NoData, Vec<(usize, f64)>) {
        let mut nodata = declared.clone();
        nodata.huge = true;
        self.others.sort_by(f64::total_cmp);
        let mut shown = Vec::new();
        self.numbers(info, &mut nodata, &mut shown);
        let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        for (number, [all, edge, filled]) in EVERYWHERE.iter().zip(self.everywhere) {
            let fits = |band: &usize| {
                let band = &info.bands[*band];
                fit_nodata(*number, band.dtype) == Some(*number)
                    && band.radiometry.saturated != Some(*number)
            };
            let known = |band: &usize| nodata.holds(*band, *number);
            if deciding.is_empty() || !deciding.iter().all(fits) || deciding.iter().all(known) {
                continue;
            }
            let dtypes: Vec<DType> = deciding.iter().map(|b| info.bands[*b].dtype).collect();
            let at_edge = share(edge, self.edge) >= EDGE_SHARE;
            let is_fill = match (*number == 0.0, deciding.len()) {
                // Black is a colour of a picture, and dark ground of a single band.
                (true, _) if dtypes.contains(&DType::U8) => at_edge && filled > 0,
                (true, 1) => at_edge && filled > 0 && !is_float(dtypes[0]),
                (true, _) => at_edge || share(all, self.pixels) >= SHARE,
                (false, _) => share(all, self.pixels) >= SHARE && self.is_isolated(*number),
            };
            if is_fill {
                nodata.combine(Combination::of(deciding, *number));
                let share = percent(share(all, self.pixels));
                let which = match deciding.len() {
                    1 => "".to_owned(),
                    _ => " in all bands".to_owned(),
                };
                nodata.found.push(format!(
                    "{number}{which}, which the file does not declare, is taken as no data: \
                     {share} of the sampled pixels."
                ));
            }
        }
        (nodata, shown)
    }

    /// Numbers of single bands that can't be reflectance.
    fn numbers(&self, info: &SceneInfo, nodata: &mut NoData, shown: &mut Vec<(usize, f64)>) {
        let mut seen: Vec<(f64, Vec<&str>, usize)> = Vec::new();
        let mut see = |number: f64, band: usize, count: usize| {
            let name = info.bands[band].name.as_str();
            match seen.iter_mut().find(|(other, ..)| *other == number) {
                Some((_, names, most)) => {
                    names.push(name);
                    *most = count.max(*most);
                }
                None => seen.push((number, vec![name], count)),
            }
        };
        for (position, band) in info.bands.iter().enumerate() {
            let mut most = None;
            for (number, count) in BELOW.iter().zip(self.below[position]) {
                let fits = fit_nodata(*number, band.dtype) == Some(*number);
                if fits && self.is_impossible(*number, band) {
                    nodata.declare(position, *number);
                    if count > 0 {
                        see(*number, position, count);
                        most = most.max(Some((count, *number as i64)));
                    }
                }
            }
            if let Some((number, count)) = self.huge[position] {
                see(number, position, count);
                if most.is_none() {
                    shown.push((position, number));
                }
            }
            shown.extend(most.map(|(_, number)| (position, number as f64)));
        }
        for (number, names, count) in seen {
            let share = percent(count as f64 / self.pixels.max(1) as f64);
            let which = match names.len() == info.bands.len() {
                true if names.len() > 1 => "all bands".to_owned(),
                _ => names.join(", "),
            };
            nodata.found.push(format!(
                "{} in {which}, which the file does not declare, is no reflectance and taken as \
                 no data: {share} of the sampled pixels.",
                short(number)
            ));
        }
    }

    /// Whether a number is too far below 0 in a band, by its radiometry or, where that is
    /// not determined yet, by the size of the other numbers.
    fn is_impossible(&self, number: f64, band: &SceneBand) -> bool {
        if band::is_thermal(&band.name) {
            return number <= COLDEST;
        }
        let radiometry = &band.radiometry;
        let unit = match (radiometry.origin, self.others.get(self.others.len() / 2)) {
            (origin, _) if !origin.is_unstated() => 1.0,
            (_, Some(middle)) if is_float(band.dtype) => match *middle {
                middle if middle <= 1.5 => 1.0,
                middle if middle <= 60.0 => 100.0,
                _ => 10_000.0,
            },
            _ if self.others.last().is_some_and(|max| *max <= 255.0) => 255.0,
            _ => 10_000.0,
        };
        (number * radiometry.gain + radiometry.bias) / unit < LOWEST
    }

    /// Whether all other numbers are far from one that may be a fill.
    fn is_isolated(&self, number: f64) -> bool {
        match (self.others.first(), self.others.last()) {
            (Some(lowest), Some(highest)) if number > 0.0 => {
                highest * LEAST_GAP <= number && lowest.abs() * LEAST_GAP <= number
            }
            (Some(lowest), Some(_)) => *lowest >= LOWEST_OTHER,
            // Nothing else was seen.
            _ => false,
        }
    }
}

/// The bands that decide whether a pixel is filled: the same whatever is read.
fn deciding(bands: &[SceneBand]) -> Vec<usize> {
    let called = |requested: &&str| {
        (bands.iter()).position(|band| {
            let name = band::canonical(&band.name);
            name == *requested || (*requested == "nir" && name == "nir08")
        })
    };
    let usual: Vec<usize> = DECIDING.iter().filter_map(called).collect();
    if usual.len() > 1 {
        return usual;
    }
    // Bands without a known name may be masks or angles.
    let plain = |known: bool| -> Vec<usize> {
        (bands.iter().enumerate())
            .filter(|(_, band)| !band::is_thermal(&band.name))
            .filter(|(_, band)| !known || band::is_known(&band.name))
            .map(|(position, _)| position)
            .take(DECIDING.len())
            .collect()
    };
    match plain(true) {
        known if known.is_empty() => plain(false),
        known => known,
    }
}

/// Whether the first or last row or column of a window holds a number throughout, as
/// where a border begins.
fn has_line(filled_at: &[bool], rows: usize, cols: usize) -> bool {
    let row = |row: usize| (0..cols).all(|col| filled_at[row * cols + col]);
    let col = |col: usize| (0..rows).all(|row| filled_at[row * cols + col]);
    rows > 0 && cols > 0 && (row(0) || row(rows - 1) || col(0) || col(cols - 1))
}

/// Windows along the edge of a scene, from corner to corner.
fn along_edge(info: &SceneInfo) -> Vec<Window> {
    let [height, width] = info.size;
    let (rows, cols) = (PLACE.min(height), PLACE.min(width));
    let at = |place: usize, side: usize, count: usize| (side - count) * place / (ALONG - 1);
    let mut windows = Vec::new();
    for down in 0..ALONG {
        for across in 0..ALONG {
            let last = ALONG - 1;
            if down != 0 && down != last && across != 0 && across != last {
                continue;
            }
            let window = Window {
                row: at(down, height, rows),
                col: at(across, width, cols),
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

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::F32 | DType::F64)
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        share if share >= 10.0 => format!("{share:.0} %"),
        share if share >= 0.1 => format!("{share:.1} %"),
        _ => "less than 0.1 %".to_owned(),
    }
}

/// As it is where it is short, else with an exponent.
fn short(number: f64) -> String {
    match number.abs() {
        small if small < 1e15 => number.to_string(),
        _ if f64::from(number as f32) == number => format!("{:e}", number as f32),
        _ => format!("{number:e}"),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::raster::Georeference;
    use crate::scene::{Origin, Radiometry};

    fn info(names: &[&str], dtype: DType, side: usize, stated: bool) -> SceneInfo {
        let origin = if stated {
            Origin::Metadata
        } else {
            Origin::Guessed
        };
        let scale = if stated { 10_000.0 } else { 1.0 };
        let band = |name: &&str| SceneBand {
            name: (*name).to_owned(),
            source: (*name).to_owned(),
            dtype,
            resolution: None,
            radiometry: Radiometry::scaled(scale, 0.0, origin),
        };
        SceneInfo {
            name: "a".into(),
            path: "a.tif".into(),
            product: String::new(),
            size: [side, side],
            block: [side, side],
            georeference: Georeference::default(),
            bands: names.iter().map(band).collect(),
            sun: None,
            acquired: None,
            notes: Vec::new(),
        }
    }

    /// What is recognised in three bands that run from `low` to `high`, and are `fill` in
    /// the first `cols` columns.
    fn found(dtype: DType, [low, high]: [f64; 2], fill: f64, cols: usize) -> NoData {
        let side = 200;
        let info = info(&["red", "green", "blue"], dtype, side, false);
        let plane = Array2::from_shape_fn((side, side), |(row, col)| match col < cols {
            true => fill,
            false => low + (high - low) * ((row * 7 + col * 13) % 997) as f64 / 997.0,
        });
        let read = |bands: &[usize], window: Window| {
            Ok(Array3::from_shape_fn(
                (bands.len(), window.rows, window.cols),
                |(_, row, col)| plane[[window.row + row, window.col + col]],
            ))
        };
        recognise(&info, &NoData::default(), read).unwrap().0
    }

    #[test]
    fn common_fills_are_recognised() {
        use DType::{F32, I16, U8, U16};
        for (dtype, range, fill) in [
            (I16, [-50.0, 9000.0], -9999.0),
            (I16, [-50.0, 9000.0], -32768.0),
            (I16, [-50.0, 9000.0], -999.0),
            (I16, [300.0, 9000.0], 32767.0),
            (I16, [300.0, 9000.0], 0.0),
            (U16, [300.0, 19_000.0], 65_535.0),
            (U16, [300.0, 19_000.0], 0.0),
            (U8, [3.0, 250.0], 0.0),
            (F32, [0.01, 0.9], -9999.0),
            (F32, [0.01, 0.9], -999.0),
            (F32, [0.01, 0.9], f64::from(f32::MIN)),
            (F32, [0.01, 0.9], 1e20),
            (F32, [0.01, 0.9], 0.0),
            (F32, [0.01, 0.9], 65_535.0),
            (F32, [100.0, 9000.0], -9999.0),
        ] {
            let nodata = found(dtype, range, fill, 20);
            let called = format!("{dtype:?} {range:?} {fill}: {nodata:?}");
            assert_eq!(nodata.found.len(), 1, "{called}");
            assert!(
                nodata
                    .notes()
                    .all(|note| note.contains("`options.nodata = none`")),
                "{called}"
            );
            let everywhere = nodata.combinations == [Combination::of(&[2, 1, 0], fill)];
            assert!(nodata.holds(0, fill) || everywhere, "{called}");
        }
    }

    #[test]
    fn numbers_that_may_be_measurements_are_not_recognised() {
        use DType::{F32, I16, U8, U16};
        for (dtype, range, fill, cols) in [
            // Sentinel-2 whose offset of 1000 was taken off begins at −999.
            (I16, [-990.0, 9000.0], -999.0, 20),
            // 16-bit brightness that is saturated.
            (U16, [300.0, 60_000.0], 65_535.0, 20),
            (U8, [0.0, 255.0], 255.0, 20),
            // A few dark pixels.
            (U16, [0.0, 9000.0], 0.0, 0),
            (F32, [0.0, 0.9], 0.0, 0),
            (F32, [-0.1, 0.9], 0.5, 20),
        ] {
            let nodata = found(dtype, range, fill, cols);
            assert!(
                nodata.found.is_empty(),
                "{dtype:?} {range:?} {fill}: {nodata:?}"
            );
            assert!(nodata.combinations.is_empty());
            assert!(!nodata.holds(0, fill));
        }
    }

    #[test]
    fn a_number_in_one_band_alone_is_no_combination() {
        let info = info(&["red", "nir"], DType::U16, 200, true);
        let read = |bands: &[usize], window: Window| {
            Ok(Array3::from_shape_fn(
                (bands.len(), window.rows, window.cols),
                |(band, row, col)| match (band, window.col + col < 100) {
                    (1, true) => 0.0,
                    _ => 500.0 + ((row + col) % 70) as f64,
                },
            ))
        };
        let (nodata, shown) = recognise(&info, &NoData::default(), read).unwrap();
        assert!(nodata.found.is_empty() && shown.is_empty(), "{nodata:?}");
    }
}
