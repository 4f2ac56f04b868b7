//! Bands as a picture in true colour.

use image::{Rgb, RgbImage};
use ndarray::{Array2, Array3};

use super::hatch;
use crate::band;
use crate::dataset::Example;
use crate::error::{Error, Result};

/// Which numbers become black and white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stretch {
    /// Percentiles in [0, 100] over the valid pixels of all three bands
    /// together, so that grey stays grey.
    Percentiles(f32, f32),
    /// Fixed numbers in the image's own units, the same for every image.
    Fixed(f32, f32),
}

impl Default for Stretch {
    fn default() -> Self {
        Self::Percentiles(2.0, 98.0)
    }
}

/// Brightness is raised to this power after the stretch: clouds are many times
/// brighter than land, which would else be drawn nearly black.
const GAMMA: f32 = 1.0 / 1.4;

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
    let (low, high) = match stretch {
        Stretch::Fixed(low, high) => (low, high),
        Stretch::Percentiles(low, high) => percentiles(image, channels, valid, [low, high]),
    };
    let range = (high - low).max(f32::MIN_POSITIVE);
    let level = |value: f32| {
        let share = ((value - low) / range).clamp(0.0, 1.0);
        (share.powf(GAMMA) * 255.0).round() as u8
    };
    let period = hatch::period(height.max(width) as u32);
    RgbImage::from_fn(width as u32, height as u32, |col, row| {
        let (r, c) = (row as usize, col as usize);
        Rgb(if valid[[r, c]] {
            channels.map(|channel| level(image[[channel, r, c]]))
        } else {
            hatch::colour(row, col, period)
        })
    })
}

/// The numbers at two percentiles of the valid pixels; (0, 1) where none is.
fn percentiles(
    image: &Array3<f32>,
    channels: [usize; 3],
    valid: &Array2<bool>,
    percents: [f32; 2],
) -> (f32, f32) {
    let mut values: Vec<f32> = channels
        .iter()
        .flat_map(|channel| {
            let plane = image.index_axis(ndarray::Axis(0), *channel);
            let pixels = plane.into_iter().zip(valid);
            pixels.filter(|(_, valid)| **valid).map(|(value, _)| *value)
        })
        .collect();
    if values.is_empty() {
        return (0.0, 1.0);
    }
    let last = values.len() - 1;
    let [low, high] = percents.map(|percent| {
        let place = (percent.clamp(0.0, 100.0) / 100.0 * last as f32).round() as usize;
        *values
            .select_nth_unstable_by(place.min(last), f32::total_cmp)
            .1
    });
    (low, high)
}

/// Draws a sample whose bands have the names `bands`: red, green and blue where
/// it has them, else its first band in grey.
pub fn sample_picture(example: &Example, bands: &[String], stretch: Stretch) -> RgbImage {
    let channels =
        rgb_channels(bands, &["red", "green", "blue"].map(String::from)).unwrap_or([0, 0, 0]);
    true_colour(&example.image, channels, &example.valid, stretch)
}

/// Positions in `bands` of the three bands to draw.
///
/// # Errors
/// `wanted` are not three, or one is not in `bands`.
pub fn rgb_channels(bands: &[String], wanted: &[String]) -> Result<[usize; 3]> {
    let positions = band::positions(wanted, bands).map_err(|missing| {
        Error::usage(format!(
            "no band `{missing}` to draw; there are {}",
            bands.join(", ")
        ))
    })?;
    positions.try_into().map_err(|_| {
        Error::usage(format!(
            "a picture in colour needs three bands, as in red,green,blue, got `{}`",
            wanted.join(",")
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
    fn flat_and_empty_images_are_drawn() {
        let image = Array3::from_elem((3, 4, 4), 0.3);
        for valid in [true, false] {
            let valid = Array2::from_elem((4, 4), valid);
            true_colour(&image, [0, 1, 2], &valid, Stretch::default());
        }
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
