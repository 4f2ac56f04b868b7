//! Normalised rows.

use rayon::prelude::*;

use super::{LayerNorm, ROWS};
use crate::lanes::{Lanes, Level, Work, dispatch};

/// Normalises `x + residual`, or `x` where there is no residual: each row to mean 0
/// and variance 1, then times `scale` plus `shift`.
///
/// `saved`, if given, takes the mean and the inverse standard deviation of each row,
/// which [`backward`](super::backward()) needs.
///
/// # Shapes
/// - x, residual, output: `[rows, width]`
/// - saved: `[rows, 2]`
///
/// # Panics
/// Slices of other sizes.
pub fn forward(
    x: &[f32],
    residual: Option<&[f32]>,
    norm: &LayerNorm<'_>,
    output: &mut [f32],
    saved: Option<&mut [f32]>,
) {
    forward_at(Level::best(), x, residual, norm, output, saved);
}

/// As [`forward`], with the output in place of `x`.
///
/// # Panics
/// As [`forward`].
pub fn forward_in_place(x: &mut [f32], residual: Option<&[f32]>, norm: &LayerNorm<'_>) {
    let width = norm.width();
    check(width, x.len(), residual.map(<[f32]>::len));
    let level = Level::best();
    (x.par_chunks_mut((ROWS * width).max(1)))
        .enumerate()
        .for_each(|(block, x)| {
            let residual = residual.map(|residual| &residual[block * ROWS * width..][..x.len()]);
            let rows = Rows {
                from: x.as_ptr(),
                to: x.as_mut_ptr(),
                count: x.len() / width,
                residual,
                norm: *norm,
                saved: None,
            };
            dispatch(level, rows);
        });
}

pub(super) fn forward_at(
    level: Level,
    x: &[f32],
    residual: Option<&[f32]>,
    norm: &LayerNorm<'_>,
    output: &mut [f32],
    saved: Option<&mut [f32]>,
) {
    let width = norm.width();
    check(width, x.len(), residual.map(<[f32]>::len));
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
                from: x[range.clone()].as_ptr(),
                to: output.as_mut_ptr(),
                count: output.len() / width,
                residual: residual.map(|residual| &residual[range]),
                norm: *norm,
                saved,
            };
            dispatch(level, rows);
        });
}

fn check(width: usize, x: usize, residual: Option<usize>) {
    assert!(
        x == 0 || width > 0 && x.is_multiple_of(width),
        "{x} numbers are no rows of {width}"
    );
    if let Some(residual) = residual {
        assert_eq!(residual, x, "numbers of the residual");
    }
}

/// Rows of one task; `from` and `to` may be the same.
struct Rows<'a> {
    from: *const f32,
    to: *mut f32,
    count: usize,
    residual: Option<&'a [f32]>,
    norm: LayerNorm<'a>,
    saved: Option<&'a mut [f32]>,
}

impl Work for Rows<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const R: usize>(mut self) {
        let width = self.norm.scale.len();
        for row in 0..self.count {
            // SAFETY: `from` and `to` are good for `count` rows, and so is the residual.
            let moments = unsafe {
                let residual = (self.residual).map(|residual| residual.as_ptr().add(row * width));
                let (from, to) = (self.from.add(row * width), self.to.add(row * width));
                normalise::<L>(from, residual, &self.norm, to)
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
unsafe fn normalise<L: Lanes>(
    from: *const f32,
    residual: Option<*const f32>,
    norm: &LayerNorm<'_>,
    to: *mut f32,
) -> [f32; 2] {
    let width = norm.scale.len();
    let (whole, rest) = (width - width % L::COUNT, width % L::COUNT);
    // SAFETY: places are below `width`.
    unsafe {
        let mut sum = L::splat(0.0);
        for place in (0..whole).step_by(L::COUNT) {
            let mut x = L::load(from.add(place));
            if let Some(residual) = residual {
                x = x.add(L::load(residual.add(place)));
            }
            x.store(to.add(place));
            sum = sum.add(x);
        }
        if rest > 0 {
            let mut x = L::load_part(from.add(whole), rest);
            if let Some(residual) = residual {
                x = x.add(L::load_part(residual.add(whole), rest));
            }
            x.store_part(to.add(whole), rest);
            sum = sum.add(x);
        }
        let mean = sum.sum() / width as f32;
        let mean_lanes = L::splat(mean);
        let mut squares = L::splat(0.0);
        for place in (0..whole).step_by(L::COUNT) {
            let x = L::load(to.add(place)).sub(mean_lanes);
            squares = x.mul_add(x, squares);
        }
        let mut squares = squares.sum();
        for place in whole..width {
            let x = *to.add(place) - mean;
            squares += x * x;
        }
        let inverse = 1.0 / (squares / width as f32 + norm.epsilon).sqrt();
        let inverse_lanes = L::splat(inverse);
        let (scale, shift) = (norm.scale.as_ptr(), norm.shift.as_ptr());
        for place in (0..whole).step_by(L::COUNT) {
            let x = L::load(to.add(place)).sub(mean_lanes).mul(inverse_lanes);
            x.mul_add(L::load(scale.add(place)), L::load(shift.add(place)))
                .store(to.add(place));
        }
        if rest > 0 {
            let x = L::load_part(to.add(whole), rest).sub(mean_lanes);
            let scale = L::load_part(scale.add(whole), rest);
            let shift = L::load_part(shift.add(whole), rest);
            (x.mul(inverse_lanes).mul_add(scale, shift)).store_part(to.add(whole), rest);
        }
        [mean, inverse]
    }
}
