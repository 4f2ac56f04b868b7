//! A contact sheet: small pictures in rows, each with its classes below and a caption.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use ndarray::Array2;

use super::sheet::{Align, Sheet, shortened};
use crate::class::Class;
use crate::error::{Error, Result};
use crate::figures::hatch;

/// Colour of clear pixels; [`Class::colour`] is for overlays, where clear is
/// see-through.
const CLEAR: [u8; 3] = [40, 44, 52];

/// Space between pictures, and size of the text, in pixels.
const GAP: f64 = 4.0;
const TEXT: f64 = 11.0;

/// A picture of a contact sheet.
#[derive(Debug, Clone)]
pub struct Tile {
    /// Written below.
    pub caption: String,
    /// The picture.
    pub picture: RgbImage,
    /// Class codes, 255 where not labelled, `[height, width]` of the picture.
    pub classes: Array2<u8>,
}

/// Places rows of tiles on a sheet, each picture and its classes within `side` × `side`
/// pixels, under the row's name.
///
/// # Errors
/// No tiles, or one without pixels.
pub fn contact_sheet(rows: &[(String, Vec<Tile>)], side: u32) -> Result<RgbImage> {
    let columns = rows.iter().map(|(_, tiles)| tiles.len()).max().unwrap_or(0);
    let empty = |tile: &Tile| tile.classes.is_empty();
    if columns == 0 || side == 0 || rows.iter().any(|(_, tiles)| tiles.iter().any(empty)) {
        return Err(Error::usage(
            "a contact sheet needs at least one picture, and none empty",
        ));
    }
    let cell = f64::from(side);
    let line = TEXT + 6.0;
    let height = line + 2.0 * (cell + GAP) + line;
    let mut sheet = Sheet::new(
        GAP + columns as f64 * (cell + GAP),
        rows.len() as f64 * height,
    );
    for (row, (name, tiles)) in rows.iter().enumerate() {
        let top = row as f64 * height;
        sheet.text(GAP, top + line / 2.0, name, TEXT + 1.0, Align::Left);
        for (column, tile) in tiles.iter().enumerate() {
            let left = GAP + column as f64 * (cell + GAP);
            sheet.picture(left, top + line, fitted(&tile.picture, side));
            let classes = classes(&tile.classes, side);
            sheet.picture(left, top + line + cell + GAP, classes);
            sheet.text(
                left + cell / 2.0,
                top + line + 2.0 * (cell + GAP) + line / 2.0 - GAP / 2.0,
                &shortened(&tile.caption, TEXT, cell),
                TEXT,
                Align::Centre,
            );
        }
    }
    sheet.render()
}

/// Width and height within a square of `side`, in the shape of the picture.
fn within(width: u32, height: u32, side: u32) -> [u32; 2] {
    let longest = u64::from(width.max(height));
    [width, height]
        .map(|length| ((u64::from(length) * u64::from(side) + longest / 2) / longest).max(1) as u32)
}

pub(crate) fn fitted(picture: &RgbImage, side: u32) -> RgbImage {
    let [width, height] = within(picture.width(), picture.height(), side);
    if (width, height) == picture.dimensions() {
        return picture.clone();
    }
    imageops::resize(picture, width, height, FilterType::Triangle)
}

/// Classes in flat colours, the nearest pixel's.
pub(crate) fn classes(codes: &Array2<u8>, side: u32) -> RgbImage {
    let (rows, cols) = codes.dim();
    let [width, height] = within(cols as u32, rows as u32, side);
    let period = hatch::period(side);
    RgbImage::from_fn(width, height, |x, y| {
        let place = |at: u32, count: usize, length: u32| {
            (u64::from(at) * count as u64 / u64::from(length)) as usize
        };
        let code = codes[[place(y, rows, height), place(x, cols, width)]];
        Rgb(match Class::from_code(code) {
            Some(Class::Clear) => CLEAR,
            Some(class) => class.colour(),
            None => hatch::colour(y, x, period),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape_and_classes_their_colours() {
        let tile = |side: usize| Tile {
            caption: "a caption".to_owned(),
            picture: RgbImage::from_pixel(2 * side as u32, side as u32, Rgb([9; 3])),
            classes: Array2::from_elem((side, 2 * side), 1),
        };
        let rows = [("one".to_owned(), vec![tile(10), tile(70)])];
        let sheet = contact_sheet(&rows, 40).unwrap();
        assert_eq!(sheet.width(), 92);
        let of = |colour: [u8; 3]| sheet.pixels().filter(|pixel| pixel.0 == colour).count();
        assert_eq!(of([9; 3]), 2 * 40 * 20);
        assert_eq!(of(Class::Thick.colour()), 2 * 40 * 20);
        assert!(contact_sheet(&[], 40).is_err());
    }
}
