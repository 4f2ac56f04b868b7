//! A right-hand matrix in the order in which products read it.

use std::ops::Range;

use rayon::prelude::*;

use super::Matrix;
use super::aligned::Aligned;
use super::isa::Isa;
use super::transpose::transpose;
use crate::sizes::count;

/// Panels with fewer numbers than this in all are packed by one thread.
const SMALL: usize = 1 << 15;

/// A right-hand matrix `[k, n]`, copied into panels of columns: within a panel,
/// the columns of row 0, then those of row 1, and so on; the last panel is filled
/// up with zeros. A panel is as wide as this processor likes it.
#[derive(Debug, Clone)]
pub struct Packed {
    data: Aligned,
    rows: usize,
    cols: usize,
    isa: Isa,
}

impl Default for Packed {
    /// A matrix without rows and columns.
    fn default() -> Self {
        Self::empty(Isa::best())
    }
}

impl Packed {
    /// Copies a matrix.
    pub fn new(matrix: Matrix<'_>) -> Self {
        let mut packed = Self::default();
        packed.repack(matrix);
        packed
    }

    /// A matrix without rows and columns, for certain instructions.
    pub(super) fn empty(isa: Isa) -> Self {
        Self {
            data: Aligned::default(),
            rows: 0,
            cols: 0,
            isa,
        }
    }

    /// Copies another matrix to the same place.
    pub fn repack(&mut self, matrix: Matrix<'_>) {
        (self.rows, self.cols) = (matrix.rows(), matrix.cols());
        let width = self.isa.panel();
        self.data.resize(self.numbers());
        if self.rows == 0 || self.cols == 0 {
            return;
        }
        let fill = |(index, panel): (usize, &mut [f32])| {
            let start = index * width;
            fill_panel(
                matrix.col_range(start..self.cols.min(start + width)),
                panel,
                width,
            );
        };
        let size = width * self.rows;
        if self.data.len() < SMALL {
            self.data.chunks_exact_mut(size).enumerate().for_each(fill);
        } else {
            self.data
                .par_chunks_exact_mut(size)
                .enumerate()
                .for_each(fill);
        }
    }

    /// Gives it another shape and some numbers, to be overwritten through
    /// [`Packed::panels_mut`].
    pub(crate) fn reshape(&mut self, rows: usize, cols: usize) {
        (self.rows, self.cols) = (rows, cols);
        self.data.resize(self.numbers());
    }

    /// Numbers of all panels.
    fn numbers(&self) -> usize {
        let panel = self.isa.panel();
        count([self.rows, self.cols.div_ceil(panel), panel])
    }

    /// Columns of a panel.
    pub(crate) fn panel_width(&self) -> usize {
        self.isa.panel()
    }

    /// The panels: `k` rows of [`Packed::panel_width`] columns each.
    pub(crate) fn panels_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let size = self.isa.panel() * self.rows;
        self.data.chunks_exact_mut(size.max(1))
    }

    /// Number of rows, `k`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns, `n`.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The instructions it is packed for.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Some rows of the panel that starts with column `index` times the panel's width.
    pub(super) fn terms_of_panel(&self, index: usize, terms: Range<usize>) -> &[f32] {
        let width = self.isa.panel();
        let start = index * self.rows * width;
        &self.data[start + terms.start * width..start + terms.end * width]
    }
}

/// Copies at most `width` columns to a panel.
fn fill_panel(columns: Matrix<'_>, panel: &mut [f32], width: usize) {
    let count = columns.cols();
    if count < width {
        panel.fill(0.0);
    }
    let (data, row, col) = (columns.data, columns.row_stride(), columns.col_stride());
    if col == 1 {
        for (i, to) in panel.chunks_exact_mut(width).enumerate() {
            copy_short(&data[i * row..][..count], &mut to[..count]);
        }
    } else if row == 1 {
        /// Rows copied at a time: of each column, a cache line.
        const BLOCK: usize = 16;
        for (block, to) in panel.chunks_mut(BLOCK * width).enumerate() {
            let from = &data[block * BLOCK..];
            transpose(from, col, to, width, [to.len() / width, count]);
        }
    } else {
        for (i, to) in panel.chunks_exact_mut(width).enumerate() {
            for (j, to) in to[..count].iter_mut().enumerate() {
                *to = data[i * row + j * col];
            }
        }
    }
}

/// Copies a few numbers, without a call where their count is the usual one.
#[inline(always)]
pub(super) fn copy_short(from: &[f32], to: &mut [f32]) {
    fn whole<const COUNT: usize>(from: &[f32], to: &mut [f32]) -> Option<()> {
        let from: &[f32; COUNT] = from.try_into().ok()?;
        let to: &mut [f32; COUNT] = to.try_into().ok()?;
        *to = *from;
        Some(())
    }
    match from.len() {
        32 => whole::<32>(from, to),
        16 => whole::<16>(from, to),
        14 => whole::<14>(from, to),
        8 => whole::<8>(from, to),
        6 => whole::<6>(from, to),
        _ => {
            to.copy_from_slice(from);
            Some(())
        }
    }
    .expect("as many numbers as the panel takes");
}
