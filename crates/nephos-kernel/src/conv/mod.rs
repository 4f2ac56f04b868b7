//! Convolutions of images.
//!
//! Images are channels-last, `[batch, height, width, channels]`: a grid of tokens as
//! it is.

mod conv3x3;
mod cook_toom;
mod filter;
mod general;
mod input_gradient;
#[cfg(test)]
mod reference;
mod strip;
#[cfg(test)]
mod tests;
mod transform;
mod weight_gradient;
mod window;

use std::ops::Range;

pub use conv3x3::Conv3x3Packed;
pub use general::ConvPacked;
pub use input_gradient::ConvInputGradient;
pub use weight_gradient::{add_bias_gradient, add_weight_gradient};
pub use window::Window;

use crate::gemm::gelu_in_place;
use crate::sizes::count;

/// How many images there are, and their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
}

/// # Panics
/// The image has another size.
fn check_image(image: &[f32], shape: Shape, channels: usize) {
    let Shape {
        batch,
        height,
        width,
    } = shape;
    assert_eq!(
        image.len(),
        count([batch, height, width, channels]),
        "{batch} images of {height} x {width} pixels of {channels} channels"
    );
}

/// The GELU of some columns of rows of `[width, channels]`.
fn apply_gelu(rows: &mut [f32], [width, channels]: [usize; 2], columns: Range<usize>) {
    for row in rows.chunks_exact_mut(width * channels) {
        gelu_in_place(&mut row[columns.start * channels..columns.end * channels]);
    }
}
