//! A right-hand matrix in the order in which products read it.

use super::Matrix;

/// Columns of a panel.
pub(super) const PANEL: usize = 32;

/// A right-hand matrix `[k, n]`, copied into panels of columns: within a panel,
/// the columns of row 0, then those of row 1, and so on; the last panel is filled
/// up with zeros.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    data: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Packed {
    /// Copies a matrix.
    pub fn new(matrix: Matrix<'_>) -> Self {
        let mut packed = Self::default();
        packed.repack(matrix);
        packed
    }

    /// Copies another matrix to the same place.
    pub fn repack(&mut self, matrix: Matrix<'_>) {
        (self.rows, self.cols) = (matrix.rows(), matrix.cols());
        self.data.clear();
        self.data
            .resize(self.rows * self.cols.next_multiple_of(PANEL), 0.0);
        for j in 0..self.cols {
            let panel = &mut self.data[j / PANEL * PANEL * self.rows..];
            for i in 0..self.rows {
                panel[i * PANEL + j % PANEL] = matrix.at(i, j);
            }
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

    /// The panel that starts with column `index * PANEL`.
    pub(super) fn panel(&self, index: usize) -> &[f32] {
        let size = PANEL * self.rows;
        &self.data[index * size..][..size]
    }
}
