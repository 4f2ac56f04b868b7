//! Layers of convolutional networks on images whose channels lie apart,
//! `[batch, channels, height, width]`: each channel of an image is a plane.

mod batch_norm;
mod conv;
mod depthwise;
#[cfg(test)]
mod tests;
mod unfold;

pub use batch_norm::{Activation, BatchNorm, Statistics};
pub use conv::Conv;
pub use depthwise::Depthwise;

/// The sum of each plane over all images, for `channels` channels.
///
/// # Panics
/// `values` is not whole planes of `pixels` numbers.
fn plane_sums(values: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; channels];
    for image in values.chunks_exact(channels * pixels) {
        for (sum, plane) in sums.iter_mut().zip(image.chunks_exact(pixels)) {
            *sum += sum_of(plane);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// The sum of many numbers: blocks in f32, blocks together in f64.
fn sum_of(values: &[f32]) -> f64 {
    values
        .chunks(BLOCK)
        .map(|block| f64::from(dot_ones(block)))
        .sum()
}

/// Numbers that are summed in f32.
const BLOCK: usize = 1024;

/// Sums that go on side by side.
const SUMS: usize = 16;

#[inline(always)]
fn dot_ones(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; SUMS];
    let (chunks, rest) = values.as_chunks::<SUMS>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
