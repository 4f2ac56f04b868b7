//! A few consecutive features, held in registers while many rows go by.

use crate::lanes::Lanes;

/// `V` vectors of features from `at` on. Of a strip of one vector only the first
/// `count` lanes are there; longer ones are whole.
#[derive(Clone, Copy)]
pub(super) struct Strip<const V: usize> {
    pub at: usize,
    pub count: usize,
}

/// Work that is done a strip at a time.
pub(super) trait Stripwise {
    /// Does one strip.
    ///
    /// # Safety
    /// As for [`Lanes`]; the strip lies inside the width.
    unsafe fn strip<L: Lanes, const V: usize>(&mut self, strip: Strip<V>);
}

/// Cuts `width` features into strips, the widest first.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(super) unsafe fn by_strips<L: Lanes>(width: usize, work: &mut impl Stripwise) {
    const WIDE: usize = 8;
    let count = L::COUNT;
    let mut at = 0;
    // SAFETY: the caller's; no strip leaves the width.
    unsafe {
        while at + WIDE * count <= width {
            work.strip::<L, WIDE>(Strip { at, count });
            at += WIDE * count;
        }
        if at + 4 * count <= width {
            work.strip::<L, 4>(Strip { at, count });
            at += 4 * count;
        }
        while at < width {
            let count = count.min(width - at);
            work.strip::<L, 1>(Strip { at, count });
            at += count;
        }
    }
}

impl<const V: usize> Strip<V> {
    /// Lanes past `count` are 0.
    ///
    /// # Safety
    /// As for [`Lanes`]; the strip's numbers are at `from`.
    #[inline(always)]
    pub unsafe fn load<L: Lanes>(self, from: *const f32) -> [L; V] {
        // SAFETY: the caller's.
        unsafe {
            let mut all = [L::splat(0.0); V];
            for (v, x) in all.iter_mut().enumerate() {
                *x = match V {
                    1 => L::load_part(from, self.count),
                    _ => L::load(from.add(v * L::COUNT)),
                };
            }
            all
        }
    }

    /// # Safety
    /// As for [`Lanes`]; `to` is valid for the strip.
    #[inline(always)]
    pub unsafe fn store<L: Lanes>(self, all: [L; V], to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            for (v, x) in all.into_iter().enumerate() {
                match V {
                    1 => x.store_part(to, self.count),
                    _ => x.store(to.add(v * L::COUNT)),
                }
            }
        }
    }

    /// Asks memory for the strip at `from`, which need not be anywhere.
    #[inline(always)]
    pub fn prefetch<L: Lanes>(self, from: *const f32) {
        #[cfg(target_arch = "x86_64")]
        for line in (0..V * L::COUNT).step_by(16) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch touches no memory as far as the program goes.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line).cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = from;
    }
}
