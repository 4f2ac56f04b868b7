//! A grid doubled and joined with the detail of that size.

use rayon::prelude::*;

use super::Conv;
use crate::conv::Shape;
use crate::gemm::Act;
use crate::scratch::{Buffer, Scratch};
use crate::sizes::{count, sum};

/// A 1×1 convolution of what is positive of a grid, each cell four times, detail appended, a 3×3
/// convolution.
#[derive(Debug, Clone)]
pub struct Merge<'a> {
    /// 1×1, after a ReLU.
    pub reduce: Conv<'a>,
    /// 3×3, of the outputs of `reduce` and the detail.
    pub join: Conv<'a>,
    /// Channels of the detail, 0 where there is none.
    pub detail: usize,
}

/// The gradients of a [`Merge`].
#[derive(Debug, Clone)]
pub struct MergeGradients {
    /// By the grid.
    pub x: Vec<f32>,
    /// By the detail; empty without `detail_relu`.
    pub detail: Vec<f32>,
    /// By weight and bias of the 1×1 convolution.
    pub reduce: [Vec<f32>; 2],
    /// By weight and bias of the 3×3 convolution.
    pub join: [Vec<f32>; 2],
}

/// Twice the rows and columns.
fn doubled(shape: Shape) -> Shape {
    Shape {
        batch: shape.batch,
        height: count([2, shape.height]),
        width: count([2, shape.width]),
    }
}

impl Merge<'_> {
    /// The output; `saved` takes what was joined. The detail goes through a ReLU if
    /// `detail_relu`.
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
        shape: Shape,
        (detail, detail_relu): (&[f32], bool),
        saved: Option<&mut Buffer>,
        scratch: &mut Scratch,
    ) -> Buffer {
        let mut reduced = scratch.take(self.reduce.numbers(shape));
        self.reduce.forward(x, shape, Act::None, None, &mut reduced);
        let double = doubled(shape);
        let mut joined = scratch.take(count([
            double.batch,
            double.height,
            double.width,
            self.channels(),
        ]));
        self.append(shape, &reduced, detail, detail_relu, &mut joined);
        scratch.give(reduced);
        let mut out = scratch.take(self.join.numbers(double));
        self.join
            .forward(&joined, double, Act::None, None, &mut out);
        scratch.save_or_give(saved, joined);
        out
    }

    /// The gradients, from that by the output.
    ///
    /// # Panics
    /// Slices of other sizes, or layers for inference alone.
    pub fn backward(
        &self,
        x: &[f32],
        shape: Shape,
        detail_relu: bool,
        joined: &[f32],
        gradient: &[f32],
    ) -> MergeGradients {
        let [of_joined, w2, b2] = self.join.backward(joined, doubled(shape), gradient, true);
        let (of_reduced, detail) = self.part(shape, detail_relu, joined, &of_joined);
        let [x, w1, b1] = self.reduce.backward(x, shape, &of_reduced, true);
        MergeGradients {
            x,
            detail,
            reduce: [w1, b1],
            join: [w2, b2],
        }
    }

    /// Channels of the output, and of the grid reduced.
    fn width(&self) -> usize {
        self.reduce.outputs()
    }

    /// Channels of what is joined.
    fn channels(&self) -> usize {
        sum([self.width(), self.detail])
    }

    /// Each cell of `reduced` four times, and the detail beside it, or what is positive
    /// of the detail if `detail_relu`.
    ///
    /// # Shapes
    /// - reduced: `[batch, height, width, width]`
    /// - detail: `[batch, 2 · height, 2 · width, detail]`
    /// - joined: `[batch, 2 · height, 2 · width, width + detail]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub(crate) fn append(
        &self,
        shape: Shape,
        reduced: &[f32],
        detail: &[f32],
        detail_relu: bool,
        joined: &mut [f32],
    ) {
        let size = doubled(shape);
        let (channels, width) = (self.channels(), self.width());
        let cells = count([size.batch, size.height, size.width]);
        assert_eq!(joined.len(), count([cells, channels]), "what is joined");
        assert_eq!(reduced.len(), cells / 4 * width, "the grid");
        assert_eq!(detail.len(), cells * self.detail, "the detail");
        let least = if detail_relu { 0.0 } else { f32::NEG_INFINITY };
        (joined.par_chunks_exact_mut(size.width * channels))
            .enumerate()
            .for_each(|(row, to)| {
                // Rows of all images follow one another, so halving finds the image too.
                let from = &reduced[row / 2 * shape.width * width..];
                for (col, to) in to.chunks_exact_mut(channels).enumerate() {
                    let (cell, rest) = to.split_at_mut(width);
                    cell.copy_from_slice(&from[col / 2 * width..][..width]);
                    let at = (row * size.width + col) * self.detail;
                    for (to, x) in rest.iter_mut().zip(&detail[at..at + self.detail]) {
                        *to = if *x < least { least } else { *x };
                    }
                }
            });
    }

    /// The way back of [`Merge::append`].
    fn part(
        &self,
        shape: Shape,
        detail_relu: bool,
        joined: &[f32],
        of_joined: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let size = doubled(shape);
        let (channels, width) = (self.channels(), self.width());
        let cells = count([size.batch, size.height, size.width]);
        let mut of_reduced = vec![0.0; cells / 4 * width];
        let line = size.width * channels;
        (of_reduced.par_chunks_exact_mut(shape.width * width))
            .zip(of_joined.par_chunks_exact(2 * line))
            .for_each(|(to, from)| {
                let (upper, lower) = from.split_at(line);
                for (col, to) in to.chunks_exact_mut(width).enumerate() {
                    let at = 2 * col * channels;
                    let [a, b] = [upper, lower].map(|line| &line[at..at + 2 * channels]);
                    for (c, to) in to.iter_mut().enumerate() {
                        *to = (a[c] + a[channels + c]) + (b[c] + b[channels + c]);
                    }
                }
            });
        let mut of_detail = Vec::new();
        if detail_relu && self.detail > 0 {
            of_detail.resize(cells * self.detail, 0.0);
            (of_detail.par_chunks_exact_mut(self.detail))
                .zip(of_joined.par_chunks_exact(channels))
                .zip(joined.par_chunks_exact(channels))
                .with_min_len(256)
                .for_each(|((to, from), joined)| {
                    let rest = from[width..].iter().zip(&joined[width..]);
                    for (to, (from, x)) in to.iter_mut().zip(rest) {
                        *to = if *x > 0.0 { *from } else { 0.0 };
                    }
                });
        }
        (of_reduced, of_detail)
    }
}
