//! What becomes of the sums of a [`scan`](super::scan).

use std::marker::PhantomData;

use super::order::Side;
use super::scan::{Rows, Sink};
use super::strip::Strip;
use crate::lanes::Lanes;
use crate::shared::Shared;

/// Writes `plus P + minus M`, with a target's own factors, to its row of `out`.
pub(super) struct Combine<'a> {
    targets: &'a Side,
    out: Shared<'a>,
    stride: usize,
    offset: usize,
    relu: bool,
}

impl<'a> Combine<'a> {
    /// Target `i` has its row at `offset + i * stride`, where no other sink in use
    /// at the same time writes.
    pub fn new(
        targets: &'a Side,
        out: Shared<'a>,
        stride: usize,
        offset: usize,
        relu: bool,
    ) -> Self {
        Self {
            targets,
            out,
            stride,
            offset,
            relu,
        }
    }

    /// # Safety
    /// `rank` is that of a target, and the strip is the caller's alone.
    #[inline(always)]
    unsafe fn row<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>) -> *mut f32 {
        let row = self.targets.order[rank] as usize;
        let length = (V - 1) * L::COUNT + strip.count;
        let start = self.offset + row * self.stride + strip.at;
        // SAFETY: ranks have different rows, since the order is a permutation, and
        // one thread at a time.
        unsafe { self.out.range(start, length).as_mut_ptr() }
    }
}

impl Sink for Combine<'_> {
    #[inline(always)]
    unsafe fn touches(&self, rank: usize, at: usize) -> [*const f32; 2] {
        let row = self.targets.order[rank] as usize;
        // SAFETY: nothing is borrowed.
        let start = unsafe { self.out.range(0, 0) }.as_ptr();
        let row = start.wrapping_add(self.offset + row * self.stride + at);
        [row; 2]
    }

    #[inline(always)]
    unsafe fn plus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]) {
        // SAFETY: the caller's.
        unsafe {
            let factor = L::splat(self.targets.plus[rank]);
            let row = self.row::<L, V>(rank, strip);
            strip.store(sum.map(|sum| sum.mul(factor)), row);
        }
    }

    #[inline(always)]
    unsafe fn minus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]) {
        // SAFETY: the caller's.
        unsafe {
            let factor = L::splat(self.targets.minus[rank]);
            let row = self.row::<L, V>(rank, strip);
            let mut all: [L; V] = strip.load(row);
            for v in 0..V {
                all[v] = sum[v].mul_add(factor, all[v]);
                if self.relu {
                    // `max` gives its argument where either is NaN.
                    all[v] = L::splat(0.0).max(all[v]);
                }
            }
            strip.store(all, row);
        }
    }
}

/// Adds up the products of `P` and `M` with a row of the target's own.
pub(super) struct Dots<'a> {
    targets: &'a Side,
    rows: Rows<'a>,
    out: *mut [f64; 2],
    slice: PhantomData<&'a mut [[f64; 2]]>,
}

// SAFETY: a rank belongs to one thread at a time.
unsafe impl Sync for Dots<'_> {}

impl<'a> Dots<'a> {
    /// `out` is in the order of the targets and starts at zero.
    ///
    /// # Panics
    /// `out` is not as long as there are targets.
    pub fn new(targets: &'a Side, rows: Rows<'a>, out: &'a mut [[f64; 2]]) -> Self {
        assert_eq!(out.len(), targets.order.len());
        Self {
            targets,
            rows,
            out: out.as_mut_ptr(),
            slice: PhantomData,
        }
    }

    /// # Safety
    /// As [`Sink::plus`].
    #[inline(always)]
    unsafe fn add<L: Lanes, const V: usize>(
        &self,
        rank: usize,
        which: usize,
        strip: Strip<V>,
        sum: [L; V],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let row: [L; V] = strip.load(self.rows.at(self.targets.order[rank], strip.at));
            let mut products = [L::splat(0.0); V];
            for v in 0..V {
                products[v] = row[v].mul(sum[v]);
            }
            let mut half = V / 2;
            while half > 0 {
                for v in 0..half {
                    products[v] = products[v].add(products[v + half]);
                }
                half /= 2;
            }
            (*self.out.add(rank))[which] += f64::from(products[0].sum());
        }
    }
}

impl Sink for Dots<'_> {
    #[inline(always)]
    unsafe fn touches(&self, rank: usize, at: usize) -> [*const f32; 2] {
        // SAFETY: the caller's.
        [unsafe { self.rows.at(self.targets.order[rank], at) }; 2]
    }

    #[inline(always)]
    unsafe fn plus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]) {
        // SAFETY: the caller's.
        unsafe { self.add(rank, 0, strip, sum) }
    }

    #[inline(always)]
    unsafe fn minus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]) {
        // SAFETY: the caller's.
        unsafe { self.add(rank, 1, strip, sum) }
    }
}

impl Sink for (Combine<'_>, Dots<'_>) {
    #[inline(always)]
    unsafe fn touches(&self, rank: usize, at: usize) -> [*const f32; 2] {
        // SAFETY: the caller's.
        unsafe { [self.0.touches(rank, at)[0], self.1.touches(rank, at)[0]] }
    }

    #[inline(always)]
    unsafe fn plus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]) {
        // SAFETY: the caller's.
        unsafe {
            self.0.plus(rank, strip, sum);
            self.1.plus(rank, strip, sum);
        }
    }

    #[inline(always)]
    unsafe fn minus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]) {
        // SAFETY: the caller's.
        unsafe {
            self.0.minus(rank, strip, sum);
            self.1.minus(rank, strip, sum);
        }
    }
}
