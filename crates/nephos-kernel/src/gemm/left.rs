//! The left-hand matrix as a task reads it: in place where that is fast, else a copy.

use std::ops::Range;

use super::Matrix;
use super::aligned::Aligned;
use super::tile::Kernel;

/// Row strides that are a multiple of this put the rows of a tile into the same
/// few sets of a first-level cache.
const CLASH: usize = 512;

/// Some rows of a left-hand matrix, cut into tiles.
pub(super) struct Left {
    start: *const f32,
    /// Rows of the output at which tiles start, and the end of the last.
    cuts: Vec<usize>,
    row: usize,
    step: usize,
    /// Elements from tile to tile, where that is not their rows times `row`.
    tile: Option<usize>,
}

impl Left {
    /// The rows of `a` from each cut to the next.
    pub(super) fn new<K: Kernel>(
        a: Matrix<'_>,
        cuts: impl Iterator<Item = usize>,
        scratch: &mut Aligned,
    ) -> Self {
        let cuts: Vec<usize> = cuts.collect();
        let (first, end) = (cuts[0], cuts[cuts.len() - 1]);
        let (rows, depth) = (end - first, a.cols());
        let (row, step) = (a.row_stride(), a.col_stride());
        if rows == 0 || depth == 0 || (step == 1 && !row.is_multiple_of(CLASH)) {
            let start = a.data.as_ptr().wrapping_add(first * row);
            return Self {
                start,
                cuts,
                row,
                step,
                tile: None,
            };
        }
        if row == 1 {
            // Columns lie together: copy those of a tile one after the other.
            scratch.resize((cuts.len() - 1) * depth * K::ROWS);
            for (cut, to) in cuts
                .windows(2)
                .zip(scratch.chunks_exact_mut(depth * K::ROWS))
            {
                for (k, to) in to.chunks_exact_mut(K::ROWS).enumerate() {
                    let from = &a.data[k * step + cut[0]..k * step + cut[1]];
                    to[..from.len()].copy_from_slice(from);
                }
            }
            let start = scratch.as_ptr();
            let tile = Some(depth * K::ROWS);
            return Self {
                start,
                cuts,
                row: 1,
                step: K::ROWS,
                tile,
            };
        }
        // An odd number of cache lines from row to row.
        let line = (depth.div_ceil(16) | 1) * 16;
        scratch.resize(rows * line);
        for (i, to) in scratch.chunks_exact_mut(line).enumerate() {
            let from = &a.data[(first + i) * row..];
            if step == 1 {
                to[..depth].copy_from_slice(&from[..depth]);
            } else {
                for (k, to) in to[..depth].iter_mut().enumerate() {
                    *to = from[k * step];
                }
            }
        }
        Self {
            start: scratch.as_ptr(),
            cuts,
            row: line,
            step: 1,
            tile: None,
        }
    }

    /// The rows of each tile, and where its first element is.
    pub(super) fn tiles(&self) -> impl Iterator<Item = (Range<usize>, *const f32)> {
        self.cuts.windows(2).enumerate().map(|(index, cut)| {
            let offset = match self.tile {
                Some(tile) => index * tile,
                None => (cut[0] - self.cuts[0]) * self.row,
            };
            (cut[0]..cut[1], self.start.wrapping_add(offset))
        })
    }

    /// Elements from row to row of a tile.
    pub(super) fn row(&self) -> usize {
        self.row
    }

    /// Elements from column to column of a tile.
    pub(super) fn step(&self) -> usize {
        self.step
    }
}
