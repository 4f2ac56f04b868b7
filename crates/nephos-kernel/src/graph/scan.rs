//! Sums over all sources on either side of a split, for every target at once.
//!
//! Sources lie in ascending order of a score. A target with split `k` wants
//! `P = Σ_{place ≥ k} plus_place X_place` and `M = Σ_{place < k} minus_place X_place`.
//! Both are sums of terms of one sign of growth, a suffix and a prefix: neither is
//! ever a difference of larger sums.
//!
//! Places are cut into blocks of [`BLOCK`]. The first pass sums each block, in
//! f32; these sums add up in f64, so the error does not grow with the number of
//! blocks. The second pass walks each block once more, down for `P` and up for
//! `M`, and hands every target of the block its sums. No sum per place is stored.

use rayon::prelude::*;

use super::order::Side;
use super::wide::{Work, add_scaled, prefetch, widest};

/// Places in a block. Long enough for the table of block sums to be small, short
/// enough for f32 sums and for its rows to stay in a core's cache.
const BLOCK: usize = 128;
/// Targets of one task.
const TARGETS: usize = 128;
/// Features that go through a block together, so that their sums stay in the
/// fastest cache.
const CHUNK: usize = 512;

/// One head's part of rows of features: `width` features at `offset` of every
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
    /// A row does not fit its stride, or `data` is not whole rows.
    pub fn new(data: &'a [f32], stride: usize, offset: usize, width: usize) -> Self {
        assert!(offset + width <= stride && data.len().is_multiple_of(stride));
        Self {
            data,
            stride,
            offset,
            width,
        }
    }

    /// Features `at..at + length` of a row.
    #[inline(always)]
    pub fn part(&self, row: u32, at: usize, length: usize) -> &'a [f32] {
        debug_assert!(at + length <= self.width);
        &self.data[row as usize * self.stride + self.offset + at..][..length]
    }
}

/// What becomes of a target's sums.
///
/// For each rank and each range of features, `plus` is called once and then
/// `minus` once, by the same thread; different ranks come from any thread.
pub(super) trait Sink: Sync {
    /// `P[at..]` is `base + part`.
    fn plus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]);
    /// `M[at..]` is `base + part`.
    fn minus(&self, rank: usize, at: usize, base: &[f32], part: &[f32]);
}

/// Hands every target its two sums; `targets` are those of the other side.
///
/// # Panics
/// A source's index is beyond `rows`.
pub(super) fn scan(sources: &Side, rows: Rows<'_>, targets: &Side, sink: &impl Sink) {
    let (blocks, width) = (sources.order.len() / BLOCK + 1, rows.width);
    let mut table = vec![0.0; blocks * 2 * width];
    let scan = Scan {
        sources,
        rows,
        splits: &targets.split,
    };
    table
        .par_chunks_mut(2 * width)
        .enumerate()
        .for_each(|(block, sums)| {
            let (plus, minus) = sums.split_at_mut(width);
            widest(BlockSums {
                scan: &scan,
                block,
                plus,
                minus,
            });
        });
    accumulate(&mut table, width);
    scan.tasks().into_par_iter().for_each(|(block, ranks)| {
        let (plus, minus) = table[block * 2 * width..][..2 * width].split_at(width);
        widest(Targets {
            scan: &scan,
            block,
            ranks,
            plus,
            minus,
            sink,
        });
    });
}

/// Turns the sums of blocks into sums of all later blocks (`plus`) and of all
/// earlier ones (`minus`).
fn accumulate(table: &mut [f32], width: usize) {
    let mut sums = vec![0.0f64; width];
    let mut add = |part: &mut [f32]| {
        for (sum, x) in sums.iter_mut().zip(part) {
            let block = f64::from(*x);
            *x = *sum as f32;
            *sum += block;
        }
    };
    for block in table.chunks_mut(2 * width).rev() {
        add(&mut block[..width]);
    }
    sums.fill(0.0);
    let mut add = |part: &mut [f32]| {
        for (sum, x) in sums.iter_mut().zip(part) {
            let block = f64::from(*x);
            *x = *sum as f32;
            *sum += block;
        }
    };
    for block in table.chunks_mut(2 * width) {
        add(&mut block[width..]);
    }
}

struct Scan<'a> {
    sources: &'a Side,
    rows: Rows<'a>,
    /// Of the targets; they never increase.
    splits: &'a [u32],
}

impl Scan<'_> {
    /// Places of a block.
    #[inline(always)]
    fn places(&self, block: usize) -> (usize, usize) {
        let end = ((block + 1) * BLOCK).min(self.sources.order.len());
        (block * BLOCK, end)
    }

    /// Blocks with the ranks of targets whose split lies in them, never more
    /// than [`TARGETS`] together.
    fn tasks(&self) -> Vec<(usize, std::ops::Range<usize>)> {
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

    /// Features of the source at `place`; the one at `next` is asked for.
    #[inline(always)]
    fn source(&self, place: usize, next: usize, at: usize, length: usize) -> &[f32] {
        if let Some(&next) = self.sources.order.get(next) {
            prefetch(self.rows.part(next, at, length));
        }
        self.rows.part(self.sources.order[place], at, length)
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
    fn run(self) {
        let (scan, (start, end)) = (self.scan, self.scan.places(self.block));
        let chunks = self
            .plus
            .chunks_mut(CHUNK)
            .zip(self.minus.chunks_mut(CHUNK));
        for (chunk, (plus, minus)) in chunks.enumerate() {
            for place in start..end {
                let row = scan.source(place, place + 1, chunk * CHUNK, plus.len());
                add_scaled(plus, scan.sources.plus[place], row);
                add_scaled(minus, scan.sources.minus[place], row);
            }
        }
    }
}

/// The sums of some targets of one block.
struct Targets<'a, S> {
    scan: &'a Scan<'a>,
    block: usize,
    ranks: std::ops::Range<usize>,
    plus: &'a [f32],
    minus: &'a [f32],
    sink: &'a S,
}

impl<S: Sink> Work for Targets<'_, S> {
    #[inline(always)]
    fn run(self) {
        let (scan, (start, end)) = (self.scan, self.scan.places(self.block));
        let chunks = self.plus.chunks(CHUNK).zip(self.minus.chunks(CHUNK));
        for (chunk, (plus, minus)) in chunks.enumerate() {
            let (at, length) = (chunk * CHUNK, plus.len());
            let mut sums = [0.0f32; CHUNK];
            let sum = &mut sums[..length];
            let mut place = end;
            for rank in self.ranks.clone() {
                while place > scan.splits[rank] as usize {
                    place -= 1;
                    let row = scan.source(place, place.wrapping_sub(1), at, length);
                    add_scaled(sum, scan.sources.plus[place], row);
                }
                self.sink.plus(rank, at, plus, sum);
            }
            sum.fill(0.0);
            let mut place = start;
            for rank in self.ranks.clone().rev() {
                while place < scan.splits[rank] as usize {
                    let row = scan.source(place, place + 1, at, length);
                    add_scaled(sum, scan.sources.minus[place], row);
                    place += 1;
                }
                self.sink.minus(rank, at, minus, sum);
            }
        }
    }
}
