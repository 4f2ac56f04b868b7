//! Tokens of grids with a border of zeros.

use crate::conv::Shape;
use crate::gemm::Matrix;

/// Where tokens are among those of the border.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub shape: Shape,
    pub kernel: usize,
}

impl Layout {
    pub fn reach(self) -> usize {
        self.kernel / 2
    }

    /// Tokens from one row of the grid to the next, border included.
    fn pitch(self) -> usize {
        self.shape.width + self.reach()
    }

    /// Tokens from one grid to the next.
    fn image(self) -> usize {
        (self.shape.height + self.reach()) * self.pitch()
    }

    /// Border tokens before the first token.
    fn lead(self) -> usize {
        self.reach() * self.pitch() + self.reach()
    }

    /// Tokens from the first to the last, with the border between them.
    pub fn span(self) -> usize {
        self.shape.batch * self.image() - self.lead()
    }

    pub fn padded(self) -> usize {
        self.span() + 2 * self.lead()
    }

    pub fn tokens(self) -> usize {
        self.shape.batch * self.shape.height * self.shape.width
    }

    /// Where each row of each grid begins, in tokens from the first.
    fn starts(self) -> impl Iterator<Item = usize> {
        let image = move |batch: usize| {
            (0..self.shape.height).map(move |row| batch * self.image() + row * self.pitch())
        };
        (0..self.shape.batch).flat_map(image)
    }

    /// Tokens of `width` features, which come in several parts, with a border of zeros.
    pub fn pad(self, parts: &[&[f32]], width: usize, padded: &mut [f32]) {
        padded.fill(0.0);
        let mut first = 0;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            let count = part.len() / self.tokens();
            let rows = (self.starts()).zip(part.chunks_exact(self.shape.width * count));
            for (start, row) in rows {
                let to = padded[(self.lead() + start) * width..].chunks_exact_mut(width);
                for (to, token) in to.zip(row.chunks_exact(count)) {
                    to[first..first + count].copy_from_slice(token);
                }
            }
            first += count;
        }
    }

    /// The tokens of `span`, without the border.
    pub fn unpad(self, span: &[f32], width: usize, tokens: &mut [f32]) {
        let rows = tokens.chunks_exact_mut(self.shape.width * width);
        for (row, start) in rows.zip(self.starts()) {
            row.copy_from_slice(&span[start * width..][..row.len()]);
        }
    }

    /// `width` features of the tokens that a tap of row `dy` of the kernel and of column `dx`
    /// reads.
    pub fn read(self, padded: &[f32], dy: usize, dx: usize, width: usize) -> Matrix<'_> {
        let features = padded.len() / self.padded();
        let first = (dy * self.pitch() + dx) * features;
        Matrix::strided(&padded[first..], [self.span(), width], [features, 1])
    }
}
