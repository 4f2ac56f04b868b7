//! A convolution that makes one token of each patch of an image, forward and
//! backward, as a product of unfolded patches.

use rayon::prelude::*;

use crate::format::Format;
use crate::gemm::{Epilogue, Matrix, matmul_unpacked};
use crate::linear::column_sums;
use crate::sizes::{count, sum};

/// Patches of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patches {
    /// Images.
    pub batch: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of an image in pixels.
    pub image: [usize; 2],
    /// Side of a patch in pixels.
    pub size: usize,
    /// Pixels from one patch to the next.
    pub stride: usize,
    /// Pixels of zeros around an image.
    pub padding: usize,
    /// Of the operands of products.
    pub format: Format,
}

impl Patches {
    /// Rows and columns of patches.
    ///
    /// # Panics
    /// An image, with its padding, is smaller than a patch.
    pub fn grid(&self) -> [usize; 2] {
        self.image.map(|side| {
            let padded = sum([side, self.padding, self.padding]);
            let room = padded.checked_sub(self.size);
            room.expect("an image of at least one patch") / self.stride + 1
        })
    }

    fn tokens(&self) -> usize {
        let [rows, cols] = self.grid();
        count([self.batch, rows, cols])
    }

    /// Numbers of a patch.
    fn numbers(&self) -> usize {
        count([self.channels, self.size, self.size])
    }

    fn check(&self, images: &[f32]) {
        let [height, width] = self.image;
        let numbers = count([self.batch, self.channels, height, width]);
        assert_eq!(images.len(), numbers, "images of {self:?}");
    }

    /// Calls `each` with the places in the image of every line of the patches in one
    /// row of patches: patch, first number in the patch, and the line's pixels.
    fn lines(&self, row: usize, mut each: impl FnMut(usize, usize, std::ops::Range<usize>)) {
        let ([height, width], [rows, cols]) = (self.image, self.grid());
        let (image, row) = (row / rows, row % rows);
        for line in 0..self.channels * self.size {
            let (channel, dy) = (line / self.size, line % self.size);
            let y = (row * self.stride + dy).wrapping_sub(self.padding);
            if y >= height {
                continue;
            }
            let first = ((image * self.channels + channel) * height + y) * width;
            for col in 0..cols {
                let x = col * self.stride;
                let from = x.max(self.padding).min(width + self.padding);
                let to = (x + self.size).max(self.padding).min(width + self.padding);
                let place = line * self.size + from.saturating_sub(x);
                each(
                    col,
                    place,
                    first + from - self.padding..first + to - self.padding,
                );
            }
        }
    }

    /// All patches, `[batch * rows * cols, channels * size * size]`.
    fn unfold(&self, images: &[f32]) -> Vec<f32> {
        let numbers = self.numbers();
        let images = self.format.round(images);
        let mut patches = vec![0.0; count([self.tokens(), numbers])];
        (patches.par_chunks_mut(self.grid()[1] * numbers))
            .enumerate()
            .for_each(|(row, patches)| {
                self.lines(row, |col, place, pixels| {
                    let to = &mut patches[col * numbers + place..][..pixels.len()];
                    to.copy_from_slice(&images[pixels]);
                });
            });
        patches
    }

    /// One token a patch.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - weight: `[width, channels, size, size]`
    /// - bias: `[width]`
    /// - output: `[batch * rows * cols, width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, images: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        self.check(images);
        let patches = self.unfold(images);
        let weight = self.format.round(weight);
        let weight = Matrix::new(&weight, bias.len(), self.numbers());
        let epilogue = Epilogue {
            bias: Some(bias),
            ..Epilogue::default()
        };
        let mut tokens = vec![0.0; count([self.tokens(), bias.len()])];
        let patches = Matrix::new(&patches, self.tokens(), self.numbers());
        matmul_unpacked(
            patches,
            weight.transposed(),
            &mut tokens,
            bias.len(),
            &epilogue,
        );
        tokens
    }

    /// The gradients by the weight and by the bias, from that by the output.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - gradient: `[batch * rows * cols, width]`
    /// - results: `[width, channels, size, size]`, `[width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn weights_backward(&self, images: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
        self.check(images);
        let (tokens, numbers) = (self.tokens(), self.numbers());
        let width = gradient.len() / tokens;
        let patches = self.unfold(images);
        let mut of_weight = vec![0.0; count([width, numbers])];
        let operand = self.format.round(gradient);
        let gradients = Matrix::new(&operand, tokens, width).transposed();
        let patches = Matrix::new(&patches, tokens, numbers);
        matmul_unpacked(
            gradients,
            patches,
            &mut of_weight,
            numbers,
            &Epilogue::default(),
        );
        [of_weight, column_sums(gradient, width)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let patches = Patches {
                batch: 2,
                channels: 3,
                image,
                size,
                stride,
                padding,
                format: Format::F32,
            };
            let ([height, width], [rows, cols]) = (image, patches.grid());
            let images = numbers(2 * 3 * height * width, 3);
            let weight = numbers(5 * 3 * size * size, 7);
            let (bias, gradient) = (numbers(5, 5), numbers(2 * rows * cols * 5, 11));

            let tokens = patches.forward(&images, &weight, &bias);
            let [of_weight, of_bias] = patches.weights_backward(&images, &gradient);

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
            assert_eq!(tokens, expected, "{patches:?}");
            assert_eq!(of_weight, by_weight, "{patches:?}");
            let sum = |o: usize| gradient.iter().skip(o).step_by(5).sum::<f32>();
            assert_eq!(of_bias, (0..5).map(sum).collect::<Vec<_>>());
        }
    }
}
