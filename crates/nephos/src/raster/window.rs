//! A rectangle of pixels of a raster.

use std::path::Path;

use crate::error::{Error, Result};

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub row: usize,
    /// First column.
    pub col: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
}

impl Window {
    /// A window of `window` rows and columns, or as many as there are, around the pixel
    /// `at` of a raster of `size`: as near to its middle as the raster's edges allow, and
    /// at a multiple of `align` pixels unless it ends with the raster.
    pub fn around(at: [usize; 2], window: [usize; 2], size: [usize; 2], align: usize) -> Self {
        let [[row, rows], [col, cols]] = [0, 1].map(|axis| {
            let count = window[axis].min(size[axis]);
            let last = size[axis] - count;
            let first = at[axis].saturating_sub(count / 2).min(last);
            let aligned = first - first % align.max(1);
            // Moved by less than what it must still hold.
            let keeps = first < last && at[axis] < aligned + count;
            [if keeps { aligned } else { first }, count]
        });
        Self {
            row,
            col,
            rows,
            cols,
        }
    }

    /// Refuses a window that is not within a raster of `size` rows and columns.
    ///
    /// # Errors
    /// The message has the requested and the existing range.
    pub(crate) fn check(self, path: &Path, size: [usize; 2]) -> Result<()> {
        let [rows, cols] = size;
        let within = |first: usize, count: usize, length: usize| {
            first.checked_add(count).is_some_and(|end| end <= length)
        };
        if within(self.row, self.rows, rows) && within(self.col, self.cols, cols) {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{}: {self:?} is requested, the scene has {rows} rows and {cols} columns",
            path.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_around_its_pixel_within_the_raster() {
        let around = |at: usize, window, size, align| {
            let window = Window::around([at, 0], [window, 1], [size, 1], align);
            (window.row, window.rows)
        };
        // In the middle, from a multiple of 8, but for the last.
        assert_eq!(around(100, 64, 250, 8), (64, 64));
        assert_eq!(around(0, 64, 250, 8), (0, 64));
        assert_eq!(around(249, 64, 250, 8), (186, 64));
        // The pixel stays in it where a window is smaller than the step.
        for at in 0..250 {
            for (window, align) in [(1, 8), (4, 8), (9, 8), (64, 19)] {
                let (first, count) = around(at, window, 250, align);
                assert!((first..first + count).contains(&at), "{at} {window}");
            }
        }
        // More than there is: all.
        assert_eq!(around(3, 64, 5, 8), (0, 5));
    }
}
