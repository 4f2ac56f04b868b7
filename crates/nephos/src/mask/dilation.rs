//! Classes grown by a margin on the ground.

use std::collections::VecDeque;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::ground::Ground;
use crate::class::{Class, IGNORE};
use crate::error::{Error, Result};
use crate::raster::Georeference;

/// Largest reach in rows: bounds the memory, about three bytes per pixel and row.
const MAX_ROWS: f64 = 4096.0;

/// Rows that are made final at a time, at least.
const BATCH: usize = 64;

/// Grows cloud, and shadow on request, by a radius on the ground, in rows from the
/// top down.
///
/// Each pixel takes the class of highest priority within the radius, measured from centre to
/// centre: thick before thin, thin before shadow, shadow before clear. So what is
/// grown and then collapsed to a cloud mask is what is collapsed and then grown.
/// Pixels without data stay so. Work is linear in the pixels, whatever the radius.
pub struct Dilation {
    radius: f64,
    ground: Ground,
    /// Rows above and below that a pixel can reach.
    reach: usize,
    /// Classes that grow, the highest priority last.
    classes: Vec<Class>,
    /// Rows that came and are not final.
    rows: VecDeque<Row>,
    /// For each class and column, one more than the rows that a pixel above still
    /// reaches below the last final row; 0 for none.
    below: Vec<Vec<u16>>,
    /// Rows taken.
    taken: usize,
    width: usize,
}

/// A row of codes and, for each class that grows, one more than the rows that each
/// column is reached in above and below by a pixel of this row; 0 for none.
struct Row {
    codes: Vec<u8>,
    reaches: Vec<Vec<u16>>,
}

impl Dilation {
    /// For masks of `size` rows and columns: grows thick and thin cloud by `radius`
    /// metres, and shadow too where `shadow` is set.
    ///
    /// Where the size of pixels on the ground varies with the row, as in degrees and in
    /// Web Mercator, it is that of the pixel that grows.
    ///
    /// # Errors
    /// A radius that is negative or reaches over more than 4096 rows, or a georeference
    /// without the size of pixels.
    pub fn new(radius: f64, place: &Georeference, size: [usize; 2], shadow: bool) -> Result<Self> {
        let [height, width] = size;
        if !(radius >= 0.0 && radius.is_finite()) {
            return Err(Error::usage(format!("a dilation by {radius} m")));
        }
        let purpose = "dilation by metres";
        let ground = Ground::of(place, size, purpose)?.with_rectangles(purpose)?;
        let rows = (radius / ground.least_height(height) * (1.0 + 1e-9)).floor();
        if rows > MAX_ROWS {
            return Err(Error::limits(
                format!("a dilation by {radius} m"),
                format!("it reaches over {rows} rows, at most {MAX_ROWS} are done"),
            ));
        }
        let mut classes = vec![Class::Thin, Class::Thick];
        if shadow {
            classes.insert(0, Class::Shadow);
        }
        Ok(Self {
            radius,
            ground,
            reach: rows as usize,
            below: vec![vec![0; width]; classes.len()],
            classes,
            rows: VecDeque::new(),
            taken: 0,
            width,
        })
    }

    /// Takes the next rows, `[rows, width]`, and gives those that became final:
    /// from none to many, `[rows, width]`.
    ///
    /// # Panics
    /// Rows of another width.
    pub fn push(&mut self, rows: ArrayView2<'_, u8>) -> Array2<u8> {
        assert_eq!(rows.ncols(), self.width, "rows of another width");
        let new: Vec<Row> = (0..rows.nrows())
            .into_par_iter()
            .map(|row| self.row(self.taken + row, rows.row(row).to_vec()))
            .collect();
        self.taken += new.len();
        self.rows.extend(new);
        let ready = self.rows.len().saturating_sub(self.reach);
        if ready < self.reach.max(BATCH) {
            return Array2::zeros((0, self.width));
        }
        self.release(ready)
    }

    /// The rows that are left, `[rows, width]`.
    pub fn finish(mut self) -> Array2<u8> {
        self.release(self.rows.len())
    }

    /// How far each column of a row reaches up and down, class by class.
    fn row(&self, row: usize, codes: Vec<u8>) -> Row {
        let [width, height] = self.ground.pixel(row);
        // A hair more, so that a radius of whole pixels is not lost to rounding.
        let square = (self.radius * (1.0 + 1e-9)).powi(2);
        let reach = |distance: usize| -> u16 {
            let left = square - (distance as f64 * width).powi(2);
            // At most MAX_ROWS.
            if left < 0.0 {
                0
            } else {
                (left.sqrt() / height).floor() as u16 + 1
            }
        };
        let columns = (self.radius / width * (1.0 + 1e-9)).floor();
        let columns = (columns as usize).min(self.width);
        // By distance in columns; past the last, nothing is reached.
        let reaches: Vec<u16> = (0..=columns).map(reach).chain([0]).collect();
        let reaches = (self.classes.iter())
            .map(|class| horizontal(&codes, *class as u8, &reaches))
            .collect();
        Row { codes, reaches }
    }

    /// Makes the first `count` rows final. The rows after them are all that reach
    /// them from below.
    fn release(&mut self, count: usize) -> Array2<u8> {
        let mut out = Array2::zeros((count, self.width));
        for (row, mut line) in self.rows.iter().zip(out.rows_mut()) {
            for (to, code) in line.iter_mut().zip(&row.codes) {
                *to = *code;
            }
        }
        for (index, class) in self.classes.iter().enumerate() {
            let mut above = vec![0; self.width];
            for (position, row) in self.rows.iter().enumerate().rev() {
                step(&mut above, &row.reaches[index]);
                if position < count {
                    paint(out.row_mut(position).as_slice_mut(), &above, *class);
                }
            }
            let below = &mut self.below[index];
            for (position, row) in self.rows.iter().enumerate().take(count) {
                step(below, &row.reaches[index]);
                paint(out.row_mut(position).as_slice_mut(), below, *class);
            }
        }
        self.rows.drain(..count);
        out
    }
}

/// `reaches` at each column's distance to the nearest pixel of `class`.
fn horizontal(codes: &[u8], class: u8, reaches: &[u16]) -> Vec<u16> {
    let none = reaches.len() - 1;
    let mut row = vec![0; codes.len()];
    let mut distance = none;
    for (to, code) in row.iter_mut().zip(codes) {
        distance = if *code == class {
            0
        } else {
            (distance + 1).min(none)
        };
        *to = reaches[distance];
    }
    distance = none;
    for (to, code) in row.iter_mut().zip(codes).rev() {
        distance = if *code == class {
            0
        } else {
            (distance + 1).min(none)
        };
        *to = (*to).max(reaches[distance]);
    }
    row
}

/// Advances by one row.
fn step(left: &mut [u16], row: &[u16]) {
    for (left, reach) in left.iter_mut().zip(row) {
        *left = left.saturating_sub(1).max(*reach);
    }
}

/// Sets the pixels that are reached to `class` where that has higher priority.
fn paint(codes: Option<&mut [u8]>, reached: &[u16], class: Class) {
    for (code, reached) in codes.into_iter().flatten().zip(reached) {
        if *reached > 0 && *code != IGNORE && priority(*code) < priority(class as u8) {
            *code = class as u8;
        }
    }
}

/// Rank of a code: clear, shadow, thin, thick.
fn priority(code: u8) -> u8 {
    match code {
        0 => 0,
        code => u8::MAX - code,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;
    use proptest::prelude::*;

    use super::*;
    use crate::raster::GeoKeys;

    fn place(width: f64, height: f64) -> Georeference {
        Georeference::new(
            Some([0.0, width, 0.0, 0.0, 0.0, -height]),
            Some(GeoKeys::projected(32633)),
        )
    }

    /// By the definition, pixel by pixel.
    fn naive(codes: &Array2<u8>, radius: f64, ground: &Ground, shadow: bool) -> Array2<u8> {
        let mut out = codes.clone();
        for ((r, c), to) in out.indexed_iter_mut().filter(|(_, to)| **to != IGNORE) {
            for ((y, x), code) in codes.indexed_iter() {
                let [width, height] = ground.pixel(y);
                let distance = (r.abs_diff(y) as f64 * height).hypot(c.abs_diff(x) as f64 * width);
                let grows = matches!(code, 1 | 2) || *code == 3 && shadow;
                if grows && distance <= radius * (1.0 + 1e-9) && priority(*code) > priority(*to) {
                    *to = *code;
                }
            }
        }
        out
    }

    fn streamed(mut dilation: Dilation, codes: &Array2<u8>, rows: usize) -> Array2<u8> {
        let mut out = Array2::zeros((0, codes.ncols()));
        for chunk in codes.axis_chunks_iter(Axis(0), rows) {
            out.append(Axis(0), dilation.push(chunk).view()).unwrap();
        }
        out.append(Axis(0), dilation.finish().view()).unwrap();
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_equals_its_definition(
            seed in any::<u64>(),
            (rows, cols) in (1usize..90, 1usize..60),
            chunk in 1usize..100,
            radius in 0.0f64..160.0,
            (width, height) in (3.0f64..30.0, 3.0f64..30.0),
            shadow in any::<bool>(),
            system in 0..3,
        ) {
            let codes = Array2::from_shape_fn((rows, cols), |(r, c)| {
                let mixed = (seed ^ (r * 977 + c) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                match mixed >> 56 { 0 | 1 => 1, 2 => 2, 3..=5 => 3, 6..=20 => 255, _ => 0 }
            });
            let place = match system {
                0 => place(width, height),
                1 => Georeference::new(
                    Some([9.0, width / 1e5, 0.0, 70.0, 0.0, -height / 1e5]),
                    Some(GeoKeys::geographic(4326)),
                ),
                // Web Mercator at 80 to 85° south, where its scale grows downwards.
                _ => Georeference::new(
                    Some([9.0, width * 4.0, 0.0, -16.0e6, 0.0, -height * 2e3]),
                    Some(GeoKeys::projected(3857)),
                ),
            };
            let radius = if system == 2 { radius * 40.0 } else { radius };
            let dilation = Dilation::new(radius, &place, [rows, cols], shadow).unwrap();
            let expected = naive(&codes, radius, &dilation.ground, shadow);
            prop_assert_eq!(streamed(dilation, &codes, chunk), expected);
        }
    }

    #[test]
    fn whole_pixels_are_reached() {
        let mut codes = Array2::zeros((9, 9));
        codes[[4, 4]] = 1;
        let dilation = Dilation::new(0.3, &place(0.1, 0.1), [9, 9], false).unwrap();
        let grown = streamed(dilation, &codes, 9);
        assert_eq!(grown.sum(), 29);
        assert_eq!((grown[[4, 1]], grown[[1, 4]], grown[[4, 0]]), (1, 1, 0));
    }

    #[test]
    fn impossible_radii_and_georeferences_are_refused() {
        let refused = |radius, place: &Georeference| {
            let error = Dilation::new(radius, place, [4, 4], false).err().unwrap();
            error.to_string()
        };
        assert!(refused(-1.0, &place(1.0, 1.0)).contains("-1 m"));
        assert!(refused(f64::NAN, &place(1.0, 1.0)).contains("NaN"));
        assert!(refused(1e9, &place(1.0, 1.0)).contains("4096"));
        assert!(refused(1.0, &Georeference::default()).contains("metres"));
    }
}
