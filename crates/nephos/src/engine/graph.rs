//! Graph attention over all tokens of an image.

use nephos_kernel::dropout::{Dropout, mix};
use nephos_kernel::graph::layer::{self, Graphs, Layer};
use nephos_kernel::graph::scores::Scores;
use nephos_kernel::graph::{Bias, Pairs};
use nephos_kernel::scratch::{Buffer, Scratch};
use rayon::prelude::*;

use super::gradients::{Gradients, add};
use super::layers::Pass;
use super::shape::Shape;
use super::weights::Source;
use crate::config::{Affinity, ModelConfig};

/// A stack of graph attention layers (Veličković et al. 2018,
/// doi:10.48550/arXiv.1710.10903) in which every node is a neighbour of every node.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub layers: Vec<Layer<'a>>,
    /// Of each layer, where the affinity of nodes is added to the scores.
    pub scales: Vec<Option<f32>>,
    /// Features of a token.
    inputs: usize,
    dropout: f32,
}

/// What the backward pass of a graph needs beside its weights.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// The input of each layer, and what it saved, unless it is computed again.
    layers: Vec<(Buffer, Option<layer::Saved>)>,
    /// Tokens of length one, where their affinity counts.
    unit: Buffer,
}

fn name(index: usize, parameter: &str) -> String {
    format!("graph.layers.{index}.{parameter}")
}

impl<'a> Graph<'a> {
    pub fn new(config: &ModelConfig, source: &mut Source<'a>) -> Option<Self> {
        let (graph, heads) = (&config.graph, config.graph.heads);
        let (width, head) = (graph.width, graph.width / heads);
        let mut scales = Vec::new();
        let layer = |index: usize| {
            let inputs = match index {
                0 => config.patch.width,
                _ => width,
            };
            let project = source.linear(&name(index, "project"), [inputs, width], false)?;
            let vectors = source.values(&name(index, "score"), &[heads, 2 * head])?;
            scales.push(match graph.affinity {
                Affinity::None => None,
                Affinity::Bias => Some(source.values(&name(index, "affinity_scale"), &[1])?[0]),
            });
            Some(Layer {
                project,
                scores: Scores::new(vectors, [heads, head]),
                slope: graph.slope,
                residual: graph.residual,
            })
        };
        Some(Self {
            layers: (0..graph.layers).map(layer).collect::<Option<_>>()?,
            scales,
            inputs: config.patch.width,
            dropout: graph.dropout as f32,
        })
    }

    /// What layer `index` computes on; what is dropped is a function of the seed.
    fn graphs<'b>(
        &self,
        index: usize,
        shape: Shape,
        seed: Option<u64>,
        unit: &'b [f32],
    ) -> Graphs<'b> {
        let dropout = match seed {
            Some(seed) if self.dropout > 0.0 => {
                Dropout::new(mix(seed ^ !(index as u64)), self.dropout)
            }
            _ => Dropout::off(),
        };
        let bias = self.scales[index].map(|scale| Bias {
            tokens: unit,
            width: self.inputs,
            scale,
        });
        Graphs {
            batch: shape.batch,
            nodes: shape.tokens(),
            reach: shape.near(),
            pairs: Pairs { bias, dropout },
        }
    }

    /// The nodes after all layers.
    ///
    /// # Shapes
    /// - tokens: `[batch * rows * cols, patch width]`
    /// - output: `[batch * rows * cols, graph width]`
    pub fn forward(
        &self,
        tokens: Buffer,
        shape: Shape,
        pass: &mut Pass<'_>,
        mut saved: Option<&mut Saved>,
    ) -> Buffer {
        let mut unit = Buffer::default();
        if self.scales.iter().any(Option::is_some) {
            unit = pass.scratch.take(tokens.len());
            units(&tokens, self.inputs, &mut unit);
        }
        let mut nodes = tokens;
        for (index, layer) in self.layers.iter().enumerate() {
            let graphs = self.graphs(index, shape, pass.seed, &unit);
            let mut inside = saved.is_some().then(Default::default);
            let (out, input) =
                layer.forward(nodes, &graphs, inside.as_mut(), pass.scratch, pass.watch);
            nodes = out;
            if let (Some(saved), Some(input)) = (saved.as_deref_mut(), input) {
                let inside = inside.filter(|_| !pass.checkpointing);
                saved.layers.push((input, inside));
            }
        }
        pass.scratch
            .save_or_give(saved.map(|saved| &mut saved.unit), unit);
        nodes
    }

    /// The gradient by the tokens, from that by the nodes.
    pub fn backward(
        &self,
        saved: Saved,
        shape: Shape,
        mut gradient: Vec<f32>,
        seed: Option<u64>,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        let Saved { layers, unit } = saved;
        let mut of_unit = Vec::new();
        let mut tokens = Buffer::default();
        for (index, (nodes, inside)) in layers.into_iter().enumerate().rev() {
            let (layer, graphs) = (&self.layers[index], self.graphs(index, shape, seed, &unit));
            let inside = inside.unwrap_or_else(|| {
                let (mut again, scratch) = (layer::Saved::default(), &mut Scratch::allocating());
                layer.forward(
                    nodes.clone(),
                    &graphs,
                    Some(&mut again),
                    scratch,
                    &mut |_| (),
                );
                again
            });
            let by = layer.backward(&nodes, &graphs, &inside, &gradient);
            gradients.add(name(index, "project.weight"), by.project);
            gradients.add(name(index, "score"), by.score);
            if graphs.pairs.bias.is_some() {
                gradients.add(name(index, "affinity_scale"), vec![by.scale]);
                add(&mut of_unit, by.tokens);
            }
            gradient = by.nodes;
            tokens = nodes;
        }
        if !of_unit.is_empty() {
            units_backward(&tokens, &unit, &of_unit, self.inputs, &mut gradient);
        }
        gradient
    }
}

/// Added to the squared length of a token before dividing by it.
const EPSILON: f32 = 1e-12;

/// The length of a token; never zero.
fn length(token: &[f32]) -> f32 {
    let squares: f32 = token.iter().map(|x| x * x).sum();
    (squares + EPSILON).sqrt()
}

/// Tokens of `width` features brought to length one.
pub(super) fn units(tokens: &[f32], width: usize, to: &mut [f32]) {
    (to.par_chunks_exact_mut(width))
        .zip(tokens.par_chunks_exact(width))
        .for_each(|(to, token)| {
            let length = length(token);
            to.iter_mut()
                .zip(token)
                .for_each(|(to, x)| *to = x / length);
        });
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
