//! The decoder's scores in training, as one step of autodiff.

use burn::tensor::Tensor;
use nephos_kernel::decoder::{Decoder, Saved, Weights};
use nephos_kernel::token_conv::TokenConv;

use super::record::{Input, Operation, input, record};

/// The weights of the decoder.
pub(crate) struct DecoderTensors {
    /// `[features, inputs, kernel, kernel]` and `[features]`.
    pub conv: (Tensor<4>, Tensor<1>),
    /// `[classes, features, 1, 1]` and `[classes]`.
    pub classify: (Tensor<4>, Tensor<1>),
}

/// Class scores of a grid of tokens: a convolution with ReLU, and a classifier.
///
/// # Shapes
/// - nodes: `[B, rows * cols, _]`, and so the embeddings, if any; the inputs of the
///   convolution together
/// - output: `[B, classes, rows, cols]`
///
/// # Panics
/// Tensors of other shapes or devices than [`is_recorded`](super::is_recorded) takes.
pub(crate) fn classify(
    nodes: Tensor<3>,
    embeddings: Option<Tensor<3>>,
    [rows, cols]: [usize; 2],
    tensors: DecoderTensors,
) -> Tensor<4> {
    let [outputs, inputs, kernel, _] = tensors.conv.0.dims();
    let [batch, _, width] = nodes.dims();
    let decoder = Decoder {
        conv: TokenConv {
            batch,
            grid: [rows, cols],
            inputs,
            outputs,
            kernel,
        },
        classes: tensors.classify.0.dims()[0],
    };
    let shape = [batch, decoder.classes, rows, cols];
    let (conv, classify) = (tensors.conv, tensors.classify);
    let weights: [Input; 4] = [
        input(conv.0),
        input(conv.1),
        input(classify.0),
        input(classify.1),
    ];
    let [w, b, v, c] = weights;
    let nodes = input(nodes);
    let operation = Classify { decoder, width };
    match embeddings {
        Some(embeddings) => {
            let inputs = [w, b, v, c, nodes, input(embeddings)];
            record(operation, inputs, shape)
        }
        None => record(operation, [w, b, v, c, nodes], shape),
    }
}

#[derive(Debug)]
struct Classify {
    decoder: Decoder,
    /// Features of a node.
    width: usize,
}

impl Classify {
    fn forward(&self, weights: Weights<'_>, parts: &[&[f32]]) -> (Vec<f32>, Saved) {
        self.decoder.forward(parts, &weights)
    }

    /// The gradients by the weights, by the nodes and by the embeddings.
    fn backward(&self, weights: Weights<'_>, saved: &Saved, gradient: &[f32]) -> [Vec<f32>; 6] {
        let by = self.decoder.backward(&weights, saved, gradient);
        let (all, width) = (self.decoder.conv.inputs, self.width);
        let (nodes, embeddings) = if width == all {
            (by.tokens, Vec::new())
        } else {
            let tokens = by.tokens.chunks_exact(all);
            let nodes = tokens.clone().flat_map(|token| &token[..width]).copied();
            let embeddings = tokens.flat_map(|token| &token[width..]).copied();
            (nodes.collect(), embeddings.collect())
        };
        let ([w, b], [v, c]) = (by.conv, by.classify);
        [w, b, v, c, nodes, embeddings]
    }
}

fn weights<'a>([conv, conv_bias, classify, classify_bias]: [&'a [f32]; 4]) -> Weights<'a> {
    Weights {
        conv,
        conv_bias,
        classify,
        classify_bias,
    }
}

impl Operation<5> for Classify {
    type Saved = Saved;

    fn forward(&self, [w, b, v, c, nodes]: [&[f32]; 5]) -> (Vec<f32>, Saved) {
        self.forward(weights([w, b, v, c]), &[nodes])
    }

    fn backward(
        &self,
        [w, b, v, c, _]: [&[f32]; 5],
        saved: &Saved,
        gradient: &[f32],
        _wanted: [bool; 5],
    ) -> [Vec<f32>; 5] {
        let [w, b, v, c, nodes, _] = self.backward(weights([w, b, v, c]), saved, gradient);
        [w, b, v, c, nodes]
    }
}

impl Operation<6> for Classify {
    type Saved = Saved;

    fn forward(&self, [w, b, v, c, nodes, embeddings]: [&[f32]; 6]) -> (Vec<f32>, Saved) {
        self.forward(weights([w, b, v, c]), &[nodes, embeddings])
    }

    fn backward(
        &self,
        [w, b, v, c, ..]: [&[f32]; 6],
        saved: &Saved,
        gradient: &[f32],
        _wanted: [bool; 6],
    ) -> [Vec<f32>; 6] {
        self.backward(weights([w, b, v, c]), saved, gradient)
    }
}
