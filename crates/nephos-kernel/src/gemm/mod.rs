//! Products of matrices of `f32`.
//!
//! The right-hand matrix is packed into panels of columns, once for weights
//! ([`Packed`]) or on the fly ([`matmul_unpacked`]); bias, activation and
//! residual are applied while the product is stored ([`Epilogue`]).

mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod epilogue;
mod gelu;
mod isa;
mod left;
mod matrix;
mod packed;
mod portable;
mod product;
mod tile;
mod transpose;

use std::cell::Cell;

use isa::Isa;
use product::{Output, product};

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
    let (m, n) = (a.rows(), b.cols());
    assert_eq!(a.cols(), b.rows(), "columns of a, rows of b");
    if m == 0 || n == 0 {
        return;
    }
    assert!(out_stride >= n && out.len() >= (m - 1) * out_stride + n);
    epilogue.check(m, n, out_stride);
    let out = Output {
        start: out.as_mut_ptr(),
        stride: out_stride,
    };
    match b.isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only instructions that there are are packed for; shapes are checked above.
        Isa::Avx512 => unsafe { product::<avx512::Avx512>(a, b, out, epilogue) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { product::<avx2::Avx2>(a, b, out, epilogue) },
        // SAFETY: as above.
        Isa::Portable => unsafe { product::<portable::Portable>(a, b, out, epilogue) },
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

#[cfg(test)]
mod reference;
#[cfg(test)]
pub(crate) mod tests;
