//! A residual block with a ReLU after it.

use rayon::prelude::*;

use super::{BLOCK, Convolve, relu};
use crate::activation::relu_backward;
use crate::conv::Shape;
use crate::dropout::Dropout;
use crate::format::Format;
use crate::gemm::Act;
use crate::versions::versions;

/// `relu(x + g · conv(relu(conv(relu(x)))))`, both convolutions of 3×3, but for its
/// weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residual {
    /// Input and output.
    pub shape: Shape,
    /// Channels.
    pub width: usize,
    /// Of the operands of products.
    pub format: Format,
}

/// The weights of a block.
#[derive(Debug, Clone, Copy)]
pub struct ResidualWeights<'a> {
    /// `[width, width, 3, 3]` and `[width]`.
    pub conv1: [&'a [f32]; 2],
    /// `[width, width, 3, 3]` and `[width]`.
    pub conv2: [&'a [f32]; 2],
    /// What the branch is multiplied with.
    pub gain: f32,
}

/// What the backward pass needs beside the input and the weights.
#[derive(Debug, Clone)]
pub struct ResidualSaved {
    /// After the first convolution and its ReLU.
    hidden: Vec<f32>,
    /// After the second convolution.
    branch: Vec<f32>,
}

impl Residual {
    fn conv(&self) -> Convolve {
        Convolve::same(self.shape, [self.width; 2], self.format)
    }

    /// # Shapes
    /// - x, output: `[batch, height, width, channels]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, x: &[f32], weights: &ResidualWeights<'_>) -> (Vec<f32>, ResidualSaved) {
        let conv = self.conv();
        let [[w1, b1], [w2, b2]] = [weights.conv1, weights.conv2];
        let hidden = conv.forward(&relu(x), w1, b1, Act::Relu);
        let branch = conv.forward(&hidden, w2, b2, Act::None);
        let mut out = vec![0.0; x.len()];
        (out.par_chunks_mut(BLOCK))
            .zip(x.par_chunks(BLOCK))
            .zip(branch.par_chunks(BLOCK))
            .for_each(|((out, x), branch)| sum_block(x, branch, weights.gain, out));
        (out, ResidualSaved { hidden, branch })
    }

    /// The gradients by the input, by weight and bias of both convolutions, and by the
    /// gain, from that by the output.
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(
        &self,
        x: &[f32],
        weights: &ResidualWeights<'_>,
        saved: &ResidualSaved,
        gradient: &[f32],
    ) -> (Vec<f32>, [[Vec<f32>; 2]; 2], f32) {
        let conv = self.conv();
        let gain = weights.gain;
        // By the sum before the last ReLU, and by the branch.
        let mut of_sum = gradient.to_vec();
        let mut of_branch = vec![0.0; x.len()];
        let of_gain: Vec<f64> = (of_sum.par_chunks_mut(BLOCK))
            .zip(of_branch.par_chunks_mut(BLOCK))
            .zip(x.par_chunks(BLOCK))
            .zip(saved.branch.par_chunks(BLOCK))
            .map(|(((of_sum, of_branch), x), branch)| {
                sum_backward_block(x, branch, gain, of_sum);
                scale_block(of_sum, gain, of_branch);
                dot(of_sum, branch)
            })
            .collect();
        let [mut of_hidden, w2, b2] =
            conv.backward(&saved.hidden, weights.conv2[0], &of_branch, true);
        relu_backward(&saved.hidden, &Dropout::off(), &mut of_hidden);
        let positive = relu(x);
        let [mut of_x, w1, b1] = conv.backward(&positive, weights.conv1[0], &of_hidden, true);
        relu_backward(&positive, &Dropout::off(), &mut of_x);
        (of_x.par_chunks_mut(BLOCK))
            .zip(of_sum.par_chunks(BLOCK))
            .for_each(|(of_x, of_sum)| add_block(of_sum, of_x));
        let of_gain = of_gain.iter().sum::<f64>() as f32;
        (of_x, [[w1, b1], [w2, b2]], of_gain)
    }
}

/// In parts of which each fits the precision of f32.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const PART: usize = 256;
    let parts = a.chunks(PART).zip(b.chunks(PART));
    parts
        .map(|(a, b)| {
            let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            terms.sum::<f64>()
        })
        .sum()
}

versions! {
    fn sum_block(x: &[f32], branch: &[f32], gain: f32, out: &mut [f32]) {
        for ((out, x), branch) in out.iter_mut().zip(x).zip(branch) {
            let sum = x + gain * branch;
            *out = if sum < 0.0 { 0.0 } else { sum };
        }
    }
}

versions! {
    fn sum_backward_block(x: &[f32], branch: &[f32], gain: f32, gradient: &mut [f32]) {
        for ((gradient, x), branch) in gradient.iter_mut().zip(x).zip(branch) {
            *gradient = if x + gain * branch > 0.0 { *gradient } else { 0.0 };
        }
    }
}

versions! {
    fn scale_block(x: &[f32], gain: f32, to: &mut [f32]) {
        for (to, x) in to.iter_mut().zip(x) {
            *to = gain * x;
        }
    }
}

versions! {
    fn add_block(x: &[f32], to: &mut [f32]) {
        for (to, x) in to.iter_mut().zip(x) {
            *to += x;
        }
    }
}
