//! Rows of a scene, as the model takes them, and windows cut from them.

use std::collections::VecDeque;
use std::ops::Range;

use ndarray::{Array2, Array3, Array4, ArrayView3, ArrayViewMut3, s};

use super::source::Channels;
use crate::mirror::mirrored;

/// Consecutive rows of a scene, or of some of its columns: the bands that are there.
pub(super) struct Strip {
    /// The first row.
    pub first: usize,
    /// `[bands that are there, rows, columns]`, 0 where not valid, not finite where an optional
    /// band has a gap.
    pub present: Array3<f32>,
    /// `[rows, columns]`: whether every band that is not optional has data.
    pub valid: Array2<bool>,
    /// Whether an optional band may have a gap.
    pub has_gaps: bool,
}

impl Strip {
    /// Rows from `first` on, no pixel of which is valid: `[bands, rows, columns]`.
    pub fn empty(first: usize, shape: [usize; 3]) -> Self {
        let [_, rows, columns] = shape;
        Self {
            first,
            present: Array3::zeros(shape),
            valid: Array2::from_elem((rows, columns), false),
            has_gaps: false,
        }
    }

    /// A whole image as one strip: `[channels, height, width]` and `[height, width]`. As in
    /// training, pixels that are not valid are 0.
    pub fn of_image(image: ArrayView3<'_, f32>, valid: &Array2<bool>) -> Self {
        let mut present = image.to_owned();
        for mut plane in present.outer_iter_mut() {
            plane.zip_mut_with(valid, |value, valid| {
                *value = if *valid { *value } else { 0.0 };
            });
        }
        Self {
            first: 0,
            present,
            valid: valid.clone(),
            has_gaps: false,
        }
    }

    /// The row after the last.
    fn end(&self) -> usize {
        self.first + self.valid.nrows()
    }
}

/// The rows of a scene that windows still need: strips that follow one another.
#[derive(Default)]
pub(super) struct RowBuffer {
    strips: VecDeque<Strip>,
}

impl RowBuffer {
    /// Adds the strip below.
    pub fn push(&mut self, strip: Strip) {
        self.strips.push_back(strip);
    }

    /// The row after the last that was pushed.
    pub fn end(&self) -> usize {
        self.strips.back().map_or(0, Strip::end)
    }

    /// Rows before `row` are needed no more: strips that end there go.
    pub fn forget_before(&mut self, row: usize) {
        // The last strip stays for its end.
        while self.strips.len() > 1 && self.strips[0].end() <= row {
            self.strips.pop_front();
        }
    }

    /// Whether a window holds a valid pixel.
    pub fn any_valid(&self, place: [isize; 2], window: [usize; 2]) -> bool {
        self.parts(place, window).any(|part| {
            let valid = part.strip.valid.slice(s![part.rows(), part.cols()]);
            valid.outer_iter().any(|row| row.iter().any(|valid| *valid))
        })
    }

    /// Model input of windows, `[places.len(), channels, window rows, window columns]`; what
    /// is outside the scene is the window's own part of it, [`mirrored`].
    pub fn cut(
        &self,
        channels: &Channels,
        places: &[[isize; 2]],
        window: [usize; 2],
    ) -> Array4<f32> {
        let mut cut = Array4::zeros((places.len(), channels.count(), window[0], window[1]));
        for (mut cut, place) in cut.outer_iter_mut().zip(places) {
            // Rows and columns of the window that are in the scene.
            let mut inside: Option<[Range<usize>; 2]> = None;
            for part in self.parts(*place, window) {
                let [top, left] = part.within;
                let (rows, cols) = (top..top + part.size[0], left..left + part.size[1]);
                let Strip {
                    present,
                    valid,
                    has_gaps,
                    ..
                } = part.strip;
                channels.place(
                    present.slice(s![.., part.rows(), part.cols()]),
                    valid.slice(s![part.rows(), part.cols()]),
                    *has_gaps,
                    cut.slice_mut(s![.., rows.clone(), cols.clone()]),
                );
                // Strips follow one another from the top.
                let first = inside.map_or(rows.start, |[rows, _]| rows.start);
                inside = Some([first..rows.end, cols]);
            }
            if let Some(inside) = inside {
                fill(cut, inside);
            }
        }
        cut
    }

    /// Which pixels of the rows `first..end` are valid, `[end - first, width]`.
    pub fn valid(&self, first: usize, end: usize, width: usize) -> Array2<bool> {
        let mut valid = Array2::from_elem((end - first, width), false);
        for part in self.parts([first as isize, 0], [end - first, width]) {
            let top = part.within[0];
            valid
                .slice_mut(s![top..top + part.size[0], ..])
                .assign(&part.strip.valid.slice(s![part.rows(), ..]));
        }
        valid
    }

    /// What each strip holds of a window.
    fn parts(&self, place: [isize; 2], window: [usize; 2]) -> impl Iterator<Item = Part<'_>> {
        self.strips.iter().filter_map(move |strip| {
            let (top, rows, in_top) = shared(place[0], window[0], strip.first, strip.end())?;
            let (left, cols, in_left) = shared(place[1], window[1], 0, strip.valid.ncols())?;
            Some(Part {
                strip,
                place: [top - strip.first, left],
                within: [in_top, in_left],
                size: [rows, cols],
            })
        })
    }
}

/// Fills a window, `[bands, rows, columns]`, outside of the rows and columns `inside` with
/// the reflection of what is in them.
fn fill(mut window: ArrayViewMut3<'_, f32>, [rows, cols]: [Range<usize>; 2]) {
    let (_, height, width) = window.dim();
    let shown = |at: usize, inside: &Range<usize>| {
        let from_first = at as isize - inside.start as isize;
        inside.start + mirrored(from_first, inside.len())
    };
    for mut band in window.outer_iter_mut() {
        for col in (0..width).filter(|col| !cols.contains(col)) {
            let from = shown(col, &cols);
            for row in rows.clone() {
                band[[row, col]] = band[[row, from]];
            }
        }
        for row in (0..height).filter(|row| !rows.contains(row)) {
            let (mut to, from) = band.multi_slice_mut((s![row, ..], s![shown(row, &rows), ..]));
            to.assign(&from);
        }
    }
}

/// A rectangle that a strip and a window share.
struct Part<'a> {
    strip: &'a Strip,
    /// First row and column in the strip.
    place: [usize; 2],
    /// First row and column in the window.
    within: [usize; 2],
    size: [usize; 2],
}

impl Part<'_> {
    fn rows(&self) -> Range<usize> {
        self.place[0]..self.place[0] + self.size[0]
    }

    fn cols(&self) -> Range<usize> {
        self.place[1]..self.place[1] + self.size[1]
    }
}

/// What `window` pixels from `start` share with the pixels `first..end`: the first
/// shared pixel, their number, and the first one's place in the window.
fn shared(start: isize, window: usize, first: usize, end: usize) -> Option<(usize, usize, usize)> {
    let (low, high) = (
        start.max(first as isize),
        (start + window as isize).min(end as isize),
    );
    (low < high).then(|| (low as usize, (high - low) as usize, (low - start) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scene of one band in strips of two rows: pixel (row, column) is 10 · row + column.
    fn buffer(height: usize, width: usize) -> RowBuffer {
        let mut buffer = RowBuffer::default();
        for first in (0..height).step_by(2) {
            let rows = 2.min(height - first);
            let input = Array3::from_shape_fn((1, rows, width), |(_, row, col)| {
                (10 * (first + row) + col) as f32
            });
            buffer.push(Strip {
                first,
                present: input,
                valid: Array2::from_elem((rows, width), true),
                has_gaps: false,
            });
        }
        buffer
    }

    fn cut(buffer: &RowBuffer, place: [isize; 2], window: [usize; 2]) -> Vec<f32> {
        let channels = Channels::plain(1);
        let cut = buffer.cut(&channels, &[place], window);
        cut.into_raw_vec_and_offset().0
    }

    #[test]
    fn a_window_beyond_the_scene_sees_its_reflection() {
        let scene = buffer(3, 2);
        assert_eq!(cut(&scene, [1, 0], [2, 2]), [10., 11., 20., 21.]);
        // Below and to the right, repeated as needed.
        let expected = [0., 1., 0., 10., 11., 10., 20., 21., 20., 10., 11., 10.];
        assert_eq!(cut(&scene, [0, 0], [4, 3]), expected);
        // Above and to the left: only the window's part of the scene is reflected.
        assert_eq!(cut(&scene, [-1, -1], [2, 3]), [1., 0., 1., 1., 0., 1.]);
        let one = buffer(1, 1);
        assert_eq!(cut(&one, [0, 0], [2, 2]), [0.; 4]);
        assert_eq!(
            cut(&buffer(2, 1), [0, 0], [3, 2]),
            [0., 0., 10., 10., 0., 0.]
        );
    }
}
