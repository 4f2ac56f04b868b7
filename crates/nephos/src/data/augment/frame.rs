//! Geometry of an augmented sample: crop, magnification, turns and mirrors.

use ndarray::{Array2, Array3, Axis, s};

use super::random::AugmentRng;
use super::resample::{Window, resample};
use crate::config::AugmentConfig;
use crate::data::Example;

/// Which part of a sample becomes the new one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    /// Rows and columns of the new sample, before it is turned.
    pub size: [usize; 2],
    pub window: Window,
    /// Quarter turns, counterclockwise.
    pub turns: usize,
    pub flip: bool,
}

impl Frame {
    /// A frame of `size` in a sample of `have` rows and columns, magnified by `zoom`, least
    /// and greatest.
    ///
    /// With `focus`, a pixel of the sample, the frame holds it, where the sample is
    /// larger than the frame.
    pub fn draw(
        config: &AugmentConfig,
        [low, high]: [f64; 2],
        have: [usize; 2],
        size: [usize; 2],
        focus: Option<[usize; 2]>,
        rng: &mut AugmentRng,
    ) -> Self {
        let (turns, flip) = (rng.below(4), rng.chance(0.5));
        let zoom = rng.between(low.ln(), high.ln()).exp();
        // Without magnification crops are of whole pixels, so that nothing is blurred.
        let whole = config.zoom == [1.0; 2];
        let extent = size.map(|size| size as f64 / if whole { 1.0 } else { zoom });
        let start = [0, 1].map(|axis| {
            let place = rng.unit();
            let rest = have[axis] as f64 - extent[axis];
            let (first, last) = match focus {
                // The sample in the middle, mirrored around.
                _ if rest < 0.0 => (rest / 2.0, rest / 2.0),
                None => (0.0, rest),
                Some(focus) => {
                    let focus = focus[axis] as f64;
                    let first = (focus + 1.0 - extent[axis]).clamp(0.0, rest);
                    (first, focus.min(rest).max(first))
                }
            };
            match whole {
                // Of the whole pixels from `first` to `last` each alike.
                true => {
                    let (low, high) = (first.ceil(), last.floor());
                    (low + (place * (high - low + 1.0)).floor()).min(high.max(low))
                }
                false => first + place * (last - first),
            }
        });
        let square = size[0] == size[1];
        Self {
            size,
            window: Window { start, extent },
            turns: match (config.rotate, square) {
                (false, _) => 0,
                (true, true) => turns,
                (true, false) => turns / 2 * 2,
            },
            flip: config.flip && flip,
        }
    }

    /// The sample in the frame; its planes are those of the bands that are there, those of
    /// the result all.
    pub fn of(&self, example: &Example) -> Example {
        turned(
            resample(example, self.window, self.size),
            self.turns,
            self.flip,
        )
    }
}

/// A sample turned counterclockwise by quarter turns, then mirrored left to right.
pub(crate) fn turned(example: Example, turns: usize, flip: bool) -> Example {
    if turns == 0 && !flip {
        return example;
    }
    let (image, teacher) = (
        turned_planes(&example.image, turns, flip),
        (example.teacher.as_ref()).map(|planes| turned_planes(planes, turns, flip)),
    );
    Example {
        image,
        teacher,
        label: turned_plane(example.label, turns, flip),
        valid: turned_plane(example.valid, turns, flip),
        ..example
    }
}

fn turned_planes<T: Clone + Default>(planes: &Array3<T>, turns: usize, flip: bool) -> Array3<T> {
    let turned: Vec<Array2<T>> = (planes.outer_iter())
        .map(|plane| turned_plane(plane.to_owned(), turns, flip))
        .collect();
    let (height, width) = turned.first().map_or((0, 0), Array2::dim);
    let mut all = Array3::default((turned.len(), height, width));
    for (mut out, plane) in all.outer_iter_mut().zip(&turned) {
        out.assign(plane);
    }
    all
}

fn turned_plane<T: Clone>(plane: Array2<T>, turns: usize, flip: bool) -> Array2<T> {
    let mut view = plane.view();
    for _ in 0..turns % 4 {
        // A quarter turn is a transposition and a mirroring of the rows.
        view = view.reversed_axes();
        view.invert_axis(Axis(0));
    }
    if flip {
        view.invert_axis(Axis(1));
    }
    view.slice(s![.., ..]).as_standard_layout().into_owned()
}
