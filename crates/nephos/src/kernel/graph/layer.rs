//! A whole layer on the CPU, as one step of autodiff.

use burn::tensor::Tensor;
use nephos_kernel::dropout::Dropout;
use nephos_kernel::graph::layer::{Gradients, Layer, Saved, Weights};
use nephos_kernel::graph::{Bias, Pairs, Shape};

use crate::kernel::record::{Numbers, Operation, input, record};

/// What a layer attends by, beside its weights.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    /// Of the LeakyReLU below 0, in [0, 1].
    pub slope: f64,
    /// On the attention.
    pub dropout: Dropout,
    /// Tokens of length one, `[B, N, any]`, and what their products are multiplied by
    /// before they are added to the scores, `[1]`.
    pub bias: Option<(Tensor<3>, Tensor<1>)>,
}

/// A layer of [`nephos_kernel::graph::layer`].
///
/// # Shapes
/// - nodes: `[B, N, inputs]`
/// - project: `[inputs, heads * head]`
/// - score: `[heads, 2 * head]`
/// - output: `[B, N, heads * head]`
///
/// # Panics
/// Tensors of other shapes, not of f32 or not on the CPU.
pub(crate) fn layer(
    nodes: Tensor<3>,
    project: Tensor<2>,
    score: Tensor<2>,
    attention: Attention,
) -> Tensor<3> {
    let [batch, count, inputs] = nodes.dims();
    let [heads, pair] = score.dims();
    let shape = Shape {
        batch,
        nodes: count,
        heads,
        head: pair / 2,
    };
    let output = [batch, count, shape.width()];
    let operation = Attend {
        layer: Layer {
            shape,
            inputs,
            slope: attention.slope,
        },
        dropout: attention.dropout,
    };
    let (nodes, project, score) = (input(nodes), input(project), input(score));
    match attention.bias {
        None => record(operation, [nodes, project, score], output),
        Some((tokens, scale)) => {
            let inputs = [nodes, project, score, input(tokens), input(scale)];
            record(operation, inputs, output)
        }
    }
}

#[derive(Debug)]
struct Attend {
    layer: Layer,
    dropout: Dropout,
}

impl Attend {
    fn pairs<'a>(&self, bias: Option<[&'a [f32]; 2]>) -> Pairs<'a> {
        let Shape { batch, nodes, .. } = self.layer.shape;
        Pairs {
            bias: bias.map(|[tokens, scale]| Bias {
                tokens,
                width: tokens.len() / (batch * nodes).max(1),
                scale: scale[0],
            }),
            dropout: self.dropout,
        }
    }
}

fn weights<'a>(project: &'a [f32], score: &'a [f32]) -> Weights<'a> {
    Weights { project, score }
}

impl Operation<3> for Attend {
    type Saved = Saved;

    fn apply(&self, [nodes, w, a]: [Numbers; 3]) -> Vec<f32> {
        let weights = weights(w.as_ref(), a.as_ref());
        self.layer.apply(nodes, &weights, &self.pairs(None))
    }

    fn forward(&self, [nodes, w, a]: [&[f32]; 3]) -> (Vec<f32>, Saved) {
        self.layer.forward(nodes, &weights(w, a), &self.pairs(None))
    }

    fn backward(
        &self,
        [nodes, w, a]: [&[f32]; 3],
        saved: &Saved,
        gradient: &[f32],
        wanted: [bool; 3],
    ) -> [Vec<f32>; 3] {
        let (weights, pairs) = (weights(w, a), self.pairs(None));
        let by = (self.layer).backward(nodes, &weights, &pairs, saved, gradient, wanted[0]);
        [by.nodes, by.project, by.score]
    }
}

impl Operation<5> for Attend {
    type Saved = Saved;

    fn apply(&self, [nodes, w, a, tokens, scale]: [Numbers; 5]) -> Vec<f32> {
        let weights = weights(w.as_ref(), a.as_ref());
        let pairs = self.pairs(Some([tokens.as_ref(), scale.as_ref()]));
        self.layer.apply(nodes, &weights, &pairs)
    }

    fn forward(&self, [nodes, w, a, tokens, scale]: [&[f32]; 5]) -> (Vec<f32>, Saved) {
        let pairs = self.pairs(Some([tokens, scale]));
        self.layer.forward(nodes, &weights(w, a), &pairs)
    }

    fn backward(
        &self,
        [nodes, w, a, tokens, scale]: [&[f32]; 5],
        saved: &Saved,
        gradient: &[f32],
        wanted: [bool; 5],
    ) -> [Vec<f32>; 5] {
        let (weights, pairs) = (weights(w, a), self.pairs(Some([tokens, scale])));
        let Gradients {
            nodes,
            project,
            score,
            tokens,
            scale,
        } = (self.layer).backward(nodes, &weights, &pairs, saved, gradient, wanted[0]);
        [nodes, project, score, tokens, vec![scale]]
    }
}
