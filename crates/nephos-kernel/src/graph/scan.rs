//! Sums over all sources on either side of a split, for every target at once.
//!
//! Sources are in ascending order of a score. The sums of a target with split `k` are
//! `P = Σ_{place ≥ k} plus_place X_place` and `M = Σ_{place < k} minus_place X_place`,
//! a suffix and a prefix: neither is ever a difference of larger sums.
//!
//! Places are cut into blocks of [`BLOCK`]. The first pass sums each block, in
//! f32; these sums add up in f64, so the error does not grow with the number of
//! blocks. The second pass walks each block once more, down for `P` and up for
//! `M`, and hands every target of the block its sums. No sum per place is stored.

use std::ops::Range;

use rayon::prelude::*;

use super::order::Side;
use super::strip::{Strip, Stripwise, by_strips};
use crate::lanes::{Lanes, Level, Work, dispatch};
use crate::pool::parallel_for;
use crate::sizes::{self, sum};

/// Places in a block: enough for the table of block sums to be small, few enough
/// for f32 sums and for a strip of the rows to stay in the fastest cache.
const BLOCK: usize = 64;
/// Targets of one task.
const TARGETS: usize = 64;
/// How many rows ahead memory is asked for what comes.
const AHEAD: usize = 4;

/// One head's part of rows of features: `width` of them from `offset` on in every
/// `stride`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
    offset: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    /// # Panics
    /// A row does not fit its stride, or `data` is not `count` rows.
    pub fn new(data: &'a [f32], count: usize, stride: usize, offset: usize, width: usize) -> Self {
        assert!(sum([offset, width]) <= stride && data.len() == sizes::count([count, stride]));
        Self {
            data,
            stride,
            offset,
            width,
        }
    }

    /// Where feature `at` of a row is.
    ///
    /// # Safety
    /// Both are below what `new` was given.
    #[inline(always)]
    pub unsafe fn at(&self, row: u32, at: usize) -> *const f32 {
        let index = row as usize * self.stride + self.offset + at;
        debug_assert!(at < self.width && index < self.data.len());
        // SAFETY: inside `data`.
        unsafe { self.data.as_ptr().add(index) }
    }
}

/// What becomes of a target's sums.
///
/// For each rank and strip of features, `plus` is called once and then `minus`
/// once, by the same thread; different ranks come from any thread.
pub(super) trait Sink: Sync {
    /// Where the strips a rank needs start, to be asked for ahead of their use.
    ///
    /// # Safety
    /// `rank` is that of a target, `at` below the width.
    unsafe fn touches(&self, rank: usize, at: usize) -> [*const f32; 2];

    /// Takes `P[at..]`.
    ///
    /// # Safety
    /// As for [`Lanes`]; `rank` is that of a target, the strip inside the width.
    unsafe fn plus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]);

    /// Takes `M[at..]`.
    ///
    /// # Safety
    /// As `plus`.
    unsafe fn minus<L: Lanes, const V: usize>(&self, rank: usize, strip: Strip<V>, sum: [L; V]);
}

/// Hands every target its two sums.
///
/// # Panics
/// `sources` are not a permutation of the `count` rows that `rows` were made with.
pub(super) fn scan(sources: &Side, rows: Rows<'_>, targets: &Side, level: Level, sink: &impl Sink) {
    let count = sources.order.len();
    assert_eq!(
        rows.data.len(),
        count * rows.stride,
        "a source for each row"
    );
    assert!(sources.order.iter().all(|&row| (row as usize) < count));
    let scan = Scan {
        sources,
        rows,
        splits: &targets.split,
    };
    let (blocks, width) = (count / BLOCK + 1, rows.width);
    let (mut plus, mut minus) = (vec![0.0; blocks * width], vec![0.0; blocks * width]);
    (plus.par_chunks_mut(width).zip(minus.par_chunks_mut(width)))
        .enumerate()
        .for_each(|(block, (plus, minus))| {
            let sums = BlockSums {
                scan: &scan,
                block,
                plus,
                minus,
            };
            dispatch(level, sums);
        });
    rayon::join(
        || accumulate(plus.chunks_mut(width).rev(), width),
        || accumulate(minus.chunks_mut(width), width),
    );
    let tasks = scan.tasks();
    parallel_for(tasks.len(), |index| {
        let (block, ranks) = tasks[index].clone();
        let targets = Targets {
            scan: &scan,
            block,
            ranks,
            plus: &plus[block * width..][..width],
            minus: &minus[block * width..][..width],
            sink,
        };
        dispatch(level, targets);
    });
}

/// Turns the sums of blocks into sums of all blocks before, in f64.
fn accumulate<'a>(blocks: impl Iterator<Item = &'a mut [f32]>, width: usize) {
    let mut sums = vec![0.0f64; width];
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            let own = f64::from(*x);
            *x = *sum as f32;
            *sum += own;
        }
    }
}

struct Scan<'a> {
    /// Their order is a permutation of the rows.
    sources: &'a Side,
    rows: Rows<'a>,
    /// Of the targets, at most the number of sources; they never increase.
    splits: &'a [u32],
}

impl Scan<'_> {
    fn places(&self, block: usize) -> Range<usize> {
        block * BLOCK..((block + 1) * BLOCK).min(self.sources.order.len())
    }

    /// Blocks with the ranks of targets whose split lies in them, at most
    /// [`TARGETS`] together.
    fn tasks(&self) -> Vec<(usize, Range<usize>)> {
        let mut tasks = Vec::new();
        let mut start = 0;
        while start < self.splits.len() {
            let block = self.splits[start] as usize / BLOCK;
            let same = self.splits[start..].iter().take(TARGETS);
            let count = same.take_while(|&&k| k as usize / BLOCK == block).count();
            tasks.push((block, start..start + count));
            start += count;
        }
        tasks
    }

    /// Features of the source at `place`; those at `coming` are asked for.
    ///
    /// # Safety
    /// As for [`Lanes`]; `place` is below the number of sources and `strip` inside
    /// the width.
    #[inline(always)]
    unsafe fn source<L: Lanes, const V: usize>(
        &self,
        place: usize,
        coming: usize,
        strip: Strip<V>,
    ) -> [L; V] {
        // SAFETY: the caller's; rows are those of a permutation.
        unsafe {
            if let Some(&row) = self.sources.order.get(coming) {
                strip.prefetch::<L>(self.rows.at(row, strip.at));
            }
            let row = *self.sources.order.get_unchecked(place);
            strip.load(self.rows.at(row, strip.at))
        }
    }
}

/// Sums of the places of one block.
struct BlockSums<'a> {
    scan: &'a Scan<'a>,
    block: usize,
    plus: &'a mut [f32],
    minus: &'a mut [f32],
}

impl Work for BlockSums<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const ROWS: usize>(mut self) {
        // SAFETY: the caller's; strips lie inside the width.
        unsafe { by_strips::<L>(self.plus.len(), &mut self) }
    }
}

impl Stripwise for BlockSums<'_> {
    #[inline(always)]
    unsafe fn strip<L: Lanes, const V: usize>(&mut self, strip: Strip<V>) {
        let scan = self.scan;
        // SAFETY: the caller's; places are those of sources.
        unsafe {
            let (mut plus, mut minus) = ([L::splat(0.0); V], [L::splat(0.0); V]);
            for place in scan.places(self.block) {
                let row = scan.source::<L, V>(place, place + AHEAD, strip);
                let by_plus = L::splat(*scan.sources.plus.get_unchecked(place));
                let by_minus = L::splat(*scan.sources.minus.get_unchecked(place));
                for v in 0..V {
                    plus[v] = row[v].mul_add(by_plus, plus[v]);
                    minus[v] = row[v].mul_add(by_minus, minus[v]);
                }
            }
            strip.store(plus, self.plus.as_mut_ptr().add(strip.at));
            strip.store(minus, self.minus.as_mut_ptr().add(strip.at));
        }
    }
}

/// The sums of some targets of one block.
struct Targets<'a, S> {
    scan: &'a Scan<'a>,
    block: usize,
    ranks: Range<usize>,
    plus: &'a [f32],
    minus: &'a [f32],
    sink: &'a S,
}

impl<S: Sink> Work for Targets<'_, S> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const ROWS: usize>(mut self) {
        // SAFETY: the caller's; strips lie inside the width.
        unsafe { by_strips::<L>(self.plus.len(), &mut self) }
    }
}

impl<S: Sink> Stripwise for Targets<'_, S> {
    #[inline(always)]
    unsafe fn strip<L: Lanes, const V: usize>(&mut self, strip: Strip<V>) {
        let (scan, places) = (self.scan, self.scan.places(self.block));
        // SAFETY: the caller's; places lie in the block since splits do.
        unsafe {
            let base: [L; V] = strip.load(self.plus.as_ptr().add(strip.at));
            let mut sum = [L::splat(0.0); V];
            let mut place = places.end;
            for rank in self.ranks.clone() {
                if rank + AHEAD < self.ranks.end {
                    for start in self.sink.touches(rank + AHEAD, strip.at) {
                        strip.prefetch::<L>(start);
                    }
                }
                let split = *scan.splits.get_unchecked(rank) as usize;
                while place > split {
                    place -= 1;
                    let row = scan.source::<L, V>(place, place.wrapping_sub(AHEAD), strip);
                    let weight = L::splat(*scan.sources.plus.get_unchecked(place));
                    for v in 0..V {
                        sum[v] = row[v].mul_add(weight, sum[v]);
                    }
                }
                let mut all = base;
                for v in 0..V {
                    all[v] = all[v].add(sum[v]);
                }
                self.sink.plus(rank, strip, all);
            }
            let base: [L; V] = strip.load(self.minus.as_ptr().add(strip.at));
            let mut sum = [L::splat(0.0); V];
            let mut place = places.start;
            for rank in self.ranks.clone().rev() {
                let split = *scan.splits.get_unchecked(rank) as usize;
                while place < split {
                    let row = scan.source::<L, V>(place, place + AHEAD, strip);
                    let weight = L::splat(*scan.sources.minus.get_unchecked(place));
                    for v in 0..V {
                        sum[v] = row[v].mul_add(weight, sum[v]);
                    }
                    place += 1;
                }
                let mut all = base;
                for v in 0..V {
                    all[v] = all[v].add(sum[v]);
                }
                self.sink.minus(rank, strip, all);
            }
        }
    }
}
