//! The one product of attention, and blocks of queries with their lanes side by side.

use crate::lanes::Lanes;

/// A strided matrix of which single numbers are read.
#[derive(Clone, Copy)]
pub(crate) struct Scalars {
    /// Number `[row, step]` is at `row * row_stride + step * step_stride`.
    pub data: *const f32,
    pub row_stride: usize,
    pub step_stride: usize,
}

/// A row-major matrix of which whole vectors are read.
#[derive(Clone, Copy)]
pub(crate) struct Vectors {
    pub data: *const f32,
    pub stride: usize,
}

/// Adds `a b` to a tile: `tile[row] += Σ a[row, step] * b[step]` over all `steps`.
///
/// # Safety
/// `a` has `R` rows and `steps` columns, `b` has `steps` rows of `V` vectors; and as
/// for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn product<L: Lanes, const R: usize, const V: usize>(
    steps: usize,
    a: Scalars,
    b: Vectors,
    tile: &mut [[L; V]; R],
) {
    for step in 0..steps {
        // SAFETY: within the matrices, by the contract.
        unsafe {
            let row = b.data.add(step * b.stride);
            let mut lanes = [L::splat(0.0); V];
            for (v, lanes) in lanes.iter_mut().enumerate() {
                *lanes = L::load(row.add(v * L::COUNT));
            }
            for (r, tile) in tile.iter_mut().enumerate() {
                let scalar = L::splat(*a.data.add(r * a.row_stride + step * a.step_stride));
                for (sum, lanes) in tile.iter_mut().zip(lanes) {
                    *sum = scalar.mul_add(lanes, *sum);
                }
            }
        }
    }
}

/// A tile of zeros.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn zeros<L: Lanes, const R: usize, const V: usize>() -> [[L; V]; R] {
    // SAFETY: the caller's.
    [[unsafe { L::splat(0.0) }; V]; R]
}

/// Reads a tile from a row-major matrix.
///
/// # Safety
/// `R` rows of `V` vectors are there; and as for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn load<L: Lanes, const R: usize, const V: usize>(
    from: *const f32,
    stride: usize,
) -> [[L; V]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut tile = zeros::<L, R, V>();
        for (r, row) in tile.iter_mut().enumerate() {
            for (v, lanes) in row.iter_mut().enumerate() {
                *lanes = L::load(from.add(r * stride + v * L::COUNT));
            }
        }
        tile
    }
}

/// Writes a tile to a row-major matrix.
///
/// # Safety
/// The pointers are valid for `R` rows of `V` vectors; and as for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn store<L: Lanes, const R: usize, const V: usize>(
    tile: [[L; V]; R],
    to: *mut f32,
    stride: usize,
) {
    for (r, row) in tile.iter().enumerate() {
        for (v, lanes) in row.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { lanes.store(to.add(r * stride + v * L::COUNT)) };
        }
    }
}
