//! A transformer encoder layer in training, as one step of autodiff.

use burn::tensor::Tensor;
use nephos_kernel::encoder::{Layer, Saved, Weights};
use nephos_kernel::linear::Linear;
use nephos_kernel::norm::LayerNorm;

use super::record::{Operation, input, record};

/// The tensors of a layer; each pair is weight and bias, or scale and shift.
pub(crate) struct LayerTensors {
    /// Packed projection, output projection, and both of the feed-forward part.
    pub linear: [(Tensor<2>, Tensor<1>); 4],
    /// Of attention and of the feed-forward part.
    pub norms: [(Tensor<1>, Tensor<1>); 2],
    /// Added to the variance by both norms.
    pub epsilon: f32,
}

/// A layer of [`nephos_kernel::encoder`].
///
/// # Shapes
/// - x, output: `[B, N, width]`
///
/// # Panics
/// Tensors of other shapes or devices than [`is_recorded`](super::is_recorded) takes.
pub(crate) fn layer(layer: Layer, x: Tensor<3>, tensors: LayerTensors) -> Tensor<3> {
    let shape = x.dims();
    let epsilon = tensors.epsilon;
    let [in_proj, out_proj, linear1, linear2] = tensors.linear.map(|(w, b)| [input(w), input(b)]);
    let [norm1, norm2] = tensors.norms.map(|(w, b)| [input(w), input(b)]);
    let [iw, ib] = in_proj;
    let [ow, ob] = out_proj;
    let [w1, b1] = linear1;
    let [w2, b2] = linear2;
    let [s1, t1] = norm1;
    let [s2, t2] = norm2;
    let inputs = [input(x), iw, ib, ow, ob, w1, b1, w2, b2, s1, t1, s2, t2];
    record(EncoderLayer { layer, epsilon }, inputs, shape)
}

#[derive(Debug)]
struct EncoderLayer {
    layer: Layer,
    epsilon: f32,
}

impl EncoderLayer {
    fn weights<'a>(&self, inputs: [&'a [f32]; 13]) -> Weights<'a> {
        let linear = |first: usize| Linear {
            weight: inputs[first],
            bias: inputs[first + 1],
        };
        let norm = |first: usize| LayerNorm {
            scale: inputs[first],
            shift: inputs[first + 1],
            epsilon: self.epsilon,
        };
        Weights {
            in_proj: linear(1),
            out_proj: linear(3),
            linear1: linear(5),
            linear2: linear(7),
            norm1: norm(9),
            norm2: norm(11),
        }
    }
}

impl Operation<13> for EncoderLayer {
    type Saved = Saved;

    fn forward(&self, inputs: [&[f32]; 13]) -> (Vec<f32>, Saved) {
        self.layer.forward(inputs[0], &self.weights(inputs))
    }

    fn backward(
        &self,
        inputs: [&[f32]; 13],
        saved: &Saved,
        gradient: &[f32],
        _wanted: [bool; 13],
    ) -> [Vec<f32>; 13] {
        let weights = self.weights(inputs);
        let by = self.layer.backward(inputs[0], &weights, saved, gradient);
        let [iw, ib] = by.in_proj;
        let [ow, ob] = by.out_proj;
        let [w1, b1] = by.linear1;
        let [w2, b2] = by.linear2;
        let [s1, t1] = by.norm1;
        let [s2, t2] = by.norm2;
        [by.x, iw, ib, ow, ob, w1, b1, w2, b2, s1, t1, s2, t2]
    }
}
