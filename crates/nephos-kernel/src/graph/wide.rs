//! The same code compiled for wider vectors, chosen when it runs.

/// Work to be compiled for several instruction sets.
///
/// `run` and all it calls in a loop must be `#[inline(always)]`: what is not
/// inlined keeps the vectors of the baseline.
pub(super) trait Work {
    fn run(self);
}

/// Runs `work` with the widest vectors of this machine.
///
/// Additions and products are not contracted, so every instruction set gives the
/// same bits.
pub(super) fn widest(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has AVX-512F.
            return unsafe { avx512(work) };
        }
        if std::is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            return unsafe { avx2(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(work: impl Work) {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(work: impl Work) {
    work.run()
}

/// `sum += weight * row`.
#[inline(always)]
pub(super) fn add_scaled(sum: &mut [f32], weight: f32, row: &[f32]) {
    for (sum, x) in sum.iter_mut().zip(row) {
        *sum += weight * x;
    }
}

/// `Σ (a + b) c`, in 64 running sums of fixed order.
#[inline(always)]
pub(super) fn dot_of_sum(a: &[f32], b: &[f32], c: &[f32]) -> f64 {
    const LANES: usize = 64;
    let mut lanes = [0.0f32; LANES];
    let length = a.len().min(b.len()).min(c.len());
    let (a, b, c) = (&a[..length], &b[..length], &c[..length]);
    let whole = length - length % LANES;
    for at in (0..whole).step_by(LANES) {
        let (a, b, c) = (&a[at..at + LANES], &b[at..at + LANES], &c[at..at + LANES]);
        for lane in 0..LANES {
            lanes[lane] += (a[lane] + b[lane]) * c[lane];
        }
    }
    for at in whole..length {
        lanes[at - whole] += (a[at] + b[at]) * c[at];
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    f64::from(lanes[0])
}

/// Asks for the cache lines of `row` ahead of its use.
#[inline(always)]
pub(super) fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and the address lies in a live slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
