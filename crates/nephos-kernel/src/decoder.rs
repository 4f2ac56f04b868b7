//! Class scores of a grid of tokens: a convolution with ReLU and a linear
//! classifier, forward and backward.

use crate::activation::relu_backward;
use crate::dropout::Dropout;
use crate::gemm::{Act, Epilogue, Matrix, matmul_unpacked};
use crate::linear::column_sums;
use crate::sizes::count;
use crate::token_conv::{Padded, TokenConv};

/// A decoder but for its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    /// The convolution.
    pub conv: TokenConv,
    /// Number of classes.
    pub classes: usize,
}

/// The weights of a decoder.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// `[outputs, inputs, kernel, kernel]` of the convolution.
    pub conv: &'a [f32],
    /// `[outputs]`.
    pub conv_bias: &'a [f32],
    /// `[classes, outputs]`.
    pub classify: &'a [f32],
    /// `[classes]`.
    pub classify_bias: &'a [f32],
}

/// What the backward pass of a decoder needs beside its weights.
#[derive(Debug, Clone)]
pub struct Saved {
    tokens: Padded,
    /// `[batch * rows * cols, outputs]`: after the ReLU.
    features: Vec<f32>,
}

/// The gradients of a decoder.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// By the tokens, all parts side by side: `[batch * rows * cols, inputs]`.
    pub tokens: Vec<f32>,
    /// By the convolution's weight and bias.
    pub conv: [Vec<f32>; 2],
    /// By the classifier's weight and bias.
    pub classify: [Vec<f32>; 2],
}

impl Decoder {
    fn rows(&self) -> usize {
        count([self.conv.batch, self.places()])
    }

    /// Tokens of a grid.
    fn places(&self) -> usize {
        count(self.conv.grid)
    }

    /// The scores of each token, and what [`Decoder::backward`] needs.
    ///
    /// # Shapes
    /// - parts: `[batch * rows * cols, _]` each, the inputs of the convolution together
    /// - output: `[batch, classes, rows, cols]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, parts: &[&[f32]], weights: &Weights<'_>) -> (Vec<f32>, Saved) {
        let (conv, places) = (&self.conv, self.places());
        let tokens = conv.pad(parts);
        let features = conv.forward(&tokens, weights.conv, weights.conv_bias, Act::Relu);
        let classify = Matrix::new(weights.classify, self.classes, conv.outputs);
        let epilogue = Epilogue {
            bias: Some(weights.classify_bias),
            ..Epilogue::default()
        };
        let mut by_token = vec![0.0; count([self.rows(), self.classes])];
        let left = Matrix::new(&features, self.rows(), conv.outputs);
        let out = &mut by_token;
        matmul_unpacked(left, classify.transposed(), out, self.classes, &epilogue);
        let scores = exchange(&by_token, places, self.classes);
        (scores, Saved { tokens, features })
    }

    /// All gradients, from the gradient by the scores.
    ///
    /// # Shapes
    /// - gradient: `[batch, classes, rows, cols]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(&self, weights: &Weights<'_>, saved: &Saved, gradient: &[f32]) -> Gradients {
        let (conv, rows) = (&self.conv, self.rows());
        let numbers = count([rows, self.classes]);
        assert_eq!(gradient.len(), numbers, "gradients of {self:?}");
        let gradient = exchange(gradient, self.classes, self.places());
        let by_token = Matrix::new(&gradient, rows, self.classes);
        let plain = Epilogue::default();

        let mut of_classify = vec![0.0; weights.classify.len()];
        let features = Matrix::new(&saved.features, rows, conv.outputs);
        let out = &mut of_classify;
        matmul_unpacked(by_token.transposed(), features, out, conv.outputs, &plain);

        let classify = Matrix::new(weights.classify, self.classes, conv.outputs);
        let mut of_features = vec![0.0; saved.features.len()];
        matmul_unpacked(by_token, classify, &mut of_features, conv.outputs, &plain);
        relu_backward(&saved.features, &Dropout::off(), &mut of_features);

        let [tokens, weight, bias] = conv.backward(&saved.tokens, weights.conv, &of_features);
        Gradients {
            tokens,
            conv: [weight, bias],
            classify: [of_classify, column_sums(&gradient, self.classes)],
        }
    }
}

/// Every `rows × cols` matrix of `from` with rows and columns exchanged.
fn exchange(from: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut to = vec![0.0; from.len()];
    let matrices = to
        .chunks_exact_mut(rows * cols)
        .zip(from.chunks_exact(rows * cols));
    for (to, from) in matrices {
        for (i, row) in from.chunks_exact(cols).enumerate() {
            for (j, x) in row.iter().enumerate() {
                to[j * rows + i] = *x;
            }
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * step) % 19) as f32 * 0.25 - 2.0)
            .collect()
    }

    /// The scores' sum, each times `probe`.
    fn probed(decoder: &Decoder, parts: &[Vec<f32>; 2], all: &[Vec<f32>; 4], probe: &[f32]) -> f64 {
        let weights = Weights {
            conv: &all[0],
            conv_bias: &all[1],
            classify: &all[2],
            classify_bias: &all[3],
        };
        let (scores, _) = decoder.forward(&[&parts[0], &parts[1]], &weights);
        scores
            .iter()
            .zip(probe)
            .map(|(s, p)| f64::from(*s) * f64::from(*p))
            .sum()
    }

    /// The function is piecewise bilinear and all sums are exact in f32, so that
    /// differences are derivatives where no ReLU turns: biases keep all off zero.
    #[test]
    fn gradients_are_differences_of_the_scores() {
        let conv = TokenConv {
            batch: 2,
            grid: [3, 4],
            inputs: 3,
            outputs: 5,
            kernel: 3,
        };
        let decoder = Decoder { conv, classes: 3 };
        let mut parts = [numbers(24, 3), numbers(48, 5)];
        let mut all = [
            numbers(135, 7),
            numbers(5, 1),
            numbers(15, 11),
            numbers(3, 1),
        ];
        all[1].iter_mut().for_each(|bias| *bias += 0.03125);
        let probe = numbers(72, 13);
        let weights = Weights {
            conv: &all[0],
            conv_bias: &all[1],
            classify: &all[2],
            classify_bias: &all[3],
        };
        let (scores, saved) = decoder.forward(&[&parts[0], &parts[1]], &weights);
        assert_eq!(scores.len(), 72);
        let gradients = decoder.backward(&weights, &saved, &probe);

        const STEP: f32 = 1.0 / 1024.0;
        for (index, gradient) in [
            &gradients.conv[0],
            &gradients.conv[1],
            &gradients.classify[0],
            &gradients.classify[1],
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(gradient.len(), all[index].len());
            for (at, gradient) in gradient.iter().enumerate() {
                let mut moved = |by: f32| {
                    all[index][at] += by;
                    let value = probed(&decoder, &parts, &all, &probe);
                    all[index][at] -= by;
                    value
                };
                let slope = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
                assert!(
                    (slope - f64::from(*gradient)).abs() < 0.05,
                    "{index} {at}: {slope}"
                );
            }
        }
        for part in 0..2 {
            let width = part + 1;
            for at in 0..parts[part].len() {
                let mut moved = |by: f32| {
                    parts[part][at] += by;
                    let value = probed(&decoder, &parts, &all, &probe);
                    parts[part][at] -= by;
                    value
                };
                let slope = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
                let ours = gradients.tokens[at / width * 3 + part + at % width];
                assert!(
                    (slope - f64::from(ours)).abs() < 0.05,
                    "{part} {at}: {slope} {ours}"
                );
            }
        }
    }
}
