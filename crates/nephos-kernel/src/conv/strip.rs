//! Rows of an image with their padding, as a convolution's windows read them.

use std::ops::Range;

use super::{Layout, Shape, Window};
use crate::gemm::aligned::Aligned;
use crate::gemm::left::{DEPTH, Left, Rows, part};
use crate::gemm::tile::Kernel;
use crate::gemm::transpose::transpose;

/// Some rows of a padded image, channels-last; as a matrix, the windows of some rows
/// of the output: a row for each output pixel, terms ordered by row, column and
/// channel of the window.
pub(crate) struct Strip {
    data: Aligned,
    window: Window,
    channels: usize,
    /// Pixels of a row.
    width: usize,
    /// Rows and columns of the output.
    out: [usize; 2],
}

impl Strip {
    /// Copies what the output rows `rows` of image `index` are computed from.
    pub(super) fn new(
        image: &[f32],
        layout: Layout,
        shape: Shape,
        channels: usize,
        window: Window,
        index: usize,
        rows: Range<usize>,
        mut data: Aligned,
    ) -> Self {
        let Shape { height, width, .. } = shape;
        let out = [rows.len(), window.output(shape).width];
        let padded = (out[1] - 1) * window.stride + window.kernel[1];
        let line = padded * channels;
        let top = rows.start * window.stride;
        let lines = (out[0] - 1) * window.stride + window.kernel[0];
        data.resize(lines * line);
        let image = &image[index * height * width * channels..][..height * width * channels];
        let left = window.padding[1];
        let count = width.min(padded.saturating_sub(left));
        for (i, to) in data.chunks_exact_mut(line).enumerate() {
            let row = (top + i).checked_sub(window.padding[0]);
            let Some(row) = row.filter(|&row| row < height && count > 0) else {
                to.fill(0.0);
                continue;
            };
            to[..left * channels].fill(0.0);
            to[(left + count) * channels..].fill(0.0);
            let to = &mut to[left * channels..(left + count) * channels];
            match layout {
                Layout::ChannelsLast => {
                    to.copy_from_slice(&image[row * width * channels..][..count * channels]);
                }
                Layout::ChannelsFirst => {
                    let from = &image[row * width..];
                    transpose(from, height * width, to, channels, [count, channels]);
                }
            }
        }
        Self {
            data,
            window,
            channels,
            width: padded,
            out,
        }
    }

    /// The room it took.
    pub(super) fn into_data(self) -> Aligned {
        self.data
    }

    /// The padded rows.
    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    /// Pixels of a padded row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Tiles of a row of the output.
    fn tiles_of_row<K: Kernel>(&self) -> usize {
        self.out[1].div_ceil(K::ROWS)
    }

    /// Terms of a row of the window.
    fn segment(&self) -> usize {
        self.window.kernel[1] * self.channels
    }

    /// Blocks of a row of the window; 1 where a block is some such rows.
    fn cuts(&self) -> usize {
        self.segment().div_ceil(DEPTH).max(1)
    }

    /// Blocks of rows of the window; 1 row a block where rows themselves are cut.
    fn groups(&self) -> usize {
        let rows = self.window.kernel[0];
        rows.div_ceil((DEPTH / self.segment().max(1)).max(1))
    }
}

impl Left for Strip {
    fn tiles<K: Kernel>(&self) -> usize {
        self.out[0] * self.tiles_of_row::<K>()
    }

    fn rows<K: Kernel>(&self, tile: usize) -> Range<usize> {
        let tiles = self.tiles_of_row::<K>();
        let columns = part(self.out[1], tiles, tile % tiles);
        let row = tile / tiles * self.out[1];
        row + columns.start..row + columns.end
    }

    fn blocks(&self) -> usize {
        self.groups() * self.cuts()
    }

    fn terms(&self, block: usize) -> Range<usize> {
        let rows = part(self.window.kernel[0], self.groups(), block / self.cuts());
        let terms = part(self.segment(), self.cuts(), block % self.cuts());
        match self.cuts() {
            1 => rows.start * self.segment()..rows.end * self.segment(),
            _ => rows.start * self.segment() + terms.start..rows.start * self.segment() + terms.end,
        }
    }

    fn copies(&self) -> bool {
        false
    }

    fn read<K: Kernel>(&self, tile: usize, block: usize, _: &mut Aligned) -> Rows {
        let pixel = Left::rows::<K>(self, tile).start;
        let [y, x] = [pixel / self.out[1], pixel % self.out[1]].map(|i| i * self.window.stride);
        let rows = part(self.window.kernel[0], self.groups(), block / self.cuts());
        let terms = part(self.segment(), self.cuts(), block % self.cuts());
        let first = ((y + rows.start) * self.width + x) * self.channels + terms.start;
        Rows {
            start: self.data[first..].as_ptr(),
            row: self.window.stride * self.channels,
            step: 1,
            segments: rows.len(),
            segment: terms.len(),
            segment_step: self.width * self.channels,
        }
    }
}
