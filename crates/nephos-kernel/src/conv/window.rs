//! What a convolution sees of an image.

use super::Shape;
use crate::sizes::{count, sum};

/// The window of a convolution, rows before columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its size.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next, in both directions.
    pub stride: usize,
    /// Zeros before the first and after the last row and column.
    pub padding: [usize; 2],
}

impl Window {
    /// The size of the output.
    ///
    /// # Panics
    /// The window is larger than the padded image, or the stride is zero; the padded image
    /// has more rows or columns than `isize` counts.
    pub fn output(&self, shape: Shape) -> Shape {
        let size = |len: usize, axis: usize| {
            let len = sum([len, self.padding[axis], self.padding[axis]]);
            assert!(isize::try_from(len).is_ok(), "an image {len} pixels wide");
            assert!(len >= self.kernel[axis], "a window larger than its image");
            (len - self.kernel[axis]) / self.stride + 1
        };
        Shape {
            height: size(shape.height, 0),
            width: size(shape.width, 1),
            ..shape
        }
    }

    /// Taps.
    pub fn area(&self) -> usize {
        count(self.kernel)
    }
}
