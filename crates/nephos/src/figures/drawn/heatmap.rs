//! A confusion matrix as a picture.

use std::path::Path;

use image::RgbImage;

use super::colour_map::{ColourMap, is_light};
use super::sheet::{Align, Sheet, text_width};
use crate::error::Result;
use crate::figures::save_png;
use crate::metrics::{ConfusionMatrix, grouped, names};

/// What is written into the cells; colours always show the share of the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cells {
    /// Pixels, with their share of the true class under them.
    Counts,
    /// The share of the true class alone.
    Shares,
}

/// Side of a cell, in pixels.
const CELL: f64 = 250.0;

/// Size of the text in the cells, in pixels.
const SIZE: f64 = 36.0;

/// Draws a confusion matrix to the PNG `path`: truth by row, prediction by
/// column.
///
/// # Errors
/// The file can't be written.
pub fn draw_confusion(path: &Path, matrix: &ConfusionMatrix, cells: Cells) -> Result<()> {
    save_png(path, &confusion_picture(matrix, cells)?)
}

fn confusion_picture(matrix: &ConfusionMatrix, cells: Cells) -> Result<RgbImage> {
    let names = names(matrix.classes());
    let side = matrix.classes() as f64 * CELL;
    let widest = (names.iter())
        .map(|name| text_width(name, SIZE))
        .fold(0.0, f64::max);
    let left = (3.0 * SIZE + widest).round();
    let top = SIZE;
    let (width, height) = (left + side + 1.5 * SIZE, top + side + 7.5 * SIZE);
    let mut sheet = Sheet::new(width, height);

    let shares = matrix.normalised();
    for ((row, col), share) in shares.indexed_iter() {
        let (x, y) = (left + col as f64 * CELL, top + row as f64 * CELL);
        let fill = ColourMap::Blues.rgb(*share);
        // The gaps between cells are the sheet's white.
        sheet.fill(x, y, CELL - 2.0, CELL - 2.0, fill);
        let ink = if is_light(fill) { [20; 3] } else { [255; 3] };
        let (cx, cy) = (x + CELL / 2.0, y + CELL / 2.0);
        let percent = match matrix.truth(row) {
            0 => "–".to_owned(),
            _ => format!("{:.1} %", share * 100.0),
        };
        match cells {
            Cells::Shares => sheet.coloured_text(cx, cy, &percent, 1.15 * SIZE, Align::Centre, ink),
            Cells::Counts => {
                let count = grouped(matrix.counts()[[row, col]]);
                let size = (CELL * 0.9 / text_width(&count, 1.0)).min(SIZE);
                sheet.coloured_text(cx, cy - 0.6 * SIZE, &count, size, Align::Centre, ink);
                let size = 0.8 * SIZE;
                sheet.coloured_text(cx, cy + 0.7 * SIZE, &percent, size, Align::Centre, ink);
            }
        }
    }
    for (index, name) in names.iter().enumerate() {
        let middle = index as f64 * CELL + CELL / 2.0;
        sheet.text(left - 0.5 * SIZE, top + middle, name, SIZE, Align::Right);
        let size = (CELL * 0.95 / text_width(name, 1.0)).min(SIZE);
        sheet.text(
            left + middle,
            top + side + 0.9 * SIZE,
            name,
            size,
            Align::Centre,
        );
    }
    sheet.text_upwards(SIZE, top + side / 2.0, "truth", 1.1 * SIZE);
    let centre = left + side / 2.0;
    sheet.text(
        centre,
        top + side + 2.3 * SIZE,
        "prediction",
        1.1 * SIZE,
        Align::Centre,
    );
    let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, format!("{:.0}", share * 100.0)));
    let bar = [left, top + side + 3.7 * SIZE, side - 2.0, 0.7 * SIZE];
    sheet.scale(bar, ColourMap::Blues, &ticks, 0.8 * SIZE);
    let caption_y = top + side + 6.2 * SIZE;
    sheet.text(
        centre,
        caption_y,
        "share of the true class, %",
        0.9 * SIZE,
        Align::Centre,
    );
    sheet.render()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn cells_are_coloured_by_their_share() {
        let matrix = ConfusionMatrix::from_counts(array![
            [900, 100, 0, 0],
            [0, 1_234_567, 0, 0],
            [1, 1, 1, 1],
            [0, 0, 0, 0]
        ]);
        for cells in [Cells::Counts, Cells::Shares] {
            let picture = confusion_picture(&matrix, cells).unwrap();
            let count = |share: f64| {
                let colour = ColourMap::Blues.rgb(share);
                picture.pixels().filter(|p| p.0 == colour).count()
            };
            let cell = (CELL * CELL) as usize;
            assert!(count(1.0) > cell / 2, "one full cell");
            assert!(count(0.25) > 2 * cell, "four cells of a quarter");
        }
    }
}
