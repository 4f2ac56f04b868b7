//! Masks over images: the figure of image, truth and prediction side by side.

use std::ops::Range;
use std::path::Path;

use image::{Rgb, RgbImage, imageops};
use ndarray::{Array2, ArrayView2, s};

use super::colour_map::{ColourMap, mix};
use super::panel::{Figure, Panel, Row, Swatch};
use crate::class::{Class, IGNORE};
use crate::error::{Error, Result};
use crate::figures::hatch;
use crate::raster::Window;

/// Share of the class's colour over the image.
pub const OPACITY: f32 = 0.5;

/// One row of an overlay figure.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Written beside the row.
    pub name: String,
    /// The image.
    pub picture: RgbImage,
    /// Class codes, 255 where not labelled, `[height, width]`.
    pub truth: Option<Array2<u8>>,
    /// Class codes, 255 where not valid, `[height, width]`.
    pub prediction: Option<Array2<u8>>,
}

impl Sample {
    /// Rows and columns of the image.
    pub fn size(&self) -> [usize; 2] {
        [self.picture.height(), self.picture.width()].map(|side| side as usize)
    }

    /// The part of it in `window`.
    ///
    /// # Errors
    /// A window outside the image, or a mask of another size.
    pub fn cropped(self, window: Window) -> Result<Self> {
        let size = self.size();
        window.check(Path::new(&self.name), size)?;
        let Window {
            row,
            col,
            rows,
            cols,
        } = window;
        if [rows, cols] == size {
            return Ok(self);
        }
        let name = self.name;
        let part = |mask: Array2<u8>| {
            let [height, width] = size;
            if mask.dim() != (height, width) {
                return Err(Error::usage(format!(
                    "{name}: a mask of {} × {} pixels for {height} × {width}",
                    mask.nrows(),
                    mask.ncols()
                )));
            }
            Ok(mask.slice(s![row..row + rows, col..col + cols]).to_owned())
        };
        let [x, y, wide, tall] = [col, row, cols, rows].map(|pixels| pixels as u32);
        Ok(Self {
            picture: imageops::crop_imm(&self.picture, x, y, wide, tall).to_image(),
            truth: self.truth.map(part).transpose()?,
            prediction: self.prediction.map(part).transpose()?,
            name,
        })
    }
}

/// Blends a mask over a picture: each class but clear in its colour at
/// `opacity`, clear unchanged, and every other code hatched, so that a
/// pixel without a label is not mistaken for a clear one.
///
/// # Errors
/// The sizes differ.
pub fn overlay(picture: &RgbImage, mask: &Array2<u8>, opacity: f32) -> Result<RgbImage> {
    let (height, width) = mask.dim();
    if (picture.height() as usize, picture.width() as usize) != (height, width) {
        return Err(Error::usage(format!(
            "a mask of {height} × {width} pixels does not fit an image of {} × {}",
            picture.height(),
            picture.width()
        )));
    }
    let period = hatch::period(picture.width().max(picture.height()));
    let mut drawn = picture.clone();
    for (col, row, pixel) in drawn.enumerate_pixels_mut() {
        pixel.0 = match Class::from_code(mask[[row as usize, col as usize]]) {
            Some(Class::Clear) => pixel.0,
            Some(class) => mix(pixel.0, class.colour(), opacity),
            None => hatch::colour(row, col, period),
        };
    }
    Ok(drawn)
}

/// Blends numbers over a picture in the colours of `map`, from `low` to `high`.
///
/// `heat` may be coarser than the picture: each of its cells covers an equal
/// share of the picture's rows and columns.
///
/// # Errors
/// `heat` is empty.
pub fn heat_over(
    picture: &RgbImage,
    heat: ArrayView2<'_, f32>,
    map: ColourMap,
    (low, high): (f32, f32),
    opacity: f32,
) -> Result<RgbImage> {
    let (rows, cols) = heat.dim();
    if rows == 0 || cols == 0 {
        return Err(Error::usage("no numbers to lay over the picture"));
    }
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let range = (high - low).max(f32::MIN_POSITIVE);
    let mut drawn = picture.clone();
    for (col, row, pixel) in drawn.enumerate_pixels_mut() {
        let value = heat[[row as usize * rows / height, col as usize * cols / width]];
        pixel.0 = mix(pixel.0, map.rgb(f64::from((value - low) / range)), opacity);
    }
    Ok(drawn)
}

/// Marks the pixels in `rows` and `cols` by a frame around them, white and then black; the
/// pixels themselves stay as they are.
pub fn mark(picture: &mut RgbImage, rows: Range<u32>, cols: Range<u32>) {
    let line = (picture.width().max(picture.height()) / 256).max(1);
    // Distance of a pixel from a range; 0 within.
    let outside = |at: u32, range: &Range<u32>| {
        let before = range.start.saturating_sub(at);
        before.max((at + 1).saturating_sub(range.end))
    };
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let distance = outside(y, &rows).max(outside(x, &cols));
        if (1..=line).contains(&distance) {
            *pixel = Rgb([255; 3]);
        } else if (line + 1..=2 * line).contains(&distance) {
            *pixel = Rgb([0; 3]);
        }
    }
}

/// The colours of the classes, and of unlabelled pixels where `hatched`.
pub fn class_legend(hatched: bool) -> Vec<(Swatch, String)> {
    let classes = Class::ALL
        .into_iter()
        .filter(|class| *class != Class::Clear);
    classes
        .map(|class| (Swatch::Colour(class.colour()), class.name().to_owned()))
        .chain(hatched.then(|| (Swatch::Hatched, "not labelled or not valid".to_owned())))
        .collect()
}

/// The figure: one row per sample, with the columns image, truth and prediction; a
/// column that no sample has is left out.
///
/// # Errors
/// A mask does not fit its image.
pub fn overlay_figure(samples: &[Sample]) -> Result<Figure> {
    let truths = samples.iter().any(|sample| sample.truth.is_some());
    let predictions = samples.iter().any(|sample| sample.prediction.is_some());
    let mut hatched = false;
    let mut rows = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let title = |text: &str| {
            if index == 0 {
                text.to_owned()
            } else {
                String::new()
            }
        };
        let mut panels = vec![Panel::new(title("image"), sample.picture.clone())];
        let masks = [
            (truths, &sample.truth, "truth"),
            (predictions, &sample.prediction, "prediction"),
        ];
        for (_, mask, name) in masks.into_iter().filter(|(shown, _, _)| *shown) {
            let missing;
            let mask = match mask {
                Some(mask) => mask,
                None => {
                    let (width, height) = sample.picture.dimensions();
                    missing = Array2::from_elem((height as usize, width as usize), IGNORE);
                    &missing
                }
            };
            hatched |= mask.iter().any(|code| Class::from_code(*code).is_none());
            let drawn = overlay(&sample.picture, mask, OPACITY)
                .map_err(|e| Error::usage(format!("{}, {name}: {e}", sample.name)))?;
            panels.push(Panel::new(title(name), drawn));
        }
        rows.push(Row {
            name: sample.name.clone(),
            panels,
        });
    }
    Ok(Figure {
        title: String::new(),
        rows,
        legend: class_legend(hatched),
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn blending_is_exact_at_every_pixel() {
        let picture = RgbImage::from_pixel(5, 1, Rgb([100, 50, 201]));
        let mask = array![[0, 1, 2, 3, 255]];
        let drawn = overlay(&picture, &mask, 0.5).unwrap();
        let pixel = |col| drawn.get_pixel(col, 0).0;
        assert_eq!(pixel(0), [100, 50, 201]);
        // (100 + 230) / 2, (50 + 30) / 2, (201 + 30) / 2 rounded up.
        assert_eq!(pixel(1), [165, 40, 116]);
        assert_eq!(pixel(2), [70, 125, 136]);
        assert_eq!(pixel(3), [175, 135, 116]);
        assert_eq!(pixel(4), hatch::colour(0, 4, hatch::period(5)));
        assert!(overlay(&picture, &array![[0, 1]], 0.5).is_err());
    }

    #[test]
    fn columns_that_no_sample_has_are_left_out() {
        let picture = RgbImage::from_pixel(2, 2, Rgb([1; 3]));
        let sample = |truth: bool, prediction: bool| Sample {
            name: "a".to_owned(),
            picture: picture.clone(),
            truth: truth.then(|| Array2::zeros((2, 2))),
            prediction: prediction.then(|| Array2::from_elem((2, 2), 1)),
        };
        let columns = |samples: &[Sample]| overlay_figure(samples).unwrap().rows[0].panels.len();
        assert_eq!(columns(&[sample(true, true)]), 3);
        assert_eq!(columns(&[sample(false, true)]), 2);
        assert_eq!(columns(&[sample(false, false)]), 1);
        // One sample without a label does not take the column from the others.
        let figure = overlay_figure(&[sample(false, true), sample(true, true)]).unwrap();
        assert_eq!(figure.rows[0].panels.len(), 3);
        assert!(
            figure
                .legend
                .iter()
                .any(|(swatch, _)| *swatch == Swatch::Hatched)
        );
        let whole = overlay_figure(&[sample(true, true)]).unwrap();
        assert!(
            whole
                .legend
                .iter()
                .all(|(swatch, _)| *swatch != Swatch::Hatched)
        );
    }

    #[test]
    fn a_window_of_a_sample_has_its_own_pixels() {
        let window = Window {
            row: 1,
            col: 2,
            rows: 2,
            cols: 1,
        };
        let sample = |prediction| Sample {
            name: "a".to_owned(),
            picture: RgbImage::from_fn(4, 3, |x, y| Rgb([x as u8, y as u8, 0])),
            truth: None,
            prediction: Some(prediction),
        };
        let mask = Array2::from_shape_fn((3, 4), |(row, col)| (4 * row + col) as u8);
        let cropped = sample(mask).cropped(window).unwrap();
        assert_eq!(cropped.size(), [2, 1]);
        assert_eq!(cropped.picture.get_pixel(0, 1).0, [2, 2, 0]);
        assert_eq!(cropped.prediction, Some(array![[6], [10]]));
        let other = sample(Array2::zeros((3, 3))).cropped(window).unwrap_err();
        assert!(
            other.to_string().contains("a: a mask of 3 × 3 pixels"),
            "{other}"
        );
        let outside = Window { row: 2, ..window };
        assert!(sample(Array2::zeros((3, 4))).cropped(outside).is_err());
    }

    #[test]
    fn a_frame_surrounds_its_pixels_and_ends_at_the_edge() {
        let mut picture = RgbImage::from_pixel(7, 6, Rgb([9; 3]));
        mark(&mut picture, 0..2, 3..5);
        let row = |row| {
            (0..7)
                .map(|col| picture.get_pixel(col, row).0[0])
                .collect::<Vec<u8>>()
        };
        assert_eq!(row(0), [9, 0, 255, 9, 9, 255, 0]);
        assert_eq!(row(2), [9, 0, 255, 255, 255, 255, 0]);
        assert_eq!(row(3), [9, 0, 0, 0, 0, 0, 0]);
        assert_eq!(row(4), [9; 7]);
    }

    #[test]
    fn coarse_heat_covers_the_picture_evenly() {
        let picture = RgbImage::from_pixel(4, 2, Rgb([0; 3]));
        let heat = array![[0.0f32, 1.0]];
        let drawn = heat_over(&picture, heat.view(), ColourMap::Viridis, (0.0, 1.0), 1.0).unwrap();
        assert_eq!(drawn.get_pixel(1, 1).0, ColourMap::Viridis.rgb(0.0));
        assert_eq!(drawn.get_pixel(2, 0).0, ColourMap::Viridis.rgb(1.0));
        let none = Array2::<f32>::zeros((0, 3));
        assert!(heat_over(&picture, none.view(), ColourMap::Viridis, (0.0, 1.0), 0.5).is_err());
    }
}
