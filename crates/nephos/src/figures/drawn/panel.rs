//! Figures: pictures in rows and columns, with titles, names and a legend.

use std::path::Path;

use image::RgbImage;
use image::imageops::{self, FilterType};

use super::colour_map::ColourMap;
use super::sheet::{Align, Sheet, shortened, text_width};
use crate::error::{Error, Result};
use crate::figures::{hatch, save_png};

/// Side that small pictures are enlarged to, by whole factors; pixels.
const SMALL: u32 = 512;

/// Side that large pictures are reduced to; pixels.
const LARGE: u32 = 1024;

/// One picture of a figure.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Written above; may be empty.
    pub title: String,
    /// The picture, of any size.
    pub image: RgbImage,
    /// The scale of colours to draw under it.
    pub scale: Option<ColourScale>,
}

/// What the colours of a panel mean.
#[derive(Debug, Clone, PartialEq)]
pub struct ColourScale {
    /// The colours.
    pub map: ColourMap,
    /// Number at the map's start.
    pub low: f64,
    /// Number at the map's end.
    pub high: f64,
}

/// Panels side by side.
#[derive(Debug, Clone)]
pub struct Row {
    /// Written on the left, upwards; may be empty.
    pub name: String,
    /// From left to right.
    pub panels: Vec<Panel>,
}

/// How a legend shows what an entry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swatch {
    /// A colour.
    Colour([u8; 3]),
    /// The hatching of pixels that don't count.
    Hatched,
}

/// Rows of panels over a legend, on white.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// Written above all; may be empty.
    pub title: String,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// Swatches with their meaning, below all.
    pub legend: Vec<(Swatch, String)>,
}

impl Panel {
    /// A picture with a title.
    pub fn new(title: impl Into<String>, image: RgbImage) -> Self {
        Self {
            title: title.into(),
            image,
            scale: None,
        }
    }
}

impl Figure {
    /// Draws the figure.
    ///
    /// # Errors
    /// There are no panels, a picture is empty, or the figure is too large.
    pub fn render(&self) -> Result<RgbImage> {
        let images: Vec<Vec<RgbImage>> = (self.rows.iter())
            .map(|row| row.panels.iter().map(|p| fitted(&p.image)).collect())
            .collect();
        let all = || images.iter().flatten();
        let cell_width = f64::from(all().map(RgbImage::width).max().unwrap_or(0));
        if cell_width == 0.0 || all().any(|image| image.height() == 0 || image.width() == 0) {
            return Err(Error::usage(
                "a figure needs at least one picture, and none empty",
            ));
        }
        let columns = self
            .rows
            .iter()
            .map(|row| row.panels.len())
            .max()
            .unwrap_or(0) as f64;

        let size = (cell_width * 0.056).max(22.0).round();
        let (gap, margin) = ((size * 0.5).round(), size);
        let named = self.rows.iter().any(|row| !row.name.is_empty());
        let left = margin + if named { (size * 1.5).round() } else { 0.0 };
        let width = left + columns * cell_width + (columns - 1.0) * gap + margin;
        let legend = legend_lines(&self.legend, size, width - 2.0 * margin);
        let title_height = if self.title.is_empty() {
            0.0
        } else {
            2.0 * size
        };

        let heights: Vec<RowHeights> = (self.rows.iter().zip(&images))
            .map(|(row, images)| RowHeights::new(row, images, size))
            .collect();
        let height = margin
            + title_height
            + heights.iter().map(RowHeights::total).sum::<f64>()
            + gap * (self.rows.len() as f64 - 1.0)
            + legend.len() as f64 * 1.7 * size
            + if legend.is_empty() {
                margin
            } else {
                0.8 * margin
            };

        let mut sheet = Sheet::new(width, height);
        let mut top = margin;
        if !self.title.is_empty() {
            let title = shortened(&self.title, 1.3 * size, width - 2.0 * margin);
            let middle = top + 0.5 * size;
            sheet.text(width / 2.0, middle, &title, 1.2 * size, Align::Centre);
            top += title_height;
        }
        for ((row, images), heights) in self.rows.iter().zip(images).zip(&heights) {
            let picture_top = top + heights.title;
            if !row.name.is_empty() {
                let name = shortened(&row.name, 0.8 * size, heights.picture);
                let middle = picture_top + heights.picture / 2.0;
                sheet.text_upwards(margin + 0.4 * size, middle, &name, (0.8 * size).round());
            }
            for (column, (panel, image)) in row.panels.iter().zip(images).enumerate() {
                let x = left + column as f64 * (cell_width + gap);
                let centre = x + cell_width / 2.0;
                let title = shortened(&panel.title, size, cell_width);
                sheet.text(
                    centre,
                    picture_top - 0.8 * size,
                    &title,
                    size,
                    Align::Centre,
                );
                let [w, h] = [image.width(), image.height()].map(f64::from);
                let picture_x = x + ((cell_width - w) / 2.0).floor();
                let picture_y = picture_top + ((heights.picture - h) / 2.0).floor();
                sheet.picture(picture_x, picture_y, image);
                if let Some(scale) = &panel.scale {
                    let y = picture_top + heights.picture + (0.5 * size).round();
                    sheet.scale(
                        [picture_x, y, w, (0.6 * size).round()],
                        scale.map,
                        &scale.ticks(),
                        (0.75 * size).round(),
                    );
                }
            }
            top += heights.total() + gap;
        }
        top -= 0.5 * gap;
        for line in &legend {
            draw_legend(&mut sheet, line, size, width / 2.0, top + size);
            top += 1.7 * size;
        }
        sheet.render()
    }

    /// Draws the figure to the PNG `path`.
    ///
    /// # Errors
    /// As for [`Figure::render`], or the file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        save_png(path, &self.render()?)
    }
}

/// Heights of the parts of a row, from top to bottom, in pixels.
struct RowHeights {
    title: f64,
    picture: f64,
    scale: f64,
}

impl RowHeights {
    fn new(row: &Row, images: &[RgbImage], size: f64) -> Self {
        let any = |has: fn(&Panel) -> bool| row.panels.iter().any(has);
        let room = |needed: bool, ems: f64| if needed { (ems * size).round() } else { 0.0 };
        Self {
            title: room(any(|panel| !panel.title.is_empty()), 1.6),
            picture: f64::from(images.iter().map(RgbImage::height).max().unwrap_or(0)),
            scale: room(any(|panel| panel.scale.is_some()), 2.3),
        }
    }

    fn total(&self) -> f64 {
        self.title + self.picture + self.scale
    }
}

impl ColourScale {
    fn ticks(&self) -> Vec<(f64, String)> {
        [0.0, 0.5, 1.0]
            .map(|share| {
                let number = self.low + share * (self.high - self.low);
                (share, short(number, self.high - self.low))
            })
            .to_vec()
    }
}

/// Two or three significant digits, or as many as distinguish numbers within `span`.
fn short(number: f64, span: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if (0.095..999.5).contains(&size) => {
            let digits = match span.abs() {
                0.0 => 2,
                span => (1.0 - span.log10().floor()).clamp(2.0, 6.0) as usize,
            };
            let text = format!("{number:.digits$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{number:.1e}").replace('-', "−"),
    }
}

/// A picture at the size it is shown: small ones enlarged by a whole factor, so
/// that each pixel stays a sharp square, large ones reduced.
fn fitted(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = width.max(height).max(1);
    if side > LARGE {
        let reduced =
            |length: u32| ((u64::from(length) * u64::from(LARGE)) / u64::from(side)).max(1) as u32;
        return imageops::resize(image, reduced(width), reduced(height), FilterType::Triangle);
    }
    let factor = (f64::from(SMALL) / f64::from(side)).round().max(1.0) as u32;
    imageops::resize(image, width * factor, height * factor, FilterType::Nearest)
}

/// An entry of a legend and how far it reaches.
pub(crate) type Placed<'a> = (&'a Swatch, &'a str, f64);

/// Breaks the legend into lines no wider than `width`.
pub(crate) fn legend_lines(
    legend: &[(Swatch, String)],
    size: f64,
    width: f64,
) -> Vec<Vec<Placed<'_>>> {
    let mut lines: Vec<Vec<Placed<'_>>> = Vec::new();
    let mut used = f64::INFINITY;
    for (swatch, name) in legend {
        let needed = 2.6 * size + text_width(name, size);
        if used + needed > width {
            lines.push(Vec::new());
            used = 0.0;
        }
        used += needed;
        if let Some(line) = lines.last_mut() {
            line.push((swatch, name, needed));
        }
    }
    lines
}

pub(crate) fn draw_legend(
    sheet: &mut Sheet,
    line: &[Placed<'_>],
    size: f64,
    centre: f64,
    middle: f64,
) {
    let total: f64 = line.iter().map(|(_, _, needed)| needed).sum();
    let side = size.round();
    let mut x = (centre - (total - size) / 2.0).round();
    let y = (middle - side / 2.0).round();
    for (swatch, name, needed) in line {
        match swatch {
            Swatch::Colour(colour) => sheet.fill(x, y, side, side, *colour),
            Swatch::Hatched => {
                let tile = RgbImage::from_fn(side as u32, side as u32, |col, row| {
                    image::Rgb(hatch::colour(row, col, hatch::period(side as u32)))
                });
                sheet.picture(x, y, tile);
            }
        }
        sheet.outline(x, y, side, side, 1.0);
        sheet.text(x + 1.4 * size, middle, name, size, Align::Left);
        x += needed.round();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn plain(width: u32, height: u32, colour: [u8; 3]) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb(colour))
    }

    #[test]
    fn pictures_are_enlarged_sharply_and_reduced() {
        assert_eq!(fitted(&plain(509, 509, [1; 3])).dimensions(), (509, 509));
        assert_eq!(fitted(&plain(256, 100, [1; 3])).dimensions(), (512, 200));
        assert_eq!(fitted(&plain(4096, 2048, [1; 3])).dimensions(), (1024, 512));
        let mut small = plain(2, 1, [0; 3]);
        small.put_pixel(1, 0, Rgb([255; 3]));
        let large = fitted(&small);
        assert_eq!(large.get_pixel(255, 0).0, [0; 3]);
        assert_eq!(large.get_pixel(256, 0).0, [255; 3]);
    }

    #[test]
    fn every_panel_is_in_the_figure() {
        let panel = |colour| Panel::new("title", plain(64, 64, colour));
        let mut heat = panel([0, 0, 200]);
        heat.scale = Some(ColourScale {
            map: ColourMap::Viridis,
            low: 0.0,
            high: 0.0014,
        });
        let figure = Figure {
            title: "all".to_owned(),
            rows: vec![
                Row {
                    name: "a $name$".to_owned(),
                    panels: vec![panel([200, 0, 0]), heat],
                },
                Row {
                    name: String::new(),
                    panels: vec![panel([0, 200, 0])],
                },
            ],
            legend: vec![
                (Swatch::Colour([9, 8, 7]), "nine".to_owned()),
                (Swatch::Hatched, "none".to_owned()),
            ],
        };
        let drawn = figure.render().unwrap();
        let count = |colour: [u8; 3]| drawn.pixels().filter(|p| p.0 == colour).count();
        for colour in [[200, 0, 0], [0, 0, 200], [0, 200, 0]] {
            assert_eq!(count(colour), 512 * 512, "{colour:?}");
        }
        assert!(count([9, 8, 7]) > 300);
        assert_eq!(drawn.get_pixel(0, 0).0, [255; 3]);
    }

    #[test]
    fn a_figure_of_nothing_is_refused() {
        assert!(Figure::default().render().is_err());
        let empty = Row {
            name: String::new(),
            panels: vec![Panel::new("", RgbImage::new(0, 4))],
        };
        let figure = Figure {
            rows: vec![empty],
            ..Figure::default()
        };
        assert!(figure.render().is_err());
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 1.0, 12.345, 0.00137, -2500.0].map(|n| short(n, 1.0));
        assert_eq!(shown, ["0", "0.5", "1", "12.35", "1.4e−3", "−2.5e3"]);
        let near = [0.991, 0.9985, 1.006].map(|number| short(number, 0.015));
        assert_eq!(near, ["0.991", "0.999", "1.006"]);
    }
}
