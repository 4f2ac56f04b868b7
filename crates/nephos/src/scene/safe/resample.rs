//! A band of one pixel size on a grid of another, by whole factors.
//!
//! Coarser bands are replicated, so that stored numbers stay what they are; finer
//! ones become the mean of their valid pixels.

use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, s};

use crate::raster::jp2::Rect;
use crate::scene::radiometry::{Radiometry, SATURATED_REFLECTANCE};

/// How an image's pixels map to the grid's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// `n` × `n` pixels of the grid in one of the image, 1 where they are the same.
    Replicate(usize),
    /// `n` × `n` pixels of the image in one of the grid.
    Mean(usize),
}

impl Fit {
    /// From the sizes of image and grid in pixels; `None` where no whole factor
    /// fits.
    pub fn new(image: [usize; 2], grid: [usize; 2]) -> Option<Self> {
        let factor = |large: [usize; 2], small: [usize; 2]| {
            let factor = large[0].checked_div(small[0])?;
            (small.map(|side| side * factor) == large && factor > 0).then_some(factor)
        };
        (factor(grid, image).map(Self::Replicate)).or_else(|| factor(image, grid).map(Self::Mean))
    }

    /// Pixels of the image that a window of the grid needs.
    pub fn source(self, window: &Rect) -> Rect {
        match self {
            Self::Replicate(n) => Rect {
                start: window.start.map(|first| first / n),
                end: window.end.map(|end| end.div_ceil(n)),
            },
            Self::Mean(n) => Rect {
                start: window.start.map(|first| first * n),
                end: window.end.map(|end| end * n),
            },
        }
    }

    /// Rows of the grid that `rows` of the image give, at least one.
    pub fn rows(self, rows: usize) -> usize {
        match self {
            Self::Replicate(n) => rows * n,
            Self::Mean(n) => (rows / n).max(1),
        }
    }

    /// Reflectance on the grid's `window` from the stored numbers of
    /// [`Fit::source`].
    pub fn apply(
        self,
        stored: &Array2<u16>,
        window: &Rect,
        radiometry: &Radiometry,
        mut out: ArrayViewMut2<'_, f32>,
    ) {
        for (row, line) in out.axis_iter_mut(Axis(0)).enumerate() {
            match self {
                Self::Replicate(n) => {
                    let from = stored.row((window.start[0] + row) / n - window.start[0] / n);
                    let from = from.as_slice().unwrap_or_default();
                    replicate(from, n, window.start[1] % n, radiometry, line);
                }
                Self::Mean(n) => {
                    for (col, pixel) in line.into_iter().enumerate() {
                        let (top, left) = (row * n, col * n);
                        let square = stored.slice(s![top..top + n, left..left + n]);
                        *pixel = mean(&square, radiometry);
                    }
                }
            }
        }
    }
}

/// Repeats each number `n` times, the first of the line `skip` times less.
fn replicate(
    from: &[u16],
    n: usize,
    skip: usize,
    radiometry: &Radiometry,
    line: ArrayViewMut1<'_, f32>,
) {
    let mut last = (0, radiometry.apply(0.0));
    for (col, pixel) in line.into_iter().enumerate() {
        let number = from[(skip + col) / n];
        if number != last.0 {
            last = (number, radiometry.apply(f64::from(number)));
        }
        *pixel = last.1;
    }
}

/// Mean reflectance of the valid pixels, NaN where there are none. Saturated ones
/// count with [`SATURATED_REFLECTANCE`].
fn mean(square: &ArrayView2<'_, u16>, radiometry: &Radiometry) -> f32 {
    // Whole numbers are added, so that the mean is rounded once.
    let (mut sum, mut ordinary, mut saturated) = (0u64, 0u64, 0u64);
    for number in square {
        let stored = Some(f64::from(*number));
        if radiometry.nodata == stored {
        } else if radiometry.saturated == stored {
            saturated += 1;
        } else {
            sum += u64::from(*number);
            ordinary += 1;
        }
    }
    let count = ordinary + saturated;
    if count == 0 {
        return f32::NAN;
    }
    let total = sum as f64 * radiometry.gain
        + ordinary as f64 * radiometry.bias
        + saturated as f64 * f64::from(SATURATED_REFLECTANCE);
    (total / count as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Origin;
    use ndarray::array;

    fn window(start: [usize; 2], end: [usize; 2]) -> Rect {
        Rect { start, end }
    }

    #[test]
    fn factors_are_whole() {
        assert_eq!(Fit::new([30, 30], [180, 180]), Some(Fit::Replicate(6)));
        assert_eq!(Fit::new([180, 180], [180, 180]), Some(Fit::Replicate(1)));
        assert_eq!(Fit::new([180, 180], [30, 30]), Some(Fit::Mean(6)));
        assert_eq!(Fit::new([180, 170], [30, 30]), None);
        assert_eq!(Fit::new([45, 45], [30, 30]), None);
    }

    #[test]
    fn means_leave_out_invalid_pixels() {
        let radiometry = Radiometry {
            saturated: Some(65535.0),
            ..Radiometry::scaled(10000.0, -1000.0, Origin::Metadata).with_nodata(Some(0.0))
        };
        let stored = array![
            [0, 2000, 0, 0],
            [3000, 4000, 0, 0],
            [0, 65535, 1000, 1000],
            [0, 2000, 1000, 1000]
        ];
        let whole = window([0, 0], [2, 2]);
        let fit = Fit::Mean(2);
        assert_eq!(fit.source(&whole), window([0, 0], [4, 4]));
        let mut out = Array2::zeros((2, 2));
        fit.apply(&stored, &whole, &radiometry, out.view_mut());
        assert_eq!(out[[0, 0]], 0.2);
        assert!(out[[0, 1]].is_nan());
        assert_eq!(out[[1, 0]], 1.05);
        assert_eq!(out[[1, 1]], 0.0);
    }

    #[test]
    fn replication_keeps_its_place_in_odd_windows() {
        let radiometry = Radiometry::scaled(1.0, 0.0, Origin::Given);
        let (fit, part) = (Fit::Replicate(3), window([2, 4], [5, 8]));
        assert_eq!(fit.source(&part), window([0, 1], [2, 3]));
        let stored = array![[1, 2], [3, 4]];
        let mut out = Array2::zeros((3, 4));
        fit.apply(&stored, &part, &radiometry, out.view_mut());
        assert_eq!(
            out,
            array![[1., 1., 2., 2.], [3., 3., 4., 4.], [3., 3., 4., 4.]]
        );
    }
}
