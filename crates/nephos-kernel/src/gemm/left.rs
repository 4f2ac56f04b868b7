//! The left-hand matrix as a tile reads it: in place where that is fast, else a copy.

use std::ops::Range;

use super::Matrix;
use super::aligned::Aligned;
use super::packed::copy_short;
use super::tile::Kernel;

/// Row strides that are a multiple of this put the rows of a tile into the same
/// few sets of a first-level cache.
const CLASH: usize = 512;

/// Some rows and columns of a left-hand matrix.
pub(super) struct Rows {
    /// Element `(i, k)` is at `start + i * row + k * step`.
    pub start: *const f32,
    pub row: usize,
    pub step: usize,
}

impl Rows {
    /// The part of `a`, at most [`Kernel::ROWS`] high, where a kernel can read it;
    /// what has to be copied goes to `scratch`.
    pub(super) fn of<K: Kernel>(
        a: Matrix<'_>,
        rows: Range<usize>,
        terms: Range<usize>,
        scratch: &mut Aligned,
    ) -> Self {
        let (row, step) = (a.row_stride(), a.col_stride());
        let (count, depth) = (rows.len(), terms.len());
        let first = rows.start * row + terms.start * step;
        if depth == 0 || (step == 1 && !row.is_multiple_of(CLASH)) {
            let start = a.data.as_ptr().wrapping_add(first);
            return Self { start, row, step };
        }
        let data = &a.data[first..];
        if row == 1 {
            // Columns lie together: they are copied one after the other, whole ones
            // where there are numbers, though fewer may be asked for.
            scratch.resize(depth * K::ROWS);
            for (k, to) in scratch.chunks_exact_mut(K::ROWS).enumerate() {
                let from = &data[k * step..];
                let count = if from.len() < K::ROWS { count } else { K::ROWS };
                copy_short(&from[..count], &mut to[..count]);
            }
            return Self {
                start: scratch.as_ptr(),
                row: 1,
                step: K::ROWS,
            };
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
        Self {
            start: scratch.as_ptr(),
            row: line,
            step: 1,
        }
    }
}
