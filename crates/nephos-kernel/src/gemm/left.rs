//! The left-hand matrix as tiles read it: in place where that is fast, else a copy.

use std::ops::Range;

use super::Matrix;
use super::aligned::Aligned;
use super::packed::copy_short;
use super::tile::Kernel;

/// The most terms of a sum that are added in one go.
pub(crate) const DEPTH: usize = 384;

/// Row strides that are a multiple of this put the rows of a tile into the same
/// few sets of a first-level cache.
const CLASH: usize = 512;

/// Columns no further apart than this are read in place.
const NEAR: usize = 128;

/// Part `index` of `count` nearly equal parts of `0..len`.
///
/// # Panics
/// `len` is so large that it can't be cut exactly: no slice holds so many rows.
pub(crate) fn part(len: usize, count: usize, index: usize) -> Range<usize> {
    let end = len.checked_mul(index + 1).expect("rows that there are");
    (end - len) / count..end / count
}

/// Where a kernel finds some rows and terms of a left-hand matrix: term `k` of row
/// `i` of segment `s` is at `start + s * segment_step + i * row + k * step`.
pub(crate) struct Rows {
    pub start: *const f32,
    pub row: usize,
    pub step: usize,
    /// Segments, and terms of each.
    pub segments: usize,
    pub segment: usize,
    pub segment_step: usize,
}

/// A left-hand matrix, cut into tiles of rows and blocks of terms.
///
/// The blocks depend on nothing but the matrix, so that sums do not either.
pub(crate) trait Left: Sync {
    /// How many tiles there are.
    fn tiles<K: Kernel>(&self) -> usize;
    /// The rows of the output that a tile covers, at most [`Kernel::ROWS`].
    fn rows<K: Kernel>(&self, tile: usize) -> Range<usize>;
    /// How many blocks there are, at least one.
    fn blocks(&self) -> usize;
    /// The terms of a block: rows of the right-hand matrix.
    fn terms(&self, block: usize) -> Range<usize>;
    /// Whether tiles are copied to be read.
    fn copies(&self) -> bool;
    /// A tile's part of a block; what has to be copied goes to `scratch`.
    fn read<K: Kernel>(&self, tile: usize, block: usize, scratch: &mut Aligned) -> Rows;
}

impl Left for Matrix<'_> {
    fn tiles<K: Kernel>(&self) -> usize {
        self.rows().div_ceil(K::ROWS)
    }

    fn rows<K: Kernel>(&self, tile: usize) -> Range<usize> {
        part(Matrix::rows(self), self.tiles::<K>(), tile)
    }

    fn blocks(&self) -> usize {
        self.cols().div_ceil(DEPTH).max(1)
    }

    fn terms(&self, block: usize) -> Range<usize> {
        part(self.cols(), self.blocks(), block)
    }

    fn copies(&self) -> bool {
        let clash = |stride: usize| stride.is_multiple_of(CLASH);
        let by_rows = self.col_stride() == 1 && !clash(self.row_stride());
        let by_columns = self.row_stride() == 1 && self.col_stride() <= NEAR;
        !(by_rows || by_columns)
    }

    fn read<K: Kernel>(&self, tile: usize, block: usize, scratch: &mut Aligned) -> Rows {
        let (rows, terms) = (Left::rows::<K>(self, tile), self.terms(block));
        let (row, step) = (self.row_stride(), self.col_stride());
        let (count, depth) = (rows.len(), terms.len());
        let first = rows.start * row + terms.start * step;
        let whole = |start, row, step| Rows {
            start,
            row,
            step,
            segments: 1,
            segment: depth,
            segment_step: 0,
        };
        if depth == 0 || !self.copies() {
            return whole(self.data.as_ptr().wrapping_add(first), row, step);
        }
        let data = &self.data[first..];
        if row == 1 {
            // Columns lie together: they are copied one after the other, whole ones
            // where there are numbers, though fewer may be asked for.
            scratch.resize(depth * K::ROWS);
            for (k, to) in scratch.chunks_exact_mut(K::ROWS).enumerate() {
                let from = &data[k * step..];
                let count = if from.len() < K::ROWS { count } else { K::ROWS };
                copy_short(&from[..count], &mut to[..count]);
            }
            return whole(scratch.as_ptr(), 1, K::ROWS);
        }
        // An odd number of cache lines from row to row.
        let line = (depth.div_ceil(16) | 1) * 16;
        scratch.resize(count * line);
        for (i, to) in scratch.chunks_exact_mut(line).enumerate() {
            let from = &data[i * row..];
            if step == 1 {
                to[..depth].copy_from_slice(&from[..depth]);
            } else {
                for (k, to) in to[..depth].iter_mut().enumerate() {
                    *to = from[k * step];
                }
            }
        }
        whole(scratch.as_ptr(), line, 1)
    }
}
