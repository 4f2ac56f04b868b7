//! A residual block.

use std::borrow::Cow;

use super::Conv;
use crate::activation::{drop_and_add, relu_backward};
use crate::conv::{Shape, Window};
use crate::dropout::Dropout;
use crate::format::Format;
use crate::gemm::Act;
use crate::scratch::{Buffer, Scratch};

/// `x + g · conv2(relu(conv1(relu(x))))`, both convolutions of 3×3; the gain is part of the second
/// convolution's weights.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    conv1: Conv<'a>,
    conv2: Conv<'a>,
    /// Weight and bias of the second convolution without the gain, which the backward pass needs.
    plain: [Cow<'a, [f32]>; 2],
    gain: f32,
}

/// The gradients of a block.
#[derive(Debug, Clone)]
pub struct BlockGradients {
    /// By the input.
    pub x: Vec<f32>,
    /// By weight and bias of the convolutions.
    pub convs: [[Vec<f32>; 2]; 2],
    /// By the gain.
    pub gain: f32,
}

impl<'a> Block<'a> {
    /// Of two convolutions from `width` channels to as many and a gain, for training as
    /// [`Conv::new`].
    ///
    /// # Shapes
    /// - convs: `[width, width, 3, 3]` and `[width]` each
    ///
    /// # Panics
    /// A weight has another size.
    pub fn new(
        [conv1, conv2]: [[Cow<'a, [f32]>; 2]; 2],
        gain: f32,
        width: usize,
        trained: Option<Format>,
    ) -> Self {
        let window = Window {
            kernel: [3, 3],
            stride: 1,
            padding: [1, 1],
        };
        let conv = |[weight, bias]: [Cow<'a, [f32]>; 2]| {
            Conv::new(weight, bias, [width; 2], window, trained)
        };
        let scaled = |values: &Cow<'a, [f32]>| values.iter().map(|x| x * gain).collect();
        let [weight, bias] = conv2.each_ref().map(scaled).map(Cow::Owned);
        Self {
            conv1: conv(conv1).with_input_relu(),
            conv2: conv([weight, bias]),
            plain: match trained {
                Some(_) => conv2,
                None => Default::default(),
            },
            gain,
        }
    }

    /// The output; `saved` takes what the first convolution and its ReLU put out.
    ///
    /// # Shapes
    /// - x, output, saved: `[batch, height, width, channels]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(
        &self,
        x: &[f32],
        shape: Shape,
        saved: Option<&mut Buffer>,
        scratch: &mut Scratch,
    ) -> Buffer {
        let [mut hidden, mut out] = [0, 1].map(|_| scratch.take(x.len()));
        self.conv1.forward(x, shape, Act::Relu, None, &mut hidden);
        (self.conv2).forward(&hidden, shape, Act::None, Some(x), &mut out);
        scratch.save_or_give(saved, hidden);
        out
    }

    /// The gradients, from that by the output; what a forward pass saved is computed again where
    /// `saved` is empty.
    ///
    /// # Panics
    /// Slices of other sizes, or a block for inference alone.
    pub fn backward(
        &self,
        x: &[f32],
        shape: Shape,
        saved: &[f32],
        gradient: &[f32],
    ) -> BlockGradients {
        let mut again = Vec::new();
        if saved.is_empty() {
            again.resize(x.len(), 0.0);
            self.conv1.forward(x, shape, Act::Relu, None, &mut again);
        }
        let hidden = if saved.is_empty() { &again } else { saved };
        let [mut of_hidden, w2, b2] = self.conv2.backward(hidden, shape, gradient, true);
        relu_backward(hidden, &Dropout::off(), &mut of_hidden);
        let [mut of_x, w1, b1] = self.conv1.backward(x, shape, &of_hidden, true);
        drop_and_add(&Dropout::off(), gradient, &mut of_x);
        // Of a weight times the gain, by either.
        let mut conv2 = [w2, b2];
        let mut of_gain = 0.0;
        for (by, plain) in conv2.iter_mut().zip(&self.plain) {
            of_gain += dot(by, plain);
            by.iter_mut().for_each(|x| *x *= self.gain);
        }
        BlockGradients {
            x: of_x,
            convs: [[w1, b1], conv2],
            gain: of_gain as f32,
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let terms = a.iter().zip(b);
    terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
