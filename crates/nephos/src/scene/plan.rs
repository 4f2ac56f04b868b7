//! Which windows cover a scene.

use crate::error::{Error, Result};

/// Windows of one size that cover a scene: a grid whose rows and columns are spread
/// as evenly as whole pixels allow, with no more windows than the overlap asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Rows and columns of the scene.
    pub size: [usize; 2],
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// First row of each row of windows, ascending. Windows may reach past the
    /// scene, where it is smaller than a window or the grid is shifted.
    pub tops: Vec<isize>,
    /// First column of each column of windows, ascending.
    pub lefts: Vec<isize>,
}

impl Plan {
    /// Plans windows of `window` rows and columns over a scene of `size`.
    ///
    /// - overlap: what neighbours share at least; below 1 a fraction of the window's
    ///   side, from 1 a number of pixels
    /// - align: windows start at multiples of so many pixels, but for the last, which
    ///   ends with the scene; with a model's patch stride, a pixel is in the same
    ///   patch whichever window it is in
    /// - shift: the whole grid is moved up and left by so many pixels, and has rows and
    ///   columns of windows more at its end; to see how much a mask depends on the grid
    ///
    /// # Errors
    /// A scene or window without pixels, an overlap that is not a number of at least
    /// 0 or leaves no step between windows, or a shift of a window or more.
    pub fn new(
        size: [usize; 2],
        window: [usize; 2],
        overlap: f64,
        align: usize,
        shift: usize,
    ) -> Result<Self> {
        let [height, width] = size;
        if size.contains(&0) || window.contains(&0) {
            return Err(Error::usage(format!(
                "a scene of {height} × {width} pixels in windows of {} × {}: neither may be empty",
                window[0], window[1]
            )));
        }
        if shift >= window[0].min(window[1]) {
            return Err(Error::usage(format!(
                "a grid of windows of {} × {} pixels can't be shifted by {shift}: at most a \
                 window less one pixel",
                window[0], window[1]
            )));
        }
        Ok(Self {
            size,
            window,
            tops: starts(height, window[0], overlap, align, shift)?,
            lefts: starts(width, window[1], overlap, align, shift)?,
        })
    }

    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.tops.len() * self.lefts.len()
    }

    /// Pixels that the model is given when no window is skipped.
    pub fn computed_pixels(&self) -> u64 {
        self.windows() as u64 * self.window_pixels() as u64
    }

    /// How many of `windows` windows go through the model at once: of about
    /// `batch_pixels` pixels together, as many for each of `threads` threads, batches as equal as
    /// they can be.
    pub(crate) fn batch(&self, windows: usize, batch_pixels: usize, threads: usize) -> usize {
        let (most, threads) = ((batch_pixels / self.window_pixels()).max(1), threads.max(1));
        let most = most - if most > threads { most % threads } else { 0 };
        let equal = windows.div_ceil(windows.div_ceil(most).max(1)).max(1);
        equal.next_multiple_of(threads).min(most)
    }

    fn window_pixels(&self) -> usize {
        self.window[0].saturating_mul(self.window[1])
    }
}

/// First pixels of windows of `window` pixels that cover `length` pixels.
fn starts(
    length: usize,
    window: usize,
    overlap: f64,
    align: usize,
    shift: usize,
) -> Result<Vec<isize>> {
    let shared = if overlap < 1.0 {
        (overlap * window as f64).ceil().min(window as f64 - 1.0)
    } else {
        overlap.ceil()
    };
    let rest = length.saturating_sub(window);
    let fits = shared >= 0.0 && (shared < window as f64 || rest == 0 && shared.is_finite());
    if !fits {
        return Err(Error::usage(format!(
            "windows of {window} pixels can't overlap by {overlap}: below 1 it is a fraction of \
             the window, from 1 a number of pixels less than the window"
        )));
    }
    let stride = window.saturating_sub(shared as usize).max(1);
    // A step too short to be aligned stays as it is.
    let align = if align > stride { 1 } else { align.max(1) };
    let stride = stride - stride % align;
    let steps = rest.div_ceil(stride);
    // No steps: one window that holds the whole length. Rounding up to a multiple of
    // the alignment makes no step longer than the stride, which is one.
    let place = |step: usize| match (rest * step).checked_div(steps) {
        Some(start) => (start.div_ceil(align) * align).min(rest),
        None => 0,
    };
    let mut starts: Vec<isize> = (0..=steps)
        .map(place)
        .map(|start| start as isize - shift as isize)
        .collect();
    // What the shift leaves open at the far end.
    for step in 1..=shift.div_ceil(stride) {
        starts.push((rest + step * stride) as isize - shift as isize);
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_even_and_windows_as_few_as_the_overlap_asks() {
        for (length, window, overlap) in [
            (11, 10, 0.25),
            (100, 16, 0.25),
            (1021, 509, 0.25),
            (10980, 509, 0.25),
            (7, 1, 0.0),
            (7, 1, 0.25),
            (1000, 3, 0.5),
            (500, 100, 17.0),
            (10, 10, 0.25),
        ] {
            let starts = starts(length, window, overlap, 1, 0).unwrap();
            assert_eq!(starts[0], 0);
            assert_eq!(starts[starts.len() - 1] as usize + window, length);
            let asked = match overlap {
                share if share < 1.0 => (share * window as f64).ceil().min(window as f64 - 1.0),
                pixels => pixels,
            };
            let strides: Vec<isize> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            for stride in &strides {
                assert!(window as f64 - *stride as f64 >= asked, "{length} {window}");
            }
            let (least, most) = (strides.iter().min(), strides.iter().max());
            assert!(least.zip(most).is_none_or(|(a, b)| b - a <= 1));
            // One window fewer could not keep the overlap.
            let fewer = strides.len().saturating_sub(1) as f64;
            assert!(
                strides.is_empty() || fewer * (window as f64 - asked) < (length - window) as f64
            );
        }
    }

    #[test]
    fn windows_start_with_a_patch_but_for_the_last() {
        for (length, window, overlap, align) in [
            (1098, 96, 0.25, 6),
            (10980, 509, 0.25, 19),
            (100, 32, 0.5, 8),
            (33, 32, 0.9, 8),
        ] {
            let starts = starts(length, window, overlap, align, 0).unwrap();
            let last = starts.len() - 1;
            assert!(
                starts[..last]
                    .iter()
                    .all(|start| (*start as usize).is_multiple_of(align))
            );
            assert_eq!(starts[last] as usize + window, length);
            let most = window as isize - (overlap * window as f64).ceil() as isize;
            let strides = starts.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(
                strides.clone().all(|stride| 0 < stride && stride <= most),
                "{starts:?}"
            );
        }
        // A step shorter than a patch is not aligned.
        assert_eq!(starts(12, 8, 0.875, 8, 0).unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_shifted_grid_covers_the_scene_too() {
        for (length, window) in [(100, 30), (30, 30), (5, 30), (31, 30)] {
            let plain = starts(length, window, 0.25, 1, 0).unwrap();
            let shifted = starts(length, window, 0.25, 1, 10).unwrap();
            assert!(shifted.len() > plain.len());
            assert!(plain.iter().zip(&shifted).all(|(a, b)| a - b == 10));
            assert!(shifted[shifted.len() - 1] + window as isize >= length as isize);
            assert!(
                shifted
                    .windows(2)
                    .all(|pair| pair[1] - pair[0] <= window as isize)
            );
        }
    }

    #[test]
    fn requests_that_make_no_sense_are_errors() {
        let plan = |size, window, overlap, shift| Plan::new(size, window, overlap, 1, shift);
        for overlap in [-0.1, f64::NAN, 10.0, f64::INFINITY] {
            assert!(plan([20, 20], [10, 10], overlap, 0).is_err(), "{overlap}");
        }
        assert!(plan([0, 20], [10, 10], 0.25, 0).is_err());
        assert!(plan([20, 20], [10, 0], 0.25, 0).is_err());
        assert!(plan([20, 20], [10, 10], 0.25, 10).is_err());
        // An overlap in pixels that one side can't have is ignored where that
        // side is one window.
        assert!(plan([5, 20], [5, 10], 6.0, 0).is_ok());
    }

    #[test]
    fn pixels_are_counted_and_batches_are_even() {
        let plan = Plan::new([100, 100], [40, 40], 0.25, 1, 0).unwrap();
        assert_eq!(plan.windows(), 9);
        assert_eq!(plan.computed_pixels(), 9 * 1600);
        assert_eq!(plan.batch(29, 4 * 1600, 1), 4);
        assert_eq!(plan.batch(9, 8 * 1600, 1), 5);
        assert_eq!(plan.batch(3, 1, 1), 1);
        assert_eq!(plan.batch(0, 1, 1), 1);
        // No thread has a window more than another, unless there are fewer.
        assert_eq!(plan.batch(34, 7 * 1600, 2), 6);
        assert_eq!(plan.batch(34, 7 * 1600, 3), 6);
        assert_eq!(plan.batch(34, 7 * 1600, 16), 7);
        assert_eq!(plan.batch(9, 8 * 1600, 2), 6);
        assert_eq!(plan.batch(1, 8 * 1600, 2), 2);
    }
}
