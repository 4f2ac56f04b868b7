//! What becomes of the sums of a [`scan`](super::scan).

use std::marker::PhantomData;

use super::order::Side;
use super::scan::{Rows, Sink};
use super::wide::dot_of_sum;

/// A slice that several threads write to, each its own elements.
pub(super) struct Writable<'a, T> {
    start: *mut T,
    length: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: `part` is the only access; its callers keep threads apart.
unsafe impl<T: Send> Sync for Writable<'_, T> {}

impl<'a, T> Writable<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            length: slice.len(),
            slice: PhantomData,
        }
    }

    /// Elements `at..at + length`.
    ///
    /// # Safety
    /// No two of the parts alive at a time overlap.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, at: usize, length: usize) -> &mut [T] {
        assert!(at <= self.length && length <= self.length - at);
        // SAFETY: within the slice, whose exclusive borrow `self` holds.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), length) }
    }
}

/// Writes `plus P + minus M`, with a target's own factors, to its row of `out`.
pub(super) struct Combine<'a> {
    targets: &'a Side,
    out: &'a Writable<'a, f32>,
    stride: usize,
    offset: usize,
    relu: bool,
}

impl<'a> Combine<'a> {
    /// Target `i` has its row at `offset + i * stride`. No other sink in use at
    /// the same time may have these rows.
    pub fn new(
        targets: &'a Side,
        out: &'a Writable<'a, f32>,
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

    #[inline(always)]
    fn row(&self, rank: usize, at: usize, length: usize) -> &mut [f32] {
        let row = self.targets.order[rank] as usize;
        let start = self.offset + row * self.stride + at;
        // SAFETY: `order` is a permutation, so ranks have different rows; a rank
        // and a range of its features belong to one thread at a time.
        unsafe { self.out.part(start, length) }
    }
}

impl Sink for Combine<'_> {
    #[inline(always)]
    fn plus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]) {
        let factor = self.targets.plus[rank];
        let out = self.row(rank, at, base.len());
        for (out, (base, part)) in out.iter_mut().zip(base.iter().zip(part)) {
            *out = factor * (base + part);
        }
    }

    #[inline(always)]
    fn minus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]) {
        let factor = self.targets.minus[rank];
        let out = self.row(rank, at, base.len());
        let sums = out.iter_mut().zip(base.iter().zip(part));
        if self.relu {
            for (out, (base, part)) in sums {
                let sum = *out + factor * (base + part);
                // Not `max`, which would hide NaN.
                *out = if sum < 0.0 { 0.0 } else { sum };
            }
        } else {
            for (out, (base, part)) in sums {
                *out += factor * (base + part);
            }
        }
    }
}

/// Adds up the products of `P` and `M` with a row of the target's own.
pub(super) struct Dots<'a> {
    targets: &'a Side,
    rows: Rows<'a>,
    out: Writable<'a, [f64; 2]>,
}

impl<'a> Dots<'a> {
    /// `out` is in the order of the targets and starts at zero.
    pub fn new(targets: &'a Side, rows: Rows<'a>, out: &'a mut [[f64; 2]]) -> Self {
        Self {
            targets,
            rows,
            out: Writable::new(out),
        }
    }

    #[inline(always)]
    fn add(&self, rank: usize, which: usize, at: usize, base: &[f32], part: &[f32]) {
        let row = self.rows.part(self.targets.order[rank], at, base.len());
        // SAFETY: a rank belongs to one thread at a time.
        let out = unsafe { self.out.part(rank, 1) };
        out[0][which] += dot_of_sum(base, part, row);
    }
}

impl Sink for Dots<'_> {
    #[inline(always)]
    fn plus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]) {
        self.add(rank, 0, at, base, part);
    }

    #[inline(always)]
    fn minus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]) {
        self.add(rank, 1, at, base, part);
    }
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    #[inline(always)]
    fn plus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]) {
        self.0.plus(rank, at, base, part);
        self.1.plus(rank, at, base, part);
    }

    #[inline(always)]
    fn minus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]) {
        self.0.minus(rank, at, base, part);
        self.1.minus(rank, at, base, part);
    }
}
