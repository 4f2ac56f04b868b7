//! Parts of the packed rows, copied to where the micro-kernel reads them.

use super::Shape;

/// Rows of the keys and values of a sequence are padded with zeros to a multiple of
/// this, and so are their features: every number of accumulator rows divides it.
pub(super) const PAD: usize = 8;

/// `n` rounded up to a multiple of `step`.
pub(super) fn round_up(n: usize, step: usize) -> usize {
    n.div_ceil(step) * step
}

/// Which of the three parts of a packed row.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Query = 0,
    Key = 1,
    Value = 2,
}

/// Row-major rows of a head's features in a matrix that holds more.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    /// The whole matrix.
    data: &'a [f32],
    /// Where the first token's features begin.
    first: usize,
    /// From one token to the next.
    stride: usize,
    /// Features.
    head: usize,
}

impl<'a> Head<'a> {
    /// A part of the packed rows `qkv`, for the head `sequence % heads` of the batch
    /// item `sequence / heads`.
    pub(super) fn of_packed(qkv: &'a [f32], shape: Shape, sequence: usize, part: Part) -> Self {
        let (item, head) = (sequence / shape.heads, sequence % shape.heads);
        let stride = 3 * shape.width;
        Self {
            data: qkv,
            first: item * shape.tokens * stride + part as usize * shape.width + head * shape.head(),
            stride,
            head: shape.head(),
        }
    }

    /// The same of rows `[batch * tokens, width]`.
    pub(super) fn of_rows(rows: &'a [f32], shape: Shape, sequence: usize) -> Self {
        let (item, head) = (sequence / shape.heads, sequence % shape.heads);
        Self {
            data: rows,
            first: item * shape.tokens * shape.width + head * shape.head(),
            stride: shape.width,
            head: shape.head(),
        }
    }

    /// The features of a token.
    pub(super) fn token(self, token: usize) -> &'a [f32] {
        let first = self.first + token * self.stride;
        &self.data[first..first + self.head]
    }

    /// Copies tokens from `first` on to rows of `width` numbers, and fills what is
    /// left of the rows, and the rows past the `count`-th, with zeros.
    pub(super) fn copy(self, first: usize, count: usize, width: usize, to: &mut [f32]) {
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            let features = if row < count {
                let features = self.token(first + row);
                to[..features.len()].copy_from_slice(features);
                features.len()
            } else {
                0
            };
            to[features..].fill(0.0);
        }
    }

    /// Writes `count` tokens from `first` on as columns, times `scale`: feature `f`
    /// of the `q`-th goes to `to[f * lanes + q]`; zeros where there is no token.
    pub(super) fn transpose(
        self,
        [first, count]: [usize; 2],
        scale: f32,
        lanes: usize,
        to: &mut [f32],
    ) {
        self.transpose_of(first..first + count, scale, lanes, to);
    }

    /// As [`Head::transpose`], of any tokens, at most `lanes`.
    pub(super) fn transpose_of(
        self,
        tokens: impl Iterator<Item = usize>,
        scale: f32,
        lanes: usize,
        to: &mut [f32],
    ) {
        let mut count = 0;
        for (q, token) in tokens.enumerate() {
            let column = to[q..].iter_mut().step_by(lanes);
            for (to, from) in column.zip(self.token(token)) {
                *to = from * scale;
            }
            count += 1;
        }
        if count < lanes {
            for row in to.chunks_exact_mut(lanes) {
                row[count..].fill(0.0);
            }
        }
    }
}
