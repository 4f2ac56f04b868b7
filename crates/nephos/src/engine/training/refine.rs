//! Graph attention over all tokens of an image.

use nephos_kernel::dropout::{Dropout, mix};
use nephos_kernel::graph::layer::{Layer, Saved, Weights};
use nephos_kernel::graph::{self, Bias, Pairs};
use rayon::prelude::*;

use super::backbone::add;
use super::scope::{Gradients, Scope};
use crate::config::{Affinity, ModelConfig};
use crate::engine::graph::{length, units};
use crate::engine::packed::Shape;

/// A stack of graph attention layers (Veličković et al. 2018,
/// doi:10.48550/arXiv.1710.10903) in which every node is a neighbour of every node.
pub(super) struct Graph<'a> {
    pub config: &'a ModelConfig,
    pub scope: Scope<'a>,
    /// As of [`Encoder`](super::transformer::Encoder).
    pub seed: Option<u64>,
    pub checkpointing: bool,
}

/// What the backward pass of a graph needs beside its weights.
pub(super) struct GraphSaved {
    /// The input of each layer.
    inputs: Vec<Vec<f32>>,
    layers: Vec<Option<Saved>>,
    /// Tokens of length one, where their affinity counts.
    unit: Vec<f32>,
}

impl Graph<'_> {
    fn layer(&self, index: usize, shape: Shape) -> Layer {
        let graph = &self.config.graph;
        Layer {
            shape: graph::Shape {
                batch: shape.batch,
                nodes: shape.tokens(),
                heads: graph.heads,
                head: graph.width / graph.heads,
            },
            inputs: match index {
                0 => self.config.patch.width,
                _ => graph.width,
            },
            slope: graph.slope,
            format: self.scope.format(),
        }
    }

    fn pairs<'b>(&self, index: usize, scope: &Scope<'_>, unit: &'b [f32]) -> Pairs<'b> {
        let graph = &self.config.graph;
        let dropout = match self.seed {
            Some(seed) if graph.dropout > 0.0 => {
                Dropout::new(mix(seed ^ !(index as u64)), graph.dropout as f32)
            }
            _ => Dropout::off(),
        };
        let bias = (graph.affinity == Affinity::Bias).then(|| Bias {
            tokens: unit,
            width: self.config.patch.width,
            scale: scope.scalar("affinity_scale"),
        });
        Pairs { bias, dropout }
    }

    /// # Shapes
    /// - tokens: `[batch · rows · cols, patch width]`
    /// - output: `[batch · rows · cols, graph width]`
    pub fn forward(&self, tokens: Vec<f32>, shape: Shape) -> (Vec<f32>, GraphSaved) {
        let mut saved = GraphSaved {
            inputs: Vec::new(),
            layers: Vec::new(),
            unit: Vec::new(),
        };
        if self.config.compares_patches() {
            saved.unit = vec![0.0; tokens.len()];
            units(&tokens, self.config.patch.width, &mut saved.unit);
        }
        let mut nodes = tokens;
        for index in 0..self.config.graph.layers {
            let scope = self.scope.child("layers").child(index);
            let pairs = self.pairs(index, &scope, &saved.unit);
            let (mut out, layer) =
                self.layer(index, shape)
                    .forward(&nodes, &weights(&scope), &pairs);
            if self.config.graph.residual {
                out.iter_mut()
                    .zip(&nodes)
                    .for_each(|(out, node)| *out += node);
            }
            saved.layers.push((!self.checkpointing).then_some(layer));
            saved.inputs.push(std::mem::replace(&mut nodes, out));
        }
        (nodes, saved)
    }

    /// The gradient by the tokens, from that by the nodes.
    pub fn backward(
        &self,
        saved: GraphSaved,
        shape: Shape,
        gradient: Vec<f32>,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        let GraphSaved {
            inputs,
            layers,
            unit,
        } = saved;
        let mut gradient = gradient;
        let mut of_unit = Vec::new();
        for (index, (nodes, saved)) in inputs.iter().zip(layers).enumerate().rev() {
            let scope = self.scope.child("layers").child(index);
            let (layer, weights) = (self.layer(index, shape), weights(&scope));
            let pairs = self.pairs(index, &scope, &unit);
            let saved = saved.unwrap_or_else(|| layer.forward(nodes, &weights, &pairs).1);
            let by = layer.backward(nodes, &weights, &pairs, &saved, &gradient, true);
            scope.add(gradients, "project.weight", by.project);
            scope.add(gradients, "score", by.score);
            if pairs.bias.is_some() {
                scope.add(gradients, "affinity_scale", vec![by.scale]);
                add(&mut of_unit, by.tokens);
            }
            match self.config.graph.residual {
                true => add(&mut gradient, by.nodes),
                false => gradient = by.nodes,
            }
        }
        if !of_unit.is_empty() {
            let width = self.config.patch.width;
            units_backward(&inputs[0], &unit, &of_unit, width, &mut gradient);
        }
        gradient
    }
}

fn weights<'a>(scope: &Scope<'a>) -> Weights<'a> {
    Weights {
        project: scope.get("project.weight"),
        score: scope.get("score"),
    }
}

/// Adds the gradient by the tokens, `(g − u (u · g)) / length`, from that by their units.
fn units_backward(tokens: &[f32], units: &[f32], gradient: &[f32], width: usize, to: &mut [f32]) {
    (to.par_chunks_exact_mut(width))
        .zip(tokens.par_chunks_exact(width))
        .zip(units.par_chunks_exact(width))
        .zip(gradient.par_chunks_exact(width))
        .for_each(|(((to, token), unit), gradient)| {
            let length = length(token);
            let along: f32 = unit.iter().zip(gradient).map(|(u, g)| u * g).sum();
            for ((to, u), g) in to.iter_mut().zip(unit).zip(gradient) {
                *to += (g - u * along) / length;
            }
        });
}
