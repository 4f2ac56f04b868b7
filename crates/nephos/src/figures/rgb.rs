//! Bands as a picture in true colour.

use image::{Rgb, RgbImage};
use ndarray::{Array2, Array3, Axis};

use super::hatch;
use crate::band;
use crate::data::Example;
use crate::error::{Error, Result};

/// Which numbers become black and white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stretch {
    /// Percentiles in [0, 100] over the valid pixels. Black is set by band, which
    /// removes the path radiance over dark ground (Chavez 1988); what is left
    /// is stretched alike in all three bands, so that clouds are white.
    Percentiles(f32, f32),
    /// Fixed numbers in the image's own units, the same for every image.
    Fixed(f32, f32),
}

impl Default for Stretch {
    fn default() -> Self {
        Self::Percentiles(2.0, 98.0)
    }
}

/// A band whose percentiles are nearer than this share of the higher one is flat, as where
/// it is saturated.
const FLAT: f32 = 0.1;

/// Brightness is raised to this power after the stretch: clouds are many times
/// brighter than land, which would else be drawn nearly black.
const GAMMA: f32 = 1.0 / 1.4;

/// Least distance of black and white as a share of white: less is noise, which
/// must not be stretched until it looks like clouds.
const LEAST_RANGE: f32 = 0.05;

/// Draws three bands as red, green and blue; pixels that are not valid are
/// hatched.
///
/// # Shapes
/// - image: `[bands, height, width]`
/// - valid: `[height, width]`
///
/// # Panics
/// A position in `channels` is no band of `image`, or the sizes differ.
pub fn true_colour(
    image: &Array3<f32>,
    channels: [usize; 3],
    valid: &Array2<bool>,
    stretch: Stretch,
) -> RgbImage {
    let (height, width) = valid.dim();
    assert_eq!(
        image.dim().1,
        height,
        "image and valid pixels differ in height"
    );
    assert_eq!(
        image.dim().2,
        width,
        "image and valid pixels differ in width"
    );
    let (blacks, range) = match stretch {
        Stretch::Fixed(low, high) => ([low; 3], high - low),
        Stretch::Percentiles(low, high) => percentiles(image, channels, valid, [low, high]),
    };
    let range = range.max(f32::MIN_POSITIVE);
    let level = |value: f32, black: f32| {
        let share = ((value - black) / range).clamp(0.0, 1.0);
        (share.powf(GAMMA) * 255.0).round() as u8
    };
    let period = hatch::period(height.max(width) as u32);
    RgbImage::from_fn(width as u32, height as u32, |col, row| {
        let (r, c) = (row as usize, col as usize);
        Rgb(if valid[[r, c]] {
            std::array::from_fn(|i| level(image[[channels[i], r, c]], blacks[i]))
        } else {
            hatch::colour(row, col, period)
        })
    })
}

/// Black of each band, and how far white is above it; (0, 1) where no pixel is
/// valid.
fn percentiles(
    image: &Array3<f32>,
    channels: [usize; 3],
    valid: &Array2<bool>,
    [low, high]: [f32; 2],
) -> ([f32; 3], f32) {
    let mut bands = channels.map(|channel| {
        let plane = image.index_axis(Axis(0), channel);
        let pixels = plane.into_iter().zip(valid);
        let valid = pixels.filter(|(_, valid)| **valid);
        valid.map(|(value, _)| *value).collect::<Vec<f32>>()
    });
    let white = percentile(&mut bands.concat(), high).unwrap_or(1.0);
    let mut blacks = [0.0; 3];
    for (black, band) in blacks.iter_mut().zip(&mut bands) {
        *black = percentile(band, low).unwrap_or(0.0);
        band.iter_mut().for_each(|value| *value -= *black);
    }
    let range = percentile(&mut bands.concat(), high).unwrap_or(1.0);
    (blacks, range.max(LEAST_RANGE * white.abs()))
}

/// The number below which `percent` per cent of `values` lie; reorders them.
pub(crate) fn percentile(values: &mut [f32], percent: f32) -> Option<f32> {
    let last = values.len().checked_sub(1)?;
    let place = (percent.clamp(0.0, 100.0) / 100.0 * last as f32).round() as usize;
    let (_, value, _) = values.select_nth_unstable_by(place.min(last), f32::total_cmp);
    Some(*value)
}

/// Draws a sample whose bands have the names `bands`: red, green and blue where
/// it has them, else its first band in grey.
pub fn sample_picture(example: &Example, bands: &[String], stretch: Stretch) -> RgbImage {
    true_colour(&example.image, drawn(bands), &example.valid, stretch)
}

/// As [`sample_picture`], stretched by percentiles unless a band is flat, which would then be
/// black or noise: such a sample is drawn from 0 to its brightest.
pub fn sample_picture_of_any(example: &Example, bands: &[String]) -> RgbImage {
    let channels = drawn(bands);
    let ends = channels.map(|channel| {
        let plane = example.image.index_axis(Axis(0), channel);
        let valid = plane
            .iter()
            .zip(&example.valid)
            .filter(|(_, valid)| **valid);
        let mut values: Vec<f32> = valid.map(|(value, _)| *value).collect();
        let end = |values: &mut [f32], percent| percentile(values, percent).unwrap_or(0.0);
        [end(&mut values, 2.0), end(&mut values, 98.0)]
    });
    let flat = |[low, high]: &[f32; 2]| high - low < FLAT * high.abs();
    let white = ends
        .iter()
        .fold(f32::MIN_POSITIVE, |white, [_, high]| white.max(*high));
    let stretch = match ends.iter().any(flat) {
        true => Stretch::Fixed(0.0, white),
        false => Stretch::default(),
    };
    sample_picture(example, bands, stretch)
}

/// Positions of red, green and blue, or three times the first band.
fn drawn(bands: &[String]) -> [usize; 3] {
    rgb_channels(bands, &["red", "green", "blue"].map(String::from)).unwrap_or([0, 0, 0])
}

/// Positions in `bands` of the three bands to draw.
///
/// # Errors
/// `requested` are not three, or one is not in `bands`.
pub fn rgb_channels(bands: &[String], requested: &[String]) -> Result<[usize; 3]> {
    let positions = band::positions(requested, bands).map_err(|missing| {
        Error::usage(format!(
            "no band `{missing}` to draw; there are {}",
            bands.join(", ")
        ))
    })?;
    positions.try_into().map_err(|_| {
        Error::usage(format!(
            "a picture in colour needs three bands, as in red,green,blue, got `{}`",
            requested.join(",")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_levels_are_black_and_white() {
        let image = Array3::from_shape_fn((4, 1, 3), |(band, _, col)| match band {
            3 => 9.0,
            _ => [0.0, 1.0, 2.0][col],
        });
        let valid = Array2::from_elem((1, 3), true);
        let picture = true_colour(&image, [0, 1, 3], &valid, Stretch::Fixed(0.0, 2.0));
        assert_eq!(picture.get_pixel(0, 0).0, [0, 0, 255]);
        let grey = (0.5f32.powf(GAMMA) * 255.0).round() as u8;
        assert_eq!(picture.get_pixel(1, 0).0, [grey, grey, 255]);
        assert_eq!(picture.get_pixel(2, 0).0, [255; 3]);
    }

    #[test]
    fn invalid_pixels_are_hatched_and_do_not_stretch() {
        let mut image = Array3::from_shape_fn((3, 10, 10), |(_, row, col)| (row * 10 + col) as f32);
        image[[0, 0, 0]] = 1e9;
        let mut valid = Array2::from_elem((10, 10), true);
        valid[[0, 0]] = false;
        let picture = true_colour(&image, [0, 1, 2], &valid, Stretch::Percentiles(0.0, 100.0));
        assert_eq!(picture.get_pixel(9, 9).0, [255; 3]);
        assert_eq!(picture.get_pixel(1, 0).0, [0; 3]);
        assert_eq!(
            picture.get_pixel(0, 0).0,
            hatch::colour(0, 0, hatch::period(10))
        );
    }

    #[test]
    fn a_constant_offset_between_bands_is_removed() {
        let image = Array3::from_shape_fn((3, 10, 10), |(band, row, _)| {
            0.5 + 0.02 * band as f32 + 0.01 * row as f32
        });
        let valid = Array2::from_elem((10, 10), true);
        let picture = true_colour(&image, [0, 1, 2], &valid, Stretch::default());
        assert!(picture.pixels().all(|p| p.0[0].abs_diff(p.0[2]) <= 1));
        assert_eq!(picture.get_pixel(0, 0).0, [0; 3]);
        assert_eq!(picture.get_pixel(0, 9).0, [255; 3]);
    }

    #[test]
    fn flat_and_empty_images_are_drawn() {
        let image = Array3::from_elem((3, 4, 4), 0.3);
        for valid in [true, false] {
            let valid = Array2::from_elem((4, 4), valid);
            true_colour(&image, [0, 1, 2], &valid, Stretch::default());
        }
    }

    #[test]
    fn saturated_samples_are_white_and_others_stretched() {
        let sample = |image: Array3<f32>| Example {
            teacher: None,
            name: String::new(),
            label: Array2::zeros((4, 4)),
            valid: Array2::from_elem((4, 4), true),
            absent: vec![false; 3],
            image,
        };
        let bands = ["red", "green", "blue"].map(str::to_owned);
        let flat = sample(Array3::from_elem((3, 4, 4), 0.7));
        assert!(
            sample_picture_of_any(&flat, &bands)
                .pixels()
                .all(|p| p.0 == [255; 3])
        );
        let varied = sample(Array3::from_shape_fn((3, 4, 4), |(_, row, _)| {
            0.1 * row as f32
        }));
        let drawn = sample_picture_of_any(&varied, &bands);
        assert_eq!(drawn, sample_picture(&varied, &bands, Stretch::default()));
    }

    #[test]
    fn bands_are_found_by_name() {
        let bands = ["B02", "B03", "B04", "nir"].map(String::from);
        let names = |list: [&str; 3]| list.map(String::from);
        assert_eq!(
            rgb_channels(&bands, &names(["red", "green", "blue"])).unwrap(),
            [2, 1, 0]
        );
        let error = rgb_channels(&bands, &names(["swir16", "nir", "red"])).unwrap_err();
        assert!(error.to_string().contains("swir16"), "{error}");
        assert!(rgb_channels(&bands, &["red".to_owned()]).is_err());
    }
}
