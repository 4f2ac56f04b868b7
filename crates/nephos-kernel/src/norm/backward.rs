//! Gradients of a LayerNorm.

use rayon::prelude::*;

use super::{LayerNorm, ROWS};
use crate::lanes::{Lanes, Level, Work, dispatch};

/// Blocks of rows whose sums of weight gradients are separate.
const BLOCKS: usize = 16;

/// The gradients of [`forward`](super::forward()).
///
/// `of_x` becomes the gradient by `x`. The gradients by `scale` and `shift` are added to
/// `of_scale` and `of_shift`, in an order that depends on the number of rows only.
///
/// # Shapes
/// - x, gradient, of_x: `[rows, width]`
/// - saved: `[rows, 2]`, from `forward`
/// - of_scale, of_shift: `[width]`
///
/// # Panics
/// Slices of other sizes.
pub fn backward(
    [x, saved, gradient]: [&[f32]; 3],
    norm: &LayerNorm<'_>,
    of_x: &mut [f32],
    [of_scale, of_shift]: [&mut [f32]; 2],
) {
    let known = [x, saved, gradient];
    let weights = [of_scale, of_shift];
    backward_at(Level::best(), known, norm, of_x, weights);
}

pub(super) fn backward_at(
    level: Level,
    [x, saved, gradient]: [&[f32]; 3],
    norm: &LayerNorm<'_>,
    of_x: &mut [f32],
    [of_scale, of_shift]: [&mut [f32]; 2],
) {
    let width = norm.width();
    if x.is_empty() || width == 0 {
        return;
    }
    let rows = x.len() / width;
    for (name, length, expected) in [
        ("rows of x", x.len(), rows * width),
        ("saved", saved.len(), 2 * rows),
        ("the gradient", gradient.len(), x.len()),
        ("the gradient by x", of_x.len(), x.len()),
        ("the gradient of the scale", of_scale.len(), width),
        ("the gradient of the shift", of_shift.len(), width),
    ] {
        assert_eq!(length, expected, "numbers of {name}");
    }
    let block = rows.div_ceil(BLOCKS).max(ROWS);
    let mut sums = vec![0.0; rows.div_ceil(block) * 2 * width];
    (of_x.par_chunks_mut(block * width))
        .zip(sums.par_chunks_exact_mut(2 * width))
        .enumerate()
        .for_each(|(index, (of_x, of_weights))| {
            let range = index * block * width..index * block * width + of_x.len();
            let rows = Rows {
                x: &x[range.clone()],
                saved: &saved[2 * index * block..][..2 * (of_x.len() / width)],
                gradient: &gradient[range],
                scale: &norm.scale,
                of_x,
                of_weights,
            };
            dispatch(level, rows);
        });
    for sums in sums.chunks_exact(2 * width) {
        let (scale, shift) = sums.split_at(width);
        of_scale
            .iter_mut()
            .zip(scale)
            .for_each(|(to, sum)| *to += sum);
        of_shift
            .iter_mut()
            .zip(shift)
            .for_each(|(to, sum)| *to += sum);
    }
}

/// Rows of one task; all slices fit each other.
struct Rows<'a> {
    x: &'a [f32],
    saved: &'a [f32],
    gradient: &'a [f32],
    scale: &'a [f32],
    of_x: &'a mut [f32],
    /// `[2, width]`: sums for the scale, then for the shift.
    of_weights: &'a mut [f32],
}

impl Work for Rows<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const R: usize>(self) {
        let width = self.scale.len();
        for (row, moments) in self.saved.chunks_exact(2).enumerate() {
            let first = row * width;
            let [mean, inverse] = [moments[0], moments[1]];
            // SAFETY: row `row` is in all slices, which have `width` numbers a row.
            unsafe {
                let x = self.x.as_ptr().add(first);
                let gradient = self.gradient.as_ptr().add(first);
                let to = self.of_x.as_mut_ptr().add(first);
                let of_scale = self.of_weights.as_mut_ptr();
                let of_shift = of_scale.add(width);
                let (mean, inverse) = (L::splat(mean), L::splat(inverse));

                // With y = (x - mean) / deviation and g = gradient * scale:
                // (g - mean of g - y * mean of g y) / deviation.
                let (mut sum, mut product) = (L::splat(0.0), L::splat(0.0));
                for place in (0..width).step_by(L::COUNT) {
                    let count = L::COUNT.min(width - place);
                    let part = |from: *const f32| L::load_part(from.add(place), count);
                    let normal = part(x).sub(mean).mul(inverse);
                    let gradient = part(gradient);
                    let scaled = gradient.mul(part(self.scale.as_ptr()));
                    sum = sum.add(scaled);
                    product = scaled.mul_add(normal, product);
                    let total = gradient.mul_add(normal, part(of_scale));
                    total.store_part(of_scale.add(place), count);
                    let total = gradient.add(part(of_shift));
                    total.store_part(of_shift.add(place), count);
                    normal.store_part(to.add(place), count);
                }
                let sum = L::splat(sum.sum() / width as f32);
                let product = L::splat(product.sum() / width as f32);
                for place in (0..width).step_by(L::COUNT) {
                    let count = L::COUNT.min(width - place);
                    let part = |from: *const f32| L::load_part(from.add(place), count);
                    let scaled = part(gradient).mul(part(self.scale.as_ptr()));
                    let normal = part(to);
                    let value = scaled.sub(sum).sub(normal.mul(product)).mul(inverse);
                    value.store_part(to.add(place), count);
                }
            }
        }
    }
}
