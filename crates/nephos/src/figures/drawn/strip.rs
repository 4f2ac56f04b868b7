//! Strips: pictures of one scene side by side with lines of text below, many on a sheet.

use image::RgbImage;
use ndarray::Array2;

use super::contact::{classes, fitted};
use super::panel::{Swatch, draw_legend, legend_lines};
use super::sheet::{Align, Sheet, shortened};
use crate::error::{Error, Result};

/// Space between pictures, and size of the text, in pixels.
const GAP: f64 = 4.0;
const TEXT: f64 = 13.0;

/// A picture of a strip.
#[derive(Debug, Clone)]
pub enum StripPanel {
    /// Drawn unchanged.
    Picture(RgbImage),
    /// Class codes in their colours, 255 hatched, `[height, width]`.
    Classes(Array2<u8>),
}

/// Pictures of one scene.
#[derive(Debug, Clone)]
pub struct Strip {
    /// From left to right.
    pub panels: Vec<StripPanel>,
    /// Lines below.
    pub captions: Vec<String>,
}

/// Places strips on a sheet, `across` of them side by side, each picture within `side` ×
/// `side` pixels, with `heads` over the columns and `legend` below all.
///
/// # Errors
/// No strips, a picture without pixels, or a sheet that is too large.
pub fn strips(
    heads: &[String],
    strips: &[Strip],
    legend: &[(Swatch, String)],
    side: u32,
    across: usize,
) -> Result<RgbImage> {
    let panels = strips
        .iter()
        .map(|strip| strip.panels.len())
        .max()
        .unwrap_or(0);
    let empty = |panel: &StripPanel| match panel {
        StripPanel::Picture(picture) => picture.width() * picture.height() == 0,
        StripPanel::Classes(codes) => codes.is_empty(),
    };
    if panels == 0 || side == 0 || strips.iter().any(|strip| strip.panels.iter().any(empty)) {
        return Err(Error::usage(
            "a sheet of strips needs at least one picture, and none empty",
        ));
    }
    let across = across.clamp(1, strips.len());
    let (cell, line) = (f64::from(side), TEXT + 5.0);
    let lines = strips
        .iter()
        .map(|strip| strip.captions.len())
        .max()
        .unwrap_or(0);
    let width = panels as f64 * (cell + GAP) + 2.0 * GAP;
    let height = cell + lines as f64 * line + 2.0 * GAP;
    let rows = strips.len().div_ceil(across);
    let total = GAP + across as f64 * width;
    let legend = legend_lines(legend, TEXT, total - 2.0 * GAP);
    let legend_top = line + GAP + rows as f64 * height;
    let mut sheet = Sheet::new(total, legend_top + legend.len() as f64 * 1.7 * TEXT);
    for column in 0..across {
        for (panel, head) in heads.iter().take(panels).enumerate() {
            let middle = GAP + column as f64 * width + panel as f64 * (cell + GAP) + cell / 2.0;
            let head = shortened(head, TEXT, cell);
            sheet.text(middle, line / 2.0, &head, TEXT, Align::Centre);
        }
    }
    for (at, strip) in strips.iter().enumerate() {
        let left = GAP + (at % across) as f64 * width;
        let top = line + (at / across) as f64 * height;
        for (panel, picture) in strip.panels.iter().enumerate() {
            let picture = match picture {
                StripPanel::Picture(picture) => fitted(picture, side),
                StripPanel::Classes(codes) => classes(codes, side),
            };
            sheet.picture(left + panel as f64 * (cell + GAP), top, picture);
        }
        for (number, caption) in strip.captions.iter().enumerate() {
            let middle = top + cell + GAP / 2.0 + (number as f64 + 0.5) * line;
            let caption = shortened(caption, TEXT, width - 3.0 * GAP);
            sheet.text(left, middle, &caption, TEXT, Align::Left);
        }
    }
    for (number, entries) in legend.iter().enumerate() {
        let middle = legend_top + (number as f64 + 0.5) * 1.7 * TEXT;
        draw_legend(&mut sheet, entries, TEXT, total / 2.0, middle);
    }
    sheet.render()
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::class::Class;

    #[test]
    fn every_panel_is_on_the_sheet() {
        let strip = Strip {
            panels: vec![
                StripPanel::Picture(RgbImage::from_pixel(10, 10, Rgb([9; 3]))),
                StripPanel::Classes(Array2::from_elem((80, 80), 2)),
            ],
            captions: vec!["a scene".to_owned(), "its figures".to_owned()],
        };
        let heads = ["true colour", "label"].map(str::to_owned);
        let legend = [(Swatch::Colour([1, 2, 3]), "one".to_owned())];
        let three = [strip.clone(), strip.clone(), strip];
        let sheet = strips(&heads, &three, &legend, 40, 2).unwrap();
        let of = |colour: [u8; 3]| sheet.pixels().filter(|pixel| pixel.0 == colour).count();
        assert_eq!(of([9; 3]), 3 * 40 * 40);
        assert_eq!(of(Class::Thin.colour()), 3 * 40 * 40);
        assert_eq!(sheet.width(), 4 + 2 * (2 * 44 + 8));
        assert!(of([1, 2, 3]) > 100);
        assert!(strips(&heads, &[], &legend, 40, 2).is_err());
    }
}
