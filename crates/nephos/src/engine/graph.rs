//! Graph attention.

use nephos_kernel::dropout::Dropout;
use nephos_kernel::gemm::Act;
use nephos_kernel::graph::{self, near, pairwise, sorted};
use rayon::prelude::*;

use super::linear::Linear;
use super::packed::{Shape, Stage};
use super::weights::Weights;
use crate::config::{Affinity, ModelConfig};

/// The layers.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) layers: Vec<Layer>,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) slope: f64,
    /// Whether a layer's output is added to its input.
    pub(super) residual: bool,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) project: Linear,
    /// `[width, 2 * heads]`: the features times it are `s` of each head, then `t`.
    pub(super) score: Linear,
    pub(super) affinity_scale: Option<f32>,
}

/// What the layers compute with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[rows, width]`
    nodes: Vec<f32>,
    /// A layer's input, where it is added to the output.
    kept: Vec<f32>,
    projected: Vec<f32>,
    /// `[rows, 2 * heads]`
    scores: Vec<f32>,
    /// `[batch, heads, tokens]`
    s: Vec<f32>,
    t: Vec<f32>,
    /// Tokens of length one, `[rows, patch width]`.
    unit: Vec<f32>,
}

impl Graph {
    pub fn new(config: &ModelConfig, weights: &mut Weights) -> Option<Self> {
        let (graph, heads) = (&config.graph, config.graph.heads);
        let (width, head) = (graph.width, graph.width / heads);
        let layer = |index: usize| {
            let name = format!("gat.layers.{index}");
            let inputs = if index == 0 {
                config.patch.width
            } else {
                width
            };
            let project = weights.take(&format!("{name}.W.weight"), &[width, inputs])?;
            let score = weights.take(&format!("{name}.a.weight"), &[heads, 2 * head])?;
            let affinity_scale = match graph.affinity {
                Affinity::None => None,
                Affinity::Bias => Some(weights.take(&format!("{name}.affinity_scale"), &[1])?[0]),
            };
            // Row `half * heads + h` holds that half of head h's vector at its features.
            let mut rows = vec![0.0; 2 * heads * width];
            for (index, half) in score.chunks_exact(head).enumerate() {
                let (h, part) = (index / 2, index % 2);
                rows[(part * heads + h) * width + h * head..][..head].copy_from_slice(half);
            }
            Some(Layer {
                project: Linear::new(&project, [inputs, width], None),
                score: Linear::new(&rows, [width, 2 * heads], None),
                affinity_scale,
            })
        };
        Some(Self {
            layers: (0..graph.layers).map(layer).collect::<Option<_>>()?,
            width,
            heads,
            slope: graph.slope,
            residual: graph.residual,
        })
    }

    /// The nodes after all layers, `[rows, graph width]`, of `tokens`, `[rows, patch
    /// width]`.
    pub fn forward<'a>(
        &self,
        tokens: &'a [f32],
        shape: Shape,
        scratch: &'a mut Scratch,
        watch: &mut (dyn FnMut(Stage) + Send),
    ) -> &'a [f32] {
        if self.layers.is_empty() {
            return tokens;
        }
        let rows = shape.rows();
        let Scratch {
            nodes,
            kept,
            projected,
            scores,
            s,
            t,
            ..
        } = scratch;
        nodes.resize(rows * self.width, 0.0);
        projected.resize(rows * self.width, 0.0);
        scores.resize(rows * 2 * self.heads, 0.0);
        s.resize(rows * self.heads, 0.0);
        t.resize(rows * self.heads, 0.0);
        if self
            .layers
            .iter()
            .any(|layer| layer.affinity_scale.is_some())
        {
            scratch.unit.resize(tokens.len(), 0.0);
            units(tokens, tokens.len() / rows, &mut scratch.unit);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let input = if index == 0 { tokens } else { &*nodes };
            if self.residual {
                kept.clear();
                kept.extend_from_slice(input);
            }
            (layer.project).forward(input, None, Act::None, projected);
            (layer.score).forward(projected, None, Act::None, scores);
            self.split(shape, scores, s, t);
            watch(Stage::GraphProject);
            let of = graph::Shape {
                batch: shape.batch,
                nodes: shape.tokens(),
                heads: self.heads,
                head: self.width / self.heads,
            };
            let pairs = graph::Pairs {
                dropout: Dropout::off(),
                bias: layer.affinity_scale.map(|scale| graph::Bias {
                    tokens: &scratch.unit,
                    width: scratch.unit.len() / rows,
                    scale,
                }),
            };
            match shape.near() {
                Some(reach) => {
                    near::forward(&of, reach, projected, s, t, self.slope, &pairs, true, nodes);
                }
                None if pairs.is_plain() => {
                    sorted::forward(&of, projected, s, t, self.slope, true, nodes);
                }
                None => pairwise::forward(&of, projected, s, t, self.slope, &pairs, true, nodes),
            }
            if self.residual {
                (nodes.iter_mut().zip(&*kept)).for_each(|(node, kept)| *node += kept);
            }
            watch(Stage::GraphAttention);
        }
        nodes
    }

    /// From `[rows, 2 * heads]` to two of `[batch, heads, tokens]`.
    fn split(&self, shape: Shape, scores: &[f32], s: &mut [f32], t: &mut [f32]) {
        let (heads, tokens) = (self.heads, shape.tokens());
        for (row, scores) in scores.chunks_exact(2 * heads).enumerate() {
            let (item, token) = (row / tokens, row % tokens);
            for head in 0..heads {
                let place = (item * heads + head) * tokens + token;
                s[place] = scores[head];
                t[place] = scores[heads + head];
            }
        }
    }
}

/// Added to the squared length of a token before dividing by it.
const EPSILON: f32 = 1e-12;

/// The length of a token; never zero.
pub(super) fn length(token: &[f32]) -> f32 {
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
