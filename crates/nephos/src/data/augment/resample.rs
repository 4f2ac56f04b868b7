//! A window of a sample at another size.

use ndarray::{Array2, Array3, s};

use super::sample_cache::spread;
use crate::data::Example;

/// A rectangle of a sample, in its pixels; it may reach past the sample, which is then
/// continued by its mirror image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    /// First row and column.
    pub start: [f64; 2],
    /// Rows and columns.
    pub extent: [f64; 2],
}

/// The window with `size` rows and columns: numbers weighed by a triangle as wide as two
/// pixels of the coarser side, among valid pixels only; label and validity from the
/// pixel that contains the middle of the new one.
///
/// Whole pixels at their own size are copied. The planes of `example` are those of the
/// bands that are there; those of the result are all bands.
pub(crate) fn resample(example: &Example, window: Window, size: [usize; 2]) -> Example {
    let (height, width) = example.valid.dim();
    let have = [height, width];
    let absent = &example.absent;
    if window.start == [0.0; 2] && size == have && window.extent == have.map(|n| n as f64) {
        return Example {
            image: spread(example.image.clone(), absent),
            ..example.clone()
        };
    }
    let mut axes = [0, 1].map(|axis| Axis1::new(window, axis, size[axis], have[axis]));
    // Of a large sample only what the window holds is read.
    let [(top, bottom), (left, right)] = axes.each_mut().map(Axis1::rebase);
    let part = s![top..bottom, left..right];
    let (labels, valids) = (example.label.slice(part), example.valid.slice(part));
    let planes = example.image.slice(s![.., top..bottom, left..right]);
    let [rows, cols] = &axes;
    let nearest = |row: usize, col: usize| [rows.nearest[row], cols.nearest[col]];
    let label = Array2::from_shape_fn(size, |(row, col)| labels[nearest(row, col)]);
    let valid = Array2::from_shape_fn(size, |(row, col)| valids[nearest(row, col)]);
    let teacher = example.teacher.as_ref().map(|planes| {
        let planes = planes.slice(s![.., top..bottom, left..right]);
        Array3::from_shape_fn((planes.dim().0, size[0], size[1]), |(plane, row, col)| {
            let [row, col] = nearest(row, col);
            planes[[plane, row, col]]
        })
    });
    let mut image = Array3::zeros((planes.dim().0, size[0], size[1]));
    if rows.whole && cols.whole {
        for (band, mut out) in planes.outer_iter().zip(image.outer_iter_mut()) {
            for ((row, col), value) in out.indexed_iter_mut() {
                *value = band[nearest(row, col)];
            }
        }
    } else {
        let counts = valids.mapv(|valid| if valid { 1.0 } else { 0.0 });
        let weight = rows.apply_rows(&cols.apply_cols(&counts));
        for (band, mut out) in planes.outer_iter().zip(image.outer_iter_mut()) {
            // Pixels that are not valid are 0: they add nothing to the sum.
            let sum = rows.apply_rows(&cols.apply_cols(&(&band * &counts)));
            for ((out, sum), (weight, valid)) in
                (out.iter_mut().zip(&sum)).zip(weight.iter().zip(&valid))
            {
                *out = if *valid { sum / weight } else { 0.0 };
            }
        }
    }
    Example {
        name: example.name.clone(),
        image: spread(image, absent),
        label,
        teacher,
        valid,
        absent: absent.clone(),
    }
}

/// How new pixels along one axis come from old ones.
struct Axis1 {
    /// The old pixel that holds each new one's middle.
    nearest: Vec<usize>,
    /// Old pixels and their weights, which sum to 1.
    taps: Vec<Vec<(usize, f32)>>,
    /// Each new pixel is an old one.
    whole: bool,
}

impl Axis1 {
    fn new(window: Window, axis: usize, count: usize, have: usize) -> Self {
        let step = window.extent[axis] / count as f64;
        let start = window.start[axis];
        let middle = |pixel: usize| start + (pixel as f64 + 0.5) * step;
        let radius = step.max(1.0);
        let taps = |pixel: usize| {
            // Distances are from middle to middle.
            let centre = middle(pixel) - 0.5;
            let first = (centre - radius).floor() as i64;
            let last = (centre + radius).ceil() as i64;
            let weight = |old: i64| (1.0 - (old as f64 - centre).abs() / radius).max(0.0);
            let sum: f64 = (first..=last).map(weight).sum();
            (first..=last)
                .filter(|old| weight(*old) > 0.0)
                .map(|old| (mirrored(old, have), (weight(old) / sum) as f32))
                .collect()
        };
        let near = |pixel: usize| mirrored(middle(pixel).floor() as i64, have);
        Self {
            nearest: (0..count).map(near).collect(),
            taps: (0..count).map(taps).collect(),
            whole: step == 1.0 && start.fract() == 0.0,
        }
    }

    /// Makes positions count from the first old pixel that is read; that one, and the one
    /// after the last.
    fn rebase(&mut self) -> (usize, usize) {
        let taps = self.taps.iter().flatten().map(|(old, _)| *old);
        let all = taps.chain(self.nearest.iter().copied());
        let (first, last) = all.fold((usize::MAX, 0), |(first, last), old| {
            (first.min(old), last.max(old))
        });
        if first > last {
            return (0, 0);
        }
        for (old, _) in self.taps.iter_mut().flatten() {
            *old -= first;
        }
        for old in &mut self.nearest {
            *old -= first;
        }
        (first, last + 1)
    }

    fn apply_cols(&self, plane: &Array2<f32>) -> Array2<f32> {
        let mut out = Array2::zeros((plane.nrows(), self.taps.len()));
        for (line, mut out) in plane.outer_iter().zip(out.outer_iter_mut()) {
            let line = line.to_vec();
            for (out, taps) in out.iter_mut().zip(&self.taps) {
                *out = taps.iter().map(|(old, weight)| line[*old] * weight).sum();
            }
        }
        out
    }

    fn apply_rows(&self, plane: &Array2<f32>) -> Array2<f32> {
        let mut out = Array2::zeros((self.taps.len(), plane.ncols()));
        for (mut out, taps) in out.outer_iter_mut().zip(&self.taps) {
            for (old, weight) in taps {
                out.scaled_add(*weight, &plane.slice(s![*old, ..]));
            }
        }
        out
    }
}

/// A position outside of `0..length` mirrored into it; the pixels at the border are
/// repeated.
fn mirrored(place: i64, length: usize) -> usize {
    let length = length as i64;
    let place = place.rem_euclid(2 * length);
    place.min(2 * length - 1 - place) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_outside_are_mirrored() {
        let places: Vec<usize> = (-4..7).map(|place| mirrored(place, 3)).collect();
        assert_eq!(places, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
    }

    #[test]
    fn weights_sum_to_one_and_a_ramp_stays_a_ramp() {
        for extent in [5.0, 10.0, 17.0] {
            let window = Window {
                start: [4.0; 2],
                extent: [extent; 2],
            };
            let axis = Axis1::new(window, 1, 10, 40);
            assert!(axis.taps.iter().all(|taps| {
                (taps.iter().map(|(_, weight)| weight).sum::<f32>() - 1.0).abs() < 1e-6
            }));
            let ramp = Array2::from_shape_fn((1, 40), |(_, col)| col as f32 + 0.5);
            let out = axis.apply_cols(&ramp);
            for (pixel, value) in out.iter().enumerate() {
                let expected = 4.0 + (pixel as f64 + 0.5) * extent / 10.0;
                assert!(
                    (f64::from(*value) - expected).abs() < 0.1,
                    "{value} {expected}"
                );
            }
        }
    }
}
