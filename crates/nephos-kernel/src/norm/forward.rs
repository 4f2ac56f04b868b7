//! Normalised rows.

use rayon::prelude::*;

use super::{LayerNorm, ROWS};
use crate::lanes::{Lanes, Level, Work, dispatch};

/// Normalises each row of `x` to mean 0 and variance 1, then times `scale` plus `shift`.
///
/// `saved`, if given, takes the mean and the inverse standard deviation of each row,
/// which [`backward`](super::backward()) needs.
///
/// # Shapes
/// - x, output: `[rows, width]`
/// - saved: `[rows, 2]`
///
/// # Panics
/// Slices of other sizes.
pub fn forward(x: &[f32], norm: &LayerNorm<'_>, output: &mut [f32], saved: Option<&mut [f32]>) {
    forward_at(Level::best(), x, norm, output, saved);
}

pub(super) fn forward_at(
    level: Level,
    x: &[f32],
    norm: &LayerNorm<'_>,
    output: &mut [f32],
    saved: Option<&mut [f32]>,
) {
    let width = norm.width();
    assert!(
        x.is_empty() || width > 0 && x.len().is_multiple_of(width),
        "{} numbers are no rows of {width}",
        x.len()
    );
    assert_eq!(output.len(), x.len(), "numbers of the output");
    let blocks = x.len().div_ceil((ROWS * width).max(1));
    let mut saved = match saved {
        Some(saved) => {
            let rows = x.len().checked_div(width).unwrap_or(0);
            assert_eq!(saved.len(), 2 * rows, "two saved numbers a row");
            saved.chunks_mut(2 * ROWS).map(Some).collect()
        }
        None => Vec::new(),
    };
    saved.resize_with(blocks, || None);
    (output.par_chunks_mut((ROWS * width).max(1)))
        .zip(saved)
        .enumerate()
        .for_each(|(block, (output, saved))| {
            let range = block * ROWS * width..block * ROWS * width + output.len();
            let rows = Rows {
                from: x[range].as_ptr(),
                to: output.as_mut_ptr(),
                count: output.len() / width,
                norm,
                saved,
            };
            dispatch(level, rows);
        });
}

/// Rows of one task.
struct Rows<'a> {
    from: *const f32,
    to: *mut f32,
    count: usize,
    norm: &'a LayerNorm<'a>,
    saved: Option<&'a mut [f32]>,
}

impl Work for Rows<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const R: usize>(mut self) {
        let width = self.norm.scale.len();
        for row in 0..self.count {
            // SAFETY: `from` and `to` are good for `count` rows.
            let moments = unsafe {
                let (from, to) = (self.from.add(row * width), self.to.add(row * width));
                normalise::<L>(from, self.norm, to)
            };
            if let Some(saved) = &mut self.saved {
                saved[2 * row..2 * row + 2].copy_from_slice(&moments);
            }
        }
    }
}

/// One row; its mean and inverse standard deviation.
///
/// The variance is that of the differences from the mean, which loses nothing where
/// the mean is large.
///
/// # Safety
/// The pointers are good for as many numbers as the norm has; and as for [`Lanes`].
#[inline(always)]
unsafe fn normalise<L: Lanes>(from: *const f32, norm: &LayerNorm<'_>, to: *mut f32) -> [f32; 2] {
    let width = norm.scale.len();
    let (whole, rest) = (width - width % L::COUNT, width % L::COUNT);
    // SAFETY: places are below `width`.
    unsafe {
        let mut sum = L::splat(0.0);
        for place in (0..whole).step_by(L::COUNT) {
            sum = sum.add(L::load(from.add(place)));
        }
        if rest > 0 {
            sum = sum.add(L::load_part(from.add(whole), rest));
        }
        let mean = sum.sum() / width as f32;
        let mean_lanes = L::splat(mean);
        let mut squares = L::splat(0.0);
        for place in (0..whole).step_by(L::COUNT) {
            let x = L::load(from.add(place)).sub(mean_lanes);
            squares = x.mul_add(x, squares);
        }
        let mut squares = squares.sum();
        for place in whole..width {
            let x = *from.add(place) - mean;
            squares += x * x;
        }
        let inverse = 1.0 / (squares / width as f32 + norm.epsilon).sqrt();
        let inverse_lanes = L::splat(inverse);
        let (scale, shift) = (norm.scale.as_ptr(), norm.shift.as_ptr());
        for place in (0..whole).step_by(L::COUNT) {
            let x = L::load(from.add(place)).sub(mean_lanes).mul(inverse_lanes);
            x.mul_add(L::load(scale.add(place)), L::load(shift.add(place)))
                .store(to.add(place));
        }
        if rest > 0 {
            let x = L::load_part(from.add(whole), rest).sub(mean_lanes);
            let scale = L::load_part(scale.add(whole), rest);
            let shift = L::load_part(shift.add(whole), rest);
            (x.mul(inverse_lanes).mul_add(scale, shift)).store_part(to.add(whole), rest);
        }
        [mean, inverse]
    }
}
