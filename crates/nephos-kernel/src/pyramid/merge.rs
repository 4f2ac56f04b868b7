//! A grid doubled and joined with the detail of that size.

use rayon::prelude::*;

use super::Convolve;
use crate::conv::{Shape, Window};
use crate::format::Format;
use crate::gemm::Act;
use crate::sizes::{count, sum};

/// A 1×1 convolution, each cell four times, detail appended, a 3×3 convolution; but for
/// the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The input; the output has twice its rows and columns.
    pub shape: Shape,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the detail, 0 where there is none.
    pub detail: usize,
    /// Channels of the output, and of the input reduced.
    pub width: usize,
    /// Of the operands of products.
    pub format: Format,
}

/// The weights of a [`Merge`].
#[derive(Debug, Clone, Copy)]
pub struct MergeWeights<'a> {
    /// `[width, inputs, 1, 1]` and `[width]`.
    pub reduce: [&'a [f32]; 2],
    /// `[width, width + detail, 3, 3]` and `[width]`.
    pub join: [&'a [f32]; 2],
}

impl Merge {
    /// Shape of the output.
    pub fn doubled(&self) -> Shape {
        Shape {
            batch: self.shape.batch,
            height: count([2, self.shape.height]),
            width: count([2, self.shape.width]),
        }
    }

    fn reduce(&self) -> Convolve {
        Convolve {
            shape: self.shape,
            inputs: self.inputs,
            outputs: self.width,
            window: Window {
                kernel: [1, 1],
                stride: 1,
                padding: [0, 0],
            },
            format: self.format,
        }
    }

    fn join(&self) -> Convolve {
        Convolve::same(self.doubled(), [self.channels(), self.width], self.format)
    }

    /// The output, and what was joined, which the backward pass needs.
    ///
    /// # Shapes
    /// - x: `[batch, height, width, inputs]`
    /// - detail: `[batch, 2 · height, 2 · width, detail]`
    /// - output: `[batch, 2 · height, 2 · width, width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(
        &self,
        x: &[f32],
        detail: &[f32],
        weights: &MergeWeights<'_>,
        act: Act,
    ) -> (Vec<f32>, Vec<f32>) {
        let [weight, bias] = weights.reduce;
        let reduced = self.reduce().forward(x, weight, bias, Act::None);
        let mut joined = vec![0.0; self.joined()];
        self.append(&reduced, detail, false, &mut joined);
        let [weight, bias] = weights.join;
        (self.join().forward(&joined, weight, bias, act), joined)
    }

    /// The gradients by the input, by the detail, by weight and bias of the reduction
    /// and of the convolution, from that by the output without activation.
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(
        &self,
        x: &[f32],
        weights: &MergeWeights<'_>,
        joined: &[f32],
        gradient: &[f32],
    ) -> [Vec<f32>; 6] {
        let join = self.join();
        let [of_joined, w2, b2] = join.backward(joined, weights.join[0], gradient, true);
        let (of_reduced, of_detail) = self.part(&of_joined);
        let [of_x, w1, b1] = (self.reduce()).backward(x, weights.reduce[0], &of_reduced, true);
        [of_x, of_detail, w1, b1, w2, b2]
    }

    /// Numbers of what is joined.
    ///
    /// # Panics
    /// They do not fit a `usize`.
    pub fn joined(&self) -> usize {
        count([self.cells(), self.channels()])
    }

    /// Channels of what is joined.
    fn channels(&self) -> usize {
        sum([self.width, self.detail])
    }

    /// Cells of the output.
    fn cells(&self) -> usize {
        let size = self.doubled();
        count([size.batch, size.height, size.width])
    }

    /// Each cell of `reduced` four times, and the detail beside it, or what is positive
    /// of the detail where it is to be `rectified`.
    ///
    /// # Shapes
    /// - reduced: `[batch, height, width, width]`
    /// - detail: `[batch, 2 · height, 2 · width, detail]`
    /// - joined: `[batch, 2 · height, 2 · width, width + detail]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn append(&self, reduced: &[f32], detail: &[f32], rectified: bool, joined: &mut [f32]) {
        let size = self.doubled();
        let (channels, cells) = (self.channels(), self.cells());
        assert_eq!(joined.len(), self.joined(), "joined of {self:?}");
        assert_eq!(reduced.len(), cells / 4 * self.width, "grid of {self:?}");
        assert_eq!(detail.len(), cells * self.detail, "detail of {self:?}");
        let least = if rectified { 0.0 } else { f32::NEG_INFINITY };
        (joined.par_chunks_exact_mut(size.width * channels))
            .enumerate()
            .for_each(|(row, to)| {
                // Rows of all images follow one another, so halving finds the image too.
                let from = &reduced[row / 2 * self.shape.width * self.width..];
                for (col, to) in to.chunks_exact_mut(channels).enumerate() {
                    let (cell, rest) = to.split_at_mut(self.width);
                    cell.copy_from_slice(&from[col / 2 * self.width..][..self.width]);
                    let at = (row * size.width + col) * self.detail;
                    for (to, x) in rest.iter_mut().zip(&detail[at..at + self.detail]) {
                        *to = if *x < least { least } else { *x };
                    }
                }
            });
    }

    /// The way back of [`Merge::append`].
    fn part(&self, of_joined: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let size = self.doubled();
        let (channels, cells) = (self.channels(), self.cells());
        let mut of_reduced = vec![0.0; cells / 4 * self.width];
        let mut of_detail = vec![0.0; cells * self.detail];
        let line = size.width * channels;
        (of_reduced.par_chunks_exact_mut(self.shape.width * self.width))
            .zip(of_joined.par_chunks_exact(2 * line))
            .for_each(|(to, from)| {
                let (upper, lower) = from.split_at(line);
                for (col, to) in to.chunks_exact_mut(self.width).enumerate() {
                    let at = 2 * col * channels;
                    let [a, b] = [upper, lower].map(|line| &line[at..at + 2 * channels]);
                    for (c, to) in to.iter_mut().enumerate() {
                        *to = (a[c] + a[channels + c]) + (b[c] + b[channels + c]);
                    }
                }
            });
        if self.detail > 0 {
            (of_detail.par_chunks_exact_mut(size.width * self.detail))
                .zip(of_joined.par_chunks_exact(line))
                .for_each(|(to, from)| {
                    let from = from.chunks_exact(channels);
                    for (to, from) in to.chunks_exact_mut(self.detail).zip(from) {
                        to.copy_from_slice(&from[self.width..]);
                    }
                });
        }
        (of_reduced, of_detail)
    }
}
