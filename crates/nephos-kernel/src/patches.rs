//! A convolution that makes one token of each patch of an image, forward and
//! backward, as a product of unfolded patches.

use rayon::prelude::*;

use crate::gemm::Act;
use crate::linear::Linear;
use crate::scratch::{Buffer, Scratch};
use crate::sizes::{count, sum};

/// A patch embedding.
#[derive(Debug, Clone)]
pub struct Patches<'a> {
    /// `channels * size * size` → features of a token; its weight is `[features, channels, size,
    /// size]`, that of a convolution.
    pub project: Linear<'a>,
    /// Channels of an image.
    pub channels: usize,
    /// Side of a patch in pixels.
    pub size: usize,
    /// Pixels from one patch to the next.
    pub stride: usize,
    /// Pixels of zeros around an image.
    pub padding: usize,
}

impl Patches<'_> {
    /// Rows and columns of patches of an image.
    fn grid(&self, image: [usize; 2]) -> [usize; 2] {
        image.map(|side| {
            let padded = sum([side, self.padding, self.padding]);
            let rest = padded.checked_sub(self.size);
            rest.expect("an image of at least one patch") / self.stride + 1
        })
    }

    /// Numbers of a patch.
    fn numbers(&self) -> usize {
        count([self.channels, self.size, self.size])
    }

    /// Numbers of an image.
    fn check(&self, images: &[f32], batch: usize, [height, width]: [usize; 2]) -> usize {
        let numbers = count([batch, self.channels, height, width]);
        assert_eq!(
            images.len(),
            numbers,
            "{batch} images of {height} x {width} pixels"
        );
        count([self.channels, height, width])
    }

    /// One token per patch.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]` for `size = [height, width]`
    /// - output: `[batch * rows * cols, features]`
    ///
    /// # Panics
    /// Another number of values, or images smaller than a patch.
    pub fn forward(
        &self,
        images: &[f32],
        batch: usize,
        size: [usize; 2],
        scratch: &mut Scratch,
    ) -> Buffer {
        let ([rows, cols], width) = (self.grid(size), self.project.outputs());
        let image = self.check(images, batch, size);
        let mut tokens = scratch.take(count([batch, rows, cols, width]));
        let mut patches = scratch.take(count([rows, cols, self.numbers()]));
        let of_image = tokens.chunks_exact_mut(count([rows, cols, width]));
        for (image, tokens) in images.chunks_exact(image).zip(of_image) {
            self.unfold(image, size, &mut patches);
            self.project.forward(&patches, None, Act::None, tokens);
        }
        scratch.give(patches);
        tokens
    }

    /// The gradients by the weight and by the bias, from that by the output.
    ///
    /// # Shapes
    /// - images: as [`Patches::forward`]
    /// - gradient: `[batch * rows * cols, features]`
    /// - results: `[features, channels, size, size]`, `[features]`
    ///
    /// # Panics
    /// Slices of other sizes, or a layer that is packed for inference.
    pub fn weights_backward(
        &self,
        images: &[f32],
        batch: usize,
        size: [usize; 2],
        gradient: &[f32],
    ) -> [Vec<f32>; 2] {
        let [rows, cols] = self.grid(size);
        let image = self.check(images, batch, size);
        let of_image = count([rows, cols, self.numbers()]);
        let mut patches = vec![0.0; count([batch, of_image])];
        let parts = patches.chunks_exact_mut(of_image);
        for (image, patches) in images.chunks_exact(image).zip(parts) {
            self.unfold(image, size, patches);
        }
        self.project.weights_backward(&patches, gradient)
    }

    /// The patches of an image, `[rows, cols, channels, size, size]`; 0 outside the image.
    fn unfold(&self, image: &[f32], size: [usize; 2], patches: &mut [f32]) {
        let [_, cols] = self.grid(size);
        (patches
            .par_chunks_exact_mut(cols * self.numbers())
            .enumerate())
        .for_each(|(row, patches)| self.unfold_row(image, size, row, patches));
    }

    fn unfold_row(
        &self,
        image: &[f32],
        [height, width]: [usize; 2],
        row: usize,
        patches: &mut [f32],
    ) {
        let Self {
            size,
            stride,
            padding,
            ..
        } = *self;
        for line in 0..self.channels * size {
            let channel = line / size;
            let y = (row * stride + line % size)
                .checked_sub(padding)
                .filter(|y| *y < height);
            let pixels = y.map(|y| &image[(channel * height + y) * width..][..width]);
            for (col, patch) in patches.chunks_exact_mut(self.numbers()).enumerate() {
                let to = &mut patch[line * size..][..size];
                // The pixels from `first` to `end` of the padded line that exist.
                let left = col * stride;
                let first = padding.saturating_sub(left).min(size);
                let end = (padding + width).saturating_sub(left).clamp(first, size);
                match pixels {
                    Some(pixels) if first < end => {
                        let from = left + first - padding;
                        to[..first].fill(0.0);
                        to[first..end].copy_from_slice(&pixels[from..from + end - first]);
                        to[end..].fill(0.0);
                    }
                    _ => to.fill(0.0),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * step) % 19) as f32 * 0.25 - 2.25)
            .collect()
    }

    /// All sums are of numbers that f32 holds exactly.
    #[test]
    fn tokens_and_gradients_are_the_sums_they_are_defined_as() {
        for (image, size, stride, padding) in [
            ([9, 7], 3, 3, 1),
            ([6, 11], 4, 2, 0),
            ([5, 5], 2, 3, 2),
            ([1, 1], 1, 1, 0),
            ([4, 6], 7, 5, 3),
        ] {
            let [height, width] = image;
            let images = numbers(2 * 3 * height * width, 3);
            let weight = numbers(5 * 3 * size * size, 7);
            let bias = numbers(5, 5);
            let sizes = [3 * size * size, 5];
            let patches = Patches {
                project: Linear::transposed(&weight, sizes, Some(&bias), Format::F32),
                channels: 3,
                size,
                stride,
                padding,
            };
            let [rows, cols] = patches.grid(image);
            let gradient = numbers(2 * rows * cols * 5, 11);

            let mut scratch = Scratch::default();
            // What a buffer held before is overwritten.
            let stale = vec![f32::NAN; rows * cols * sizes[0]];
            scratch.give(stale.into());
            let tokens = patches.forward(&images, 2, image, &mut scratch);
            let [of_weight, of_bias] = patches.weights_backward(&images, 2, image, &gradient);

            let mut expected = bias.repeat(2 * rows * cols);
            let mut by_weight = vec![0.0; weight.len()];
            for token in 0..2 * rows * cols {
                let (b, r, c) = (token / (rows * cols), token / cols % rows, token % cols);
                for w in 0..weight.len() {
                    let (o, channel) = (w / (3 * size * size), w / (size * size) % 3);
                    let y = (r * stride + w / size % size).checked_sub(padding);
                    let x = (c * stride + w % size).checked_sub(padding);
                    let (Some(y), Some(x)) = (y.filter(|y| *y < height), x.filter(|x| *x < width))
                    else {
                        continue;
                    };
                    let pixel = ((b * 3 + channel) * height + y) * width + x;
                    expected[token * 5 + o] += images[pixel] * weight[w];
                    by_weight[w] += images[pixel] * gradient[token * 5 + o];
                }
            }
            assert_eq!(tokens[..], expected, "{patches:?}");
            assert_eq!(of_weight, by_weight, "{patches:?}");
            let sum = |o: usize| gradient.iter().skip(o).step_by(5).sum::<f32>();
            assert_eq!(of_bias, (0..5).map(sum).collect::<Vec<_>>());
        }
    }
}
