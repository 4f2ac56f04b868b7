//! A white sheet of pixels on which text, boxes and pictures are placed.
//!
//! Text and boxes are drawn by kuva, which carries its own font, so pictures
//! look the same on every machine.

use image::{ImageFormat, RgbImage};
use kuva::RasterBackend;
use kuva::render::color::Color;
use kuva::render::render::{Primitive, Scene, TextAnchor};

use super::colour_map::ColourMap;
use crate::error::{Error, Result};

/// Largest picture that is drawn, in pixels.
const MAX_PIXELS: f64 = 4e8;

/// Colour of text and lines: nearly black.
const INK: [u8; 3] = [34, 34, 34];

/// Average advance of a character of the font, in units of its size.
const ADVANCE: f64 = 0.6;

/// Which point of a text is put at the given position.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Align {
    Left,
    Centre,
    Right,
}

/// What is drawn, in pixels from the top left corner.
pub(crate) struct Sheet {
    scene: Scene,
    pictures: Vec<(i64, i64, RgbImage)>,
}

impl Sheet {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self {
            scene: Scene::new(width.ceil(), height.ceil()),
            pictures: Vec::new(),
        }
    }

    /// Puts a line of text with its vertical middle at `y`.
    pub(crate) fn text(&mut self, x: f64, y: f64, text: &str, size: f64, align: Align) {
        self.coloured_text(x, y, text, size, align, INK);
    }

    /// As [`Sheet::text`], in `colour`.
    pub(crate) fn coloured_text(
        &mut self,
        x: f64,
        y: f64,
        text: &str,
        size: f64,
        align: Align,
        colour: [u8; 3],
    ) {
        // Half the height of a capital above the baseline is the middle.
        self.push_text(x, y + 0.36 * size, text, size, align, None, colour);
    }

    /// Puts a line of text that reads upwards, with its middle at (`x`, `y`).
    pub(crate) fn text_upwards(&mut self, x: f64, y: f64, text: &str, size: f64) {
        let baseline = x + 0.36 * size;
        self.push_text(baseline, y, text, size, Align::Centre, Some(-90.0), INK);
    }

    #[allow(clippy::too_many_arguments)]
    fn push_text(
        &mut self,
        x: f64,
        y: f64,
        text: &str,
        size: f64,
        align: Align,
        rotate: Option<f64>,
        colour: [u8; 3],
    ) {
        self.scene.add(Primitive::Text {
            x,
            y,
            // kuva reads `$` as the start of a formula.
            content: text.replace('$', "\\$"),
            size: size.round() as u32,
            anchor: match align {
                Align::Left => TextAnchor::Start,
                Align::Centre => TextAnchor::Middle,
                Align::Right => TextAnchor::End,
            },
            rotate,
            bold: false,
            color: Some(colour_of(colour)),
        });
    }

    /// Fills a box.
    pub(crate) fn fill(&mut self, x: f64, y: f64, width: f64, height: f64, colour: [u8; 3]) {
        self.scene.add(Primitive::Rect {
            x,
            y,
            width,
            height,
            fill: colour_of(colour),
            stroke: None,
            stroke_width: None,
            opacity: None,
        });
    }

    /// Draws the outline of a box, `line` pixels wide, outside of it.
    pub(crate) fn outline(&mut self, x: f64, y: f64, width: f64, height: f64, line: f64) {
        let grey = [120, 120, 120];
        self.fill(x - line, y - line, width + 2.0 * line, line, grey);
        self.fill(x - line, y + height, width + 2.0 * line, line, grey);
        self.fill(x - line, y, line, height, grey);
        self.fill(x + width, y, line, height, grey);
    }

    /// Places a picture with its top left corner at (`x`, `y`), pixel on pixel.
    pub(crate) fn picture(&mut self, x: f64, y: f64, picture: RgbImage) {
        self.pictures.push((x as i64, y as i64, picture));
    }

    /// Draws a horizontal scale of colours with numbers under it: `ticks` are
    /// (share of the length, text).
    pub(crate) fn scale(
        &mut self,
        [x, y, width, height]: [f64; 4],
        map: ColourMap,
        ticks: &[(f64, String)],
        size: f64,
    ) {
        let steps = width.max(1.0) as u32;
        let strip = RgbImage::from_fn(steps, height.max(1.0) as u32, |col, _| {
            image::Rgb(map.rgb(f64::from(col) / f64::from(steps.max(2) - 1)))
        });
        self.outline(x, y, width.floor(), height.floor(), 1.0);
        self.picture(x, y, strip);
        for (share, text) in ticks {
            let align = match *share {
                s if s <= 0.0 => Align::Left,
                s if s >= 1.0 => Align::Right,
                _ => Align::Centre,
            };
            self.text(
                x + share * width,
                y + height + 0.8 * size,
                text,
                size,
                align,
            );
        }
    }

    /// The sheet in pixels.
    ///
    /// # Errors
    /// More pixels than [`MAX_PIXELS`].
    pub(crate) fn render(self) -> Result<RgbImage> {
        let (width, height) = (self.scene.width, self.scene.height);
        let fail =
            |message: String| Error::limits(format!("a picture of {width} × {height}"), message);
        if width * height > MAX_PIXELS {
            return Err(fail(format!(
                "more than {MAX_PIXELS:.0} pixels; draw fewer rows"
            )));
        }
        let png = RasterBackend::new()
            .with_scale(1.0)
            .render_scene(&self.scene)
            .map_err(fail)?;
        let mut sheet = image::load_from_memory_with_format(&png, ImageFormat::Png)
            .map_err(|e| fail(e.to_string()))?
            .to_rgb8();
        for (x, y, picture) in &self.pictures {
            image::imageops::replace(&mut sheet, picture, *x, *y);
        }
        Ok(sheet)
    }
}

fn colour_of([red, green, blue]: [u8; 3]) -> Color {
    Color::Rgb(red, green, blue)
}

/// About how wide `text` is at `size`, in pixels; rather too much than too little.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * ADVANCE * size
}

/// `text`, cut in its middle where it would be wider than `width` pixels.
pub(crate) fn shortened(text: &str, size: f64, width: f64) -> String {
    let room = (width / (ADVANCE * size)) as usize;
    let count = text.chars().count();
    if count <= room || room < 3 {
        return text.to_owned();
    }
    let (head, tail) = ((room - 1).div_ceil(2), (room - 1) / 2);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("short", 10.0, 100.0), "short");
        let cut = shortened("S2A_MSIL1C_20200101T100000", 10.0, 60.0);
        assert_eq!(cut, "S2A_M…0000");
        assert_eq!(shortened("ääääääääää", 10.0, 30.0), "ää…ää");
    }

    #[test]
    fn text_is_drawn_at_its_position() {
        let mut sheet = Sheet::new(200.0, 100.0);
        sheet.text(100.0, 50.0, "HH", 40.0, Align::Centre);
        sheet.fill(0.0, 0.0, 10.0, 10.0, [255, 0, 0]);
        sheet.picture(
            190.0,
            90.0,
            RgbImage::from_pixel(10, 10, image::Rgb([0, 0, 255])),
        );
        let sheet = sheet.render().unwrap();
        assert_eq!(sheet.get_pixel(5, 5).0, [255, 0, 0]);
        assert_eq!(sheet.get_pixel(195, 95).0, [0, 0, 255]);
        let dark: Vec<(u32, u32)> = sheet
            .enumerate_pixels()
            .filter(|(_, _, p)| p.0 == INK)
            .map(|(x, y, _)| (x, y))
            .collect();
        let middle = |values: Vec<u32>| {
            f64::from(values.iter().min().unwrap() + values.iter().max().unwrap()) / 2.0
        };
        assert!((middle(dark.iter().map(|p| p.0).collect()) - 100.0).abs() < 4.0);
        assert!((middle(dark.iter().map(|p| p.1).collect()) - 50.0).abs() < 4.0);
    }

    #[test]
    fn a_picture_without_bounds_is_refused() {
        let error = Sheet::new(1e5, 1e5).render().unwrap_err();
        assert!(error.to_string().contains("fewer rows"), "{error}");
    }
}
