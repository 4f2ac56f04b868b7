//! The windows of a convolution side by side.

use std::ops::Range;

use rayon::prelude::*;

use super::Conv;

impl Conv {
    /// For a line `ky` of the kernel and a row of the output, the image's row.
    fn image_row(&self, row: usize, ky: usize) -> Option<usize> {
        let y = (row * self.stride + ky).checked_sub(self.padding)?;
        (y < self.image[0]).then_some(y)
    }

    /// For a column `kx` of the kernel, the columns of the output whose pixel lies in
    /// the image, and the first of these pixels.
    fn image_cols(&self, kx: usize, cols: usize) -> (Range<usize>, usize) {
        let first = self.padding.saturating_sub(kx).div_ceil(self.stride);
        let end = match (self.image[1] + self.padding).checked_sub(kx + 1) {
            Some(last) => (last / self.stride + 1).min(cols),
            None => 0,
        };
        let first = first.min(end);
        (
            first..end,
            (first * self.stride + kx).saturating_sub(self.padding),
        )
    }

    /// The pixels under each tap of the windows of some rows of the output:
    /// `[inputs · kernel², rows · cols]`.
    pub(super) fn unfold(&self, image: &[f32], rows: Range<usize>, unfolded: &mut [f32]) {
        let cols = self.output()[1];
        let area = self.kernel * self.kernel;
        let width = self.image[1];
        let plane = self.image[0] * width;
        let taps = unfolded.par_chunks_exact_mut(rows.len() * cols).enumerate();
        taps.for_each(|(tap, unfolded)| {
            let (channel, tap) = (tap / area, tap % area);
            let (ky, kx) = (tap / self.kernel, tap % self.kernel);
            let image = &image[channel * plane..][..plane];
            let (inside, from) = self.image_cols(kx, cols);
            for (row, line) in rows.clone().zip(unfolded.chunks_exact_mut(cols)) {
                let Some(y) = self.image_row(row, ky).filter(|_| !inside.is_empty()) else {
                    line.fill(0.0);
                    continue;
                };
                let pixels = &image[y * width + from..(y + 1) * width];
                line[..inside.start].fill(0.0);
                line[inside.end..].fill(0.0);
                let line = &mut line[inside.clone()];
                if self.stride == 1 {
                    line.copy_from_slice(&pixels[..line.len()]);
                } else {
                    for (to, pixel) in line.iter_mut().zip(pixels.iter().step_by(self.stride)) {
                        *to = *pixel;
                    }
                }
            }
        });
    }

    /// Adds to each pixel what [`Conv::unfold`] took from it.
    pub(super) fn fold(&self, unfolded: &[f32], rows: Range<usize>, image: &mut [f32]) {
        let cols = self.output()[1];
        let area = self.kernel * self.kernel;
        let width = self.image[1];
        let strip = rows.len() * cols;
        let planes = image.par_chunks_exact_mut(self.image[0] * width);
        let channels = planes.zip(unfolded.par_chunks_exact(area * strip));
        channels.for_each(|(image, unfolded)| {
            for (tap, unfolded) in unfolded.chunks_exact(strip).enumerate() {
                let (ky, kx) = (tap / self.kernel, tap % self.kernel);
                let (inside, from) = self.image_cols(kx, cols);
                if inside.is_empty() {
                    continue;
                }
                for (row, line) in rows.clone().zip(unfolded.chunks_exact(cols)) {
                    let Some(y) = self.image_row(row, ky) else {
                        continue;
                    };
                    let pixels = &mut image[y * width + from..(y + 1) * width];
                    let line = &line[inside.clone()];
                    if self.stride == 1 {
                        for (pixel, from) in pixels.iter_mut().zip(line) {
                            *pixel += from;
                        }
                    } else {
                        let pixels = pixels.iter_mut().step_by(self.stride);
                        for (pixel, from) in pixels.zip(line) {
                            *pixel += from;
                        }
                    }
                }
            }
        });
    }
}
