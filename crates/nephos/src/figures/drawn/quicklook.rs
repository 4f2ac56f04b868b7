//! The quick-look of a scene: its mask over the image, with the share of each class.

use image::RgbImage;
use ndarray::Array2;

use super::overlay::{OPACITY, overlay};
use super::panel::{Figure, Panel, Row, Swatch};
use crate::class::Class;
use crate::error::{Error, Result};
use crate::mask::MaskSummary;

/// Draws the quick-look: the image and the mask over it side by side, or, without
/// an image, the mask alone on black; the classes with their shares below. Pixels
/// without data are hatched.
///
/// # Shapes
/// - image: height × width, of a reduced scene
/// - mask: `[height, width]`, class codes, reduced alike
///
/// # Errors
/// Image and mask differ in size, or are empty.
pub fn quicklook(
    image: Option<RgbImage>,
    mask: &Array2<u8>,
    summary: &MaskSummary,
) -> Result<Figure> {
    let (height, width) = mask.dim();
    let size = (width as u32, height as u32);
    let (has_image, picture) = match image {
        None => (false, RgbImage::new(size.0, size.1)),
        Some(image) if image.dimensions() == size => (true, image),
        Some(image) => {
            return Err(Error::usage(format!(
                "an image of {:?} columns and rows with a mask of {height} × {width} pixels",
                image.dimensions()
            )));
        }
    };
    let opacity = if has_image { OPACITY } else { 1.0 };
    let drawn = overlay(&picture, mask, opacity)?;
    let percent = |class: Class| summary.classes.get(class as usize)?.percent;
    let share = |class: Class| match percent(class) {
        Some(percent) => format!("{} {percent:.1} %", class.name()),
        None => class.name().to_owned(),
    };
    let mut panels = vec![Panel::new(share(Class::Clear), drawn)];
    if has_image {
        panels.insert(0, Panel::new("image", picture));
    }
    let mut legend: Vec<(Swatch, String)> = (Class::ALL.into_iter())
        .filter(|class| *class != Class::Clear)
        .map(|class| (Swatch::Colour(class.colour()), share(class)))
        .collect();
    if summary.no_data > 0 {
        let all = (summary.no_data + summary.valid) as f64;
        let percent = summary.no_data as f64 / all * 100.0;
        let text = format!("no data, {percent:.1} % of all");
        legend.push((Swatch::Hatched, text));
    }
    Ok(Figure {
        title: summary.scene.clone(),
        rows: vec![Row {
            name: summary.model.clone(),
            panels,
        }],
        legend,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::MaskCounts;

    fn summary(mask: &Array2<u8>) -> MaskSummary {
        let mut counts = MaskCounts::default();
        counts.add(mask.view());
        MaskSummary::new("a scene", "a model", &counts)
    }

    #[test]
    fn shares_and_no_data_are_in_the_legend() {
        let mask = Array2::from_shape_fn((40, 50), |(row, col)| match (row, col) {
            (0..20, _) => 1,
            (_, 0..10) => 255,
            _ => 0,
        });
        let image = RgbImage::from_pixel(50, 40, image::Rgb([100; 3]));
        let figure = quicklook(Some(image), &mask, &summary(&mask)).unwrap();
        let texts: Vec<&str> = figure
            .legend
            .iter()
            .map(|(_, text)| text.as_str())
            .collect();
        let expected = [
            "thick cloud 55.6 %",
            "thin cloud 0.0 %",
            "cloud shadow 0.0 %",
            "no data, 10.0 % of all",
        ];
        assert_eq!(texts, expected);
        let panels = &figure.rows[0].panels;
        assert_eq!(panels.len(), 2);
        assert_eq!(panels[1].title, "clear 44.4 %");
        assert_eq!(panels[1].image.get_pixel(30, 30).0, [100; 3]);
        figure.render().unwrap();

        let alone = quicklook(None, &mask, &summary(&mask)).unwrap();
        let drawn = &alone.rows[0].panels[0].image;
        assert_eq!(drawn.get_pixel(3, 3).0, Class::Thick.colour());
        assert_eq!(drawn.get_pixel(30, 30).0, [0; 3]);
    }

    #[test]
    fn sizes_that_differ_are_refused() {
        let mask = Array2::zeros((4, 5));
        let image = RgbImage::new(4, 4);
        assert!(quicklook(Some(image), &mask, &summary(&mask)).is_err());
        let nothing = Array2::zeros((0, 0));
        let figure = quicklook(None, &nothing, &summary(&nothing)).unwrap();
        assert!(figure.render().is_err());
    }
}
