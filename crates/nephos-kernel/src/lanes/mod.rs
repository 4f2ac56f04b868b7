//! Vectors of f32 of whatever width the machine has.
//!
//! A kernel is written once over [`Lanes`] and compiled for AVX-512, for AVX2 and
//! for any machine; [`dispatch`] picks the widest that is there. The portable form
//! is also the reference of the other two.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

pub(crate) use portable::Portable;

/// A vector of [`Lanes::COUNT`] numbers.
///
/// # Safety
/// Every method may use instructions of its set: a caller runs only inside
/// [`dispatch`], which has looked whether the machine has them.
pub(crate) trait Lanes: Copy {
    /// Numbers in a vector.
    const COUNT: usize;

    /// `x` in all lanes.
    unsafe fn splat(x: f32) -> Self;
    /// `COUNT` numbers from `from`, which need not be aligned.
    unsafe fn load(from: *const f32) -> Self;
    /// The first `count` numbers from `from`, at most `COUNT`; the other lanes are 0
    /// and are not read.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;
    /// `COUNT` numbers to `to`.
    unsafe fn store(self, to: *mut f32);
    /// The first `count` numbers to `to`, at most `COUNT`.
    unsafe fn store_part(self, to: *mut f32, count: usize);
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self - other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * other`.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + term`.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The greater of two; `other` where either is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// The nearest integer, halves to even.
    unsafe fn round(self) -> Self;
    /// `self * 2^power` for integers `power` in [-126, 127].
    unsafe fn scale_by_power(self, power: Self) -> Self;
    /// The sum of all lanes, in a fixed order.
    unsafe fn sum(self) -> f32;
}

/// Coefficients of the polynomial that is 2^x on [-1/2, 1/2] to a relative 1e-7, and
/// exactly 1 at 0: minimax, ascending; the second is near ln 2, not ln 2.
#[allow(clippy::approx_constant)]
const EXP2: [f32; 6] = [
    1.0,
    0.693_147,
    0.240_222_42,
    0.055_507_336,
    0.009_671_513,
    0.001_326_472_7,
];

/// 2^x for x ≤ 127, to a relative 3e-7; 2^-126 for all x below -126. NaN stays NaN.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn exp2<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's.
    unsafe {
        let x = L::splat(-126.0).max(x);
        let whole = x.round();
        let rest = x.sub(whole);
        let mut value = L::splat(EXP2[5]);
        for coefficient in EXP2[..5].iter().rev() {
            value = value.mul_add(rest, L::splat(*coefficient));
        }
        value.scale_by_power(whole)
    }
}

/// Instruction sets a kernel can be compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// 512-bit vectors, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors and fused multiply-add, 16 registers.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler makes of arrays.
    Portable,
}

impl Level {
    /// The widest set of this machine.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// All sets of this machine, the widest first.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::best()];
        #[cfg(target_arch = "x86_64")]
        if all[0] == Self::Avx512 && is_x86_feature_detected!("avx2") {
            all.push(Self::Avx2);
        }
        if all[0] != Self::Portable {
            all.push(Self::Portable);
        }
        all
    }
}

/// A piece of work written over [`Lanes`].
pub(crate) trait Work {
    /// Does it. `ROWS` is how many rows of three vectors the registers hold as
    /// accumulators. Always inlined, so that it is compiled for the set.
    ///
    /// # Safety
    /// The machine has the instructions of `L`.
    unsafe fn run<L: Lanes, const ROWS: usize>(self);
}

/// Does `work` with the instructions of `level`, which came from [`Level`].
#[inline]
pub(crate) fn dispatch<W: Work>(level: Level, work: W) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level exists only where the machine was seen to have it.
        Level::Avx512 => unsafe { avx512::run(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { avx2::run(work) },
        // SAFETY: it needs no instruction of its own.
        Level::Portable => unsafe { work.run::<Portable, 4>() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exp2<'a>(&'a [f32], &'a mut [f32]);

    impl Work for Exp2<'_> {
        #[inline(always)]
        unsafe fn run<L: Lanes, const ROWS: usize>(self) {
            for (x, y) in (self.0.chunks(L::COUNT)).zip(self.1.chunks_mut(L::COUNT)) {
                // SAFETY: both chunks have `x.len()` numbers.
                unsafe {
                    let x_lanes = L::load_part(x.as_ptr(), x.len());
                    exp2(x_lanes).store_part(y.as_mut_ptr(), x.len());
                }
            }
        }
    }

    #[test]
    fn exp2_is_right_to_1e_6_at_every_level() {
        let x: Vec<f32> = (0..254_001).map(|i| i as f32 * 1e-3 - 127.0).collect();
        for level in Level::all() {
            let mut y = vec![0.0; x.len()];
            dispatch(level, Exp2(&x, &mut y));
            for (x, y) in x.iter().zip(&y) {
                let exact = f64::from(*x).max(-126.0).exp2();
                let error = (f64::from(*y) / exact - 1.0).abs();
                assert!(error < 3e-7, "{level:?}: 2^{x} is {y}, off by {error:e}");
            }
        }
    }

    #[test]
    fn exp2_of_what_is_no_number() {
        for level in Level::all() {
            let x = [f32::NAN, f32::NEG_INFINITY, -1e30, 0.0];
            let mut y = [1.0; 4];
            dispatch(level, Exp2(&x, &mut y));
            assert!(y[0].is_nan(), "{level:?}");
            assert_eq!(y[1..], [f32::MIN_POSITIVE, f32::MIN_POSITIVE, 1.0]);
        }
    }

    struct Sum<'a>(&'a [f32], &'a mut f32);

    impl Work for Sum<'_> {
        #[inline(always)]
        unsafe fn run<L: Lanes, const ROWS: usize>(self) {
            for x in self.0.chunks(L::COUNT) {
                // SAFETY: the chunk has `x.len()` numbers.
                *self.1 += unsafe { L::load_part(x.as_ptr(), x.len()).sum() };
            }
        }
    }

    #[test]
    fn parts_of_a_vector_leave_the_rest_alone() {
        for level in Level::all() {
            for count in 1..40 {
                let x = vec![1.0; count];
                let mut sum = 0.0;
                dispatch(level, Sum(&x, &mut sum));
                assert_eq!(sum, count as f32, "{level:?}");
                let mut y = vec![9.0; count + 20];
                dispatch(level, Exp2(&x, &mut y[..count]));
                assert!(y[..count].iter().all(|y| (y - 2.0).abs() < 1e-6));
                assert!(y[count..].iter().all(|y| *y == 9.0), "{level:?}");
            }
        }
    }
}
