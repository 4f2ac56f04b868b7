//! Products of matrices of `f32`.
//!
//! The right-hand matrix is packed into panels of columns, once for weights
//! ([`Packed`]) or on the fly ([`matmul_unpacked`]); bias, activation and
//! residual are applied while the product is stored ([`Epilogue`]).

pub(crate) mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod epilogue;
mod gelu;
pub(crate) mod isa;
pub(crate) mod left;
mod matrix;
mod packed;
mod portable;
mod product;
mod run;
pub(crate) mod tile;
pub(crate) mod transpose;

use std::cell::Cell;

use isa::Isa;
use product::{batch, product};
use run::Output;

use crate::sizes::reach;

pub use epilogue::{Act, Epilogue};
pub use gelu::gelu_in_place;
pub use matrix::Matrix;
pub use packed::Packed;

thread_local! {
    static PACKED: Cell<Packed> = Cell::default();
}

/// `out = epilogue(a b)`.
///
/// # Shapes
/// - a: `[m, k]`
/// - b: `[k, n]`
/// - out: `m` rows of `n` numbers, `out_stride` apart; the numbers between them are left alone
///
/// # Panics
/// The shapes do not fit each other.
pub fn matmul(
    a: Matrix<'_>,
    b: &Packed,
    out: &mut [f32],
    out_stride: usize,
    epilogue: &Epilogue<'_>,
) {
    assert_eq!(a.cols(), b.rows(), "columns of a, rows of b");
    matmul_left(&a, b, out, out_stride, epilogue, true);
}

/// [`matmul`] with a left-hand matrix of any kind, by all threads if `parallel`.
///
/// # Panics
/// As [`matmul`].
pub(crate) fn matmul_left(
    a: &impl left::Left,
    b: &Packed,
    out: &mut [f32],
    out_stride: usize,
    epilogue: &Epilogue<'_>,
    parallel: bool,
) {
    fn whole<K: tile::Kernel>(
        a: &impl left::Left,
        b: &Packed,
        out: &mut [f32],
        out_stride: usize,
        epilogue: &Epilogue<'_>,
        parallel: bool,
    ) {
        let (tiles, n) = (a.tiles::<K>(), b.cols());
        assert_eq!(
            a.terms(a.blocks() - 1).end,
            b.rows(),
            "terms of a, rows of b"
        );
        if tiles == 0 || n == 0 {
            return;
        }
        let m = a.rows::<K>(tiles - 1).end;
        assert!(out_stride >= n && out.len() >= reach(m, out_stride, n));
        epilogue.check(m, n, out_stride);
        let out = Output {
            start: out.as_mut_ptr(),
            stride: out_stride,
        };
        // SAFETY: only instructions that there are are packed for; shapes are checked above.
        unsafe { product::<K>(a, b, out, epilogue, parallel) };
    }
    match b.isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => whole::<avx512::Avx512>(a, b, out, out_stride, epilogue, parallel),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => whole::<avx2::Avx2>(a, b, out, out_stride, epilogue, parallel),
        Isa::Portable => whole::<portable::Portable>(a, b, out, out_stride, epilogue, parallel),
    }
}

/// [`matmul`] with a right-hand matrix that is packed on the way.
///
/// # Shapes
/// As [`matmul`].
///
/// # Panics
/// As [`matmul`].
pub fn matmul_unpacked(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
    epilogue: &Epilogue<'_>,
) {
    let mut packed = PACKED.take();
    packed.repack(b);
    matmul(a, &packed, out, out_stride, epilogue);
    PACKED.set(packed);
}

/// Where the products of [`matmul_batch`] go: element `(i, row, col)` of the output is
/// at `i * product + row * row_stride + col`.
#[derive(Debug, Clone, Copy)]
pub struct BatchLayout {
    /// Elements from one product to the next.
    pub product: usize,
    /// Elements from one row to the next.
    pub row: usize,
}

/// `out[i] = a[i] b[i]` for matrices of equal shapes, by all threads if `parallel`.
///
/// # Shapes
/// - a: each `[m, k]`
/// - b: each `[k, n]`
/// - out: `[count, m, n]` or, by its layout, rows of all products next to each other
///
/// # Panics
/// The shapes do not fit each other, or the products overlap.
pub fn matmul_batch(
    a: &[Matrix<'_>],
    b: &[Packed],
    out: &mut [f32],
    layout: BatchLayout,
    parallel: bool,
) {
    assert_eq!(a.len(), b.len(), "as many left as right matrices");
    let Some((a0, b0)) = a.first().zip(b.first()) else {
        return;
    };
    let [m, k, n] = [a0.rows(), a0.cols(), b0.cols()];
    for (a, b) in a.iter().zip(b) {
        assert_eq!([a.rows(), a.cols()], [m, k], "left matrices of one shape");
        assert_eq!([b.rows(), b.cols()], [k, n], "right matrices of one shape");
        assert_eq!(b.isa(), b0.isa());
    }
    if m == 0 || n == 0 {
        return;
    }
    let (row, step) = (layout.row, layout.product);
    let (all_rows, all_products) = (reach(m, row, n), reach(a.len(), step, n));
    assert!(
        (row >= n && step >= all_rows) || (step >= n && row >= all_products),
        "products overlap"
    );
    assert!(out.len() >= reach(a.len(), step, all_rows));
    let out = Output {
        start: out.as_mut_ptr(),
        stride: row,
    };
    match b0.isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only instructions that there are are packed for; shapes are checked above.
        Isa::Avx512 => unsafe { batch::<avx512::Avx512>(a, b, out, step, parallel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { batch::<avx2::Avx2>(a, b, out, step, parallel) },
        // SAFETY: as above.
        Isa::Portable => unsafe { batch::<portable::Portable>(a, b, out, step, parallel) },
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
pub(crate) mod tests;
