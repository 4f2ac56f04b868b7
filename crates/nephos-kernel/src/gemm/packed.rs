//! A right-hand matrix in the order in which products read it.

use rayon::prelude::*;

use super::Matrix;
use super::aligned::Aligned;
use super::isa::Isa;

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
        self.data
            .resize(self.rows * self.cols.next_multiple_of(width));
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

    /// The panel that starts with column `index` times the panel's width.
    pub(super) fn panel(&self, index: usize) -> &[f32] {
        let size = self.isa.panel() * self.rows;
        &self.data[index * size..][..size]
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
            to[..count].copy_from_slice(&data[i * row..][..count]);
        }
    } else {
        /// Rows copied at a time: a cache line of a transposed matrix.
        const BLOCK: usize = 16;
        for (block, to) in panel.chunks_mut(BLOCK * width).enumerate() {
            let rows = to.len() / width;
            for j in 0..count {
                let from = &data[block * BLOCK * row + j * col..];
                for i in 0..rows {
                    to[i * width + j] = from[i * row];
                }
            }
        }
    }
}
