//! The convolution of all channels with each other, as products of matrices: filters
//! times the unfolded image, a strip of rows at a time. With a kernel of one pixel
//! the image is its own unfolding.

use std::ops::Range;

use super::plane_sums;
use crate::gemm::{Epilogue, Matrix, matmul_unpacked};
use crate::sizes::{count, sum};

/// Numbers of a strip's unfolding.
const STRIP: usize = 1 << 20;

/// A convolution with a square kernel and zeros around the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Height and width of the input.
    pub image: [usize; 2],
    /// Side of the kernel.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels of zeros around the image.
    pub padding: usize,
}

impl Conv {
    /// Height and width of the output.
    ///
    /// # Panics
    /// The padded image is smaller than the kernel, or the stride is zero.
    pub fn output(&self) -> [usize; 2] {
        self.image.map(|side| {
            let padded = sum([side, self.padding, self.padding]);
            let room = padded.checked_sub(self.kernel);
            room.expect("an image of at least one window") / self.stride + 1
        })
    }

    /// Numbers of an input image.
    fn image_len(&self) -> usize {
        count([self.inputs, self.image[0], self.image[1]])
    }

    /// Pixels of an output plane.
    fn pixels(&self) -> usize {
        count(self.output())
    }

    /// Numbers of a filter.
    fn taps(&self) -> usize {
        count([self.inputs, self.kernel, self.kernel])
    }

    /// Whether the image is its own unfolding.
    fn is_pointwise(&self) -> bool {
        [self.kernel, self.stride, self.padding] == [1, 1, 0]
    }

    fn check(&self, images: &[f32], weight: &[f32]) {
        let numbers = count([self.batch, self.image_len()]);
        assert_eq!(images.len(), numbers, "images");
        assert_eq!(weight.len(), count([self.outputs, self.taps()]), "filters");
    }

    /// Rows of the output, cut into strips.
    fn strips(&self) -> impl Iterator<Item = Range<usize>> {
        let [rows, cols] = self.output();
        let strip = if self.is_pointwise() {
            rows
        } else {
            (STRIP / self.taps().saturating_mul(cols).max(1)).clamp(1, rows)
        };
        (0..rows)
            .step_by(strip)
            .map(move |first| first..rows.min(first + strip))
    }

    /// Calls `each` with every image's strips: the image's number, the pixels of the
    /// output, and their windows, `[taps, pixels]`.
    fn windows(&self, images: &[f32], mut each: impl FnMut(usize, Range<usize>, Matrix<'_>)) {
        let cols = self.output()[1];
        let mut unfolded = Vec::new();
        for (index, image) in images.chunks_exact(self.image_len()).enumerate() {
            for rows in self.strips() {
                let pixels = rows.start * cols..rows.end * cols;
                if self.is_pointwise() {
                    let windows = Matrix::new(image, self.taps(), pixels.len());
                    each(index, pixels, windows);
                    continue;
                }
                unfolded.resize(count([self.taps(), pixels.len()]), 0.0);
                self.unfold(image, rows, &mut unfolded);
                let windows = Matrix::new(&unfolded, self.taps(), pixels.len());
                each(index, pixels, windows);
            }
        }
    }

    /// The convolution.
    ///
    /// # Shapes
    /// - images: `[batch, inputs, height, width]`
    /// - weight: `[outputs, inputs, kernel, kernel]`
    /// - bias: `[outputs]`
    /// - result: `[batch, outputs, output height, output width]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, images: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        self.check(images, weight);
        let all = self.pixels();
        let mut out = vec![0.0; count([self.batch, self.outputs, all])];
        if let Some(bias) = bias {
            assert_eq!(bias.len(), self.outputs, "one bias an output");
            for (plane, bias) in out.chunks_exact_mut(all).zip(bias.iter().cycle()) {
                plane.fill(*bias);
            }
        }
        let filters = Matrix::new(weight, self.outputs, self.taps());
        let epilogue = Epilogue {
            accumulate: bias.is_some(),
            ..Epilogue::default()
        };
        self.windows(images, |index, pixels, windows| {
            let out = &mut out[index * self.outputs * all + pixels.start..];
            matmul_unpacked(filters, windows, out, all, &epilogue);
        });
        out
    }

    /// The gradient by the images.
    ///
    /// # Shapes
    /// - weight: as in [`Conv::forward`]
    /// - gradient: that by the result
    /// - result: that of the images
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn images_backward(&self, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
        let all = self.pixels();
        let numbers = count([self.batch, self.outputs, all]);
        assert_eq!(gradient.len(), numbers, "gradient");
        let filters = Matrix::new(weight, self.outputs, self.taps()).transposed();
        let cols = self.output()[1];
        let mut images = vec![0.0; count([self.batch, self.image_len()])];
        let mut unfolded = Vec::new();
        let each = images
            .chunks_exact_mut(self.image_len())
            .zip(gradient.chunks_exact(self.outputs * all));
        for (image, gradient) in each {
            let gradient = Matrix::new(gradient, self.outputs, all);
            if self.is_pointwise() {
                matmul_unpacked(filters, gradient, image, all, &Epilogue::default());
                continue;
            }
            for rows in self.strips() {
                let pixels = rows.start * cols..rows.end * cols;
                unfolded.resize(count([self.taps(), pixels.len()]), 0.0);
                let (len, gradient) = (pixels.len(), gradient.col_range(pixels));
                matmul_unpacked(filters, gradient, &mut unfolded, len, &Epilogue::default());
                self.fold(&unfolded, rows, image);
            }
        }
        images
    }

    /// The gradients by the filters and by the bias.
    ///
    /// # Shapes
    /// - images: as in [`Conv::forward`]
    /// - gradient: that by the result
    /// - results: those of weight and bias
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn weights_backward(&self, images: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
        let all = self.pixels();
        let numbers = count([self.batch, self.outputs, all]);
        assert_eq!(gradient.len(), numbers, "gradient");
        let mut weight = vec![0.0; count([self.outputs, self.taps()])];
        let epilogue = Epilogue {
            accumulate: true,
            ..Epilogue::default()
        };
        self.windows(images, |index, pixels, windows| {
            let gradient = &gradient[index * self.outputs * all..][..self.outputs * all];
            let gradient = Matrix::new(gradient, self.outputs, all).col_range(pixels);
            let windows = windows.transposed();
            matmul_unpacked(gradient, windows, &mut weight, self.taps(), &epilogue);
        });
        [weight, plane_sums(gradient, self.outputs, all)]
    }
}
