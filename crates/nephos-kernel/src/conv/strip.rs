//! Rows of an image with their padding, as a convolution's windows read them.

use std::ops::Range;

use crate::activation::positive;
use crate::gemm::aligned::Aligned;
use crate::gemm::left::{DEPTH, Left, Rows, part};
use crate::gemm::tile::Kernel;
use crate::sizes::{count, reach};

/// Some rows of a padded image, channels-last; as a matrix, the windows of some rows
/// of the output: a row for each output pixel, terms ordered by row, column and
/// channel of the window.
pub(crate) struct Strip {
    data: Aligned,
    windows: Windows,
    channels: usize,
    /// Pixels of a row.
    width: usize,
}

/// Which windows of an image a strip holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Row and column of the image at which the first window starts; may lie outside.
    pub first: [isize; 2],
    /// Windows down and across.
    pub count: [usize; 2],
}

impl Strip {
    /// Copies what the windows see of an image; outside it they see zeros.
    ///
    /// # Shapes
    /// - image: `[height, width, channels]`; its positive part if `input_relu`
    pub(super) fn new(
        image: &[f32],
        [height, width, channels]: [usize; 3],
        windows: Windows,
        input_relu: bool,
        mut data: Aligned,
    ) -> Self {
        let [lines, padded] =
            [0, 1].map(|i| reach(windows.count[i].max(1), windows.stride, windows.kernel[i]));
        data.resize(count([lines, padded, channels]));
        let [top, left] = windows.first;
        // Columns of the strip that lie within the image, and the first of the image.
        let start = left.min(0).unsigned_abs().min(padded);
        let skip = left.max(0).unsigned_abs().min(width);
        let seen = (padded - start).min(width - skip);
        for (i, to) in data
            .chunks_exact_mut((padded * channels).max(1))
            .enumerate()
        {
            let row = usize::try_from(top + i as isize).ok();
            let Some(row) = row.filter(|&row| row < height && seen > 0) else {
                to.fill(0.0);
                continue;
            };
            to[..start * channels].fill(0.0);
            to[(start + seen) * channels..].fill(0.0);
            let to = &mut to[start * channels..(start + seen) * channels];
            let from = &image[(row * width + skip) * channels..];
            let from = &from[..seen * channels];
            match input_relu {
                true => positive(from, to),
                false => to.copy_from_slice(from),
            }
        }
        Self {
            data,
            windows,
            channels,
            width: padded,
        }
    }

    /// Its buffer, to be reused.
    pub(super) fn into_data(self) -> Aligned {
        self.data
    }

    /// The same windows as columns of a matrix: a row for each column and channel of
    /// row `row` of the window, terms in the order of the windows.
    pub(super) fn transposed(&self, row: usize) -> TransposedStrip<'_> {
        TransposedStrip { strip: self, row }
    }

    /// Tiles of a row of the output.
    fn tiles_of_row<K: Kernel>(&self) -> usize {
        self.windows.count[1].div_ceil(K::ROWS)
    }

    /// Terms of a row of the window.
    fn segment(&self) -> usize {
        self.windows.kernel[1] * self.channels
    }

    /// Blocks of a row of the window; 1 where a block is some such rows.
    fn cuts(&self) -> usize {
        self.segment().div_ceil(DEPTH).max(1)
    }

    /// Blocks of rows of the window; 1 row a block where rows themselves are cut.
    fn groups(&self) -> usize {
        let rows = self.windows.kernel[0];
        rows.div_ceil((DEPTH / self.segment().max(1)).max(1))
    }
}

impl Left for Strip {
    fn tiles<K: Kernel>(&self) -> usize {
        self.windows.count[0] * self.tiles_of_row::<K>()
    }

    fn rows<K: Kernel>(&self, tile: usize) -> Range<usize> {
        let tiles = self.tiles_of_row::<K>();
        let columns = part(self.windows.count[1], tiles, tile % tiles);
        let row = tile / tiles * self.windows.count[1];
        row + columns.start..row + columns.end
    }

    fn blocks(&self) -> usize {
        self.groups() * self.cuts()
    }

    fn terms(&self, block: usize) -> Range<usize> {
        let rows = part(self.windows.kernel[0], self.groups(), block / self.cuts());
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
        let [y, x] = [pixel / self.windows.count[1], pixel % self.windows.count[1]]
            .map(|i| i * self.windows.stride);
        let rows = part(self.windows.kernel[0], self.groups(), block / self.cuts());
        let terms = part(self.segment(), self.cuts(), block % self.cuts());
        let first = ((y + rows.start) * self.width + x) * self.channels + terms.start;
        Rows {
            start: self.data[first..].as_ptr(),
            row: self.windows.stride * self.channels,
            step: 1,
            segments: rows.len(),
            segment: terms.len(),
            segment_step: self.width * self.channels,
        }
    }
}

/// [`Strip::transposed`].
pub(crate) struct TransposedStrip<'a> {
    strip: &'a Strip,
    row: usize,
}

impl TransposedStrip<'_> {
    fn len(&self) -> usize {
        self.strip.segment()
    }
}

impl Left for TransposedStrip<'_> {
    fn tiles<K: Kernel>(&self) -> usize {
        self.len().div_ceil(K::ROWS)
    }

    fn rows<K: Kernel>(&self, tile: usize) -> Range<usize> {
        part(self.len(), self.tiles::<K>(), tile)
    }

    fn blocks(&self) -> usize {
        let [rows, cols] = self.strip.windows.count;
        rows.div_ceil((DEPTH / cols.max(1)).max(1)).max(1)
    }

    fn terms(&self, block: usize) -> Range<usize> {
        let [rows, cols] = self.strip.windows.count;
        let rows = part(rows, self.blocks(), block);
        rows.start * cols..rows.end * cols
    }

    fn copies(&self) -> bool {
        false
    }

    fn read<K: Kernel>(&self, tile: usize, block: usize, _: &mut Aligned) -> Rows {
        let strip = self.strip;
        let [rows, cols] = strip.windows.count;
        let rows = part(rows, self.blocks(), block);
        let step = strip.windows.stride * strip.channels;
        let line = strip.width * strip.channels;
        let segment_step = strip.windows.stride * line;
        let first = self.row * line + rows.start * segment_step;
        Rows {
            start: strip.data[first + Left::rows::<K>(self, tile).start..].as_ptr(),
            row: 1,
            step,
            segments: rows.len(),
            segment: cols,
            segment_step,
        }
    }
}
