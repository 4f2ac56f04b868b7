//! A whole layer: projection, scores, attention, ReLU, residual sum.

use rayon::prelude::*;

use super::scores::Scores;
use super::{Pairs, Shape, near, pairwise, sorted};
use crate::gemm::{Act, Epilogue, Matrix, matmul_unpacked};
use crate::linear::Linear;
use crate::reach::Reach;
use crate::scratch::{self, Buffer, Scratch};
use crate::sizes::count;
use crate::stage::{Stage, Watch};
use crate::versions::versions;

/// Numbers that one task takes.
const BLOCK: usize = 1 << 14;

/// Nodes whose share of the gradient by the projection is computed at a time, in the cache.
const NODES: usize = 1 << 10;

/// `relu(attention Wh)` with `Wh = nodes W`, and the nodes added to it if `residual`.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// `W`: inputs → `heads * head`, without a bias.
    pub project: Linear<'a>,
    /// The vectors `a₁` and `a₂` of each head.
    pub scores: Scores<'a>,
    /// Of the LeakyReLU below 0, in [0, 1].
    pub slope: f64,
    /// Whether the nodes are added to the output; they have as many features then.
    pub residual: bool,
}

/// The graphs of a pass.
#[derive(Debug, Clone, Copy)]
pub struct Graphs<'a> {
    /// Independent graphs.
    pub batch: usize,
    /// Nodes of each.
    pub nodes: usize,
    /// Where nodes attend to those nearby alone, without dropout.
    pub reach: Option<Reach>,
    /// What makes a pair of nodes more than the sum of its scores.
    pub pairs: Pairs<'a>,
}

/// What the backward pass of a layer needs beside its inputs.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    wh: Buffer,
    s: Buffer,
    t: Buffer,
    /// Whether an output is above 0, before the residual sum.
    positive: Vec<bool>,
}

/// The gradients of a layer.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// By the nodes.
    pub nodes: Vec<f32>,
    /// By `W`.
    pub project: Vec<f32>,
    /// By the vectors of the scores.
    pub score: Vec<f32>,
    /// By the tokens of the bias; empty without one.
    pub tokens: Vec<f32>,
    /// By the scale of the bias.
    pub scale: f32,
}

impl Layer<'_> {
    fn shape(&self, graphs: &Graphs<'_>) -> Shape {
        let heads = self.scores.heads();
        Shape {
            batch: graphs.batch,
            nodes: graphs.nodes,
            heads,
            head: self.project.outputs() / heads,
        }
    }

    /// The output, and the nodes where they are still needed: if `saved` takes what
    /// [`Layer::backward`] needs beside them. Otherwise they are given back to `scratch` as soon
    /// as they are projected, so that of a large graph no more is held at a time than features
    /// and output.
    ///
    /// # Shapes
    /// - nodes: `[batch, nodes, inputs]`
    /// - output: `[batch, nodes, heads * head]`
    ///
    /// # Panics
    /// Buffers of other sizes, a slope outside [0, 1], 2³² nodes or more.
    pub fn forward(
        &self,
        nodes: Buffer,
        graphs: &Graphs<'_>,
        saved: Option<&mut Saved>,
        scratch: &mut Scratch,
        watch: &mut Watch<'_>,
    ) -> (Buffer, Option<Buffer>) {
        let (shape, slope) = (&self.shape(graphs), self.slope);
        self.check(&nodes, shape);
        let mut wh = scratch.take(shape.features());
        self.project.forward(&nodes, None, Act::None, &mut wh);
        self.project.format().round_in_place(&mut wh);
        let nodes = match self.residual || saved.is_some() {
            true => Some(nodes),
            false => {
                scratch.give(nodes);
                None
            }
        };
        let [mut s, mut t] = [0, 1].map(|_| scratch.take(shape.scores()));
        self.scores.forward(shape, &wh, [&mut s, &mut t], scratch);
        watch(Stage::GraphProject);
        let (mut out, pairs) = (scratch.take(shape.features()), &graphs.pairs);
        match graphs.reach {
            Some(reach) => near::forward(shape, reach, &wh, &s, &t, slope, pairs, true, &mut out),
            None if pairs.is_plain() => {
                sorted::forward(shape, &wh, &s, &t, slope, true, &mut out);
            }
            None => pairwise::forward(shape, &wh, &s, &t, slope, pairs, true, &mut out),
        }
        let saves = saved.is_some();
        match saved {
            None => [wh, s, t]
                .into_iter()
                .for_each(|buffer| scratch.give(buffer)),
            Some(saved) => {
                let mut positive = vec![false; out.len()];
                (positive.par_chunks_mut(BLOCK))
                    .zip(out.par_chunks(BLOCK))
                    .for_each(|(positive, out)| signs(out, positive));
                *saved = Saved { wh, s, t, positive };
            }
        }
        if let (true, Some(nodes)) = (self.residual, &nodes) {
            (out.par_chunks_mut(BLOCK))
                .zip(nodes.par_chunks(BLOCK))
                .for_each(|(out, nodes)| add(nodes, out));
        }
        watch(Stage::GraphAttention);
        match nodes {
            Some(nodes) if !saves => {
                scratch.give(nodes);
                (out, None)
            }
            nodes => (out, nodes),
        }
    }

    /// The gradients, from `grad`, that by the output; `nodes` and `graphs` are those of the
    /// forward pass that gave `saved`.
    ///
    /// # Shapes
    /// - nodes: `[batch, nodes, inputs]`
    /// - grad: `[batch, nodes, heads * head]`
    ///
    /// # Panics
    /// As [`Layer::forward`].
    pub fn backward(
        &self,
        nodes: &[f32],
        graphs: &Graphs<'_>,
        saved: &Saved,
        grad: &[f32],
    ) -> Gradients {
        let shape = &self.shape(graphs);
        let (features, pairs) = (shape.features(), &graphs.pairs);
        assert_eq!(grad.len(), features, "gradient of {shape:?}");
        self.check(nodes, shape);
        let mut by = Gradients {
            nodes: vec![0.0; nodes.len()],
            project: vec![0.0; count([self.project.inputs(), shape.width()])],
            score: vec![0.0; count([2, shape.width()])],
            tokens: vec![0.0; pairs.bias.map_or(0, |bias| bias.tokens.len())],
            scale: 0.0,
        };
        let mut by_nodes = std::mem::take(&mut by.nodes);
        scratch::with(features, |by_wh| {
            let mut attend = |by_sum: &mut [f32]| {
                (by_sum.par_chunks_mut(BLOCK))
                    .zip(grad.par_chunks(BLOCK))
                    .zip(saved.positive.par_chunks(BLOCK))
                    .for_each(|((to, from), positive)| relu_backward(from, positive, to));
                self.attend_backward(shape, pairs, saved, by_sum, by_wh, &mut by)
            };
            // Nothing is there yet where the gradients by the nodes will be.
            let by_scores = match by_nodes.get_mut(..features) {
                Some(unused) => attend(unused),
                None => scratch::with(features, attend),
            };
            let by_scores = by_scores.each_ref().map(Vec::as_slice);
            (self.scores).backward(shape, &saved.wh, by_scores, by_wh, &mut by.score);
            self.project_backward(nodes, by_wh, &mut by_nodes, &mut by.project);
        });
        if self.residual {
            add(grad, &mut by_nodes);
        }
        Gradients {
            nodes: by_nodes,
            ..by
        }
    }

    /// The gradients by `Wh` through attention, into `by_wh`, and by the bias, into `by`;
    /// returns those by `s` and `t`.
    fn attend_backward(
        &self,
        shape: &Shape,
        pairs: &Pairs<'_>,
        Saved { wh, s, t, .. }: &Saved,
        grad: &[f32],
        by_wh: &mut [f32],
        by: &mut Gradients,
    ) -> [Vec<f32>; 2] {
        let slope = self.slope;
        let [mut by_s, mut by_t] = [0, 1].map(|_| vec![0.0; shape.scores()]);
        if pairs.is_plain() {
            let (by_s, by_t) = (&mut by_s, &mut by_t);
            sorted::backward(shape, wh, s, t, slope, grad, by_wh, by_s, by_t);
        } else {
            let mut of_pairs = pairwise::Gradients {
                wh: by_wh,
                s: &mut by_s,
                t: &mut by_t,
                tokens: &mut by.tokens,
                scale: 0.0,
            };
            pairwise::backward(shape, wh, s, t, slope, pairs, grad, &mut of_pairs);
            by.scale = of_pairs.scale;
        }
        [by_s, by_t]
    }

    /// The gradients by the nodes and by the projection.
    fn project_backward(
        &self,
        nodes: &[f32],
        by_wh: &[f32],
        by_nodes: &mut [f32],
        by_project: &mut [f32],
    ) {
        let (inputs, width) = (self.project.inputs(), self.project.outputs());
        self.project.backward(by_wh, false, by_nodes);
        let format = self.project.format();
        let [nodes, by_wh] = [nodes, by_wh].map(|x| format.round(x));
        let chunks = nodes.chunks(NODES * inputs);
        for (nodes, by_wh) in chunks.zip(by_wh.chunks(NODES * width)) {
            let rows = by_wh.len() / width;
            let nodes = Matrix::new(nodes, rows, inputs).transposed();
            let by_wh = Matrix::new(by_wh, rows, width);
            let add = Epilogue {
                accumulate: true,
                ..Epilogue::default()
            };
            matmul_unpacked(nodes, by_wh, by_project, width, &add);
        }
    }

    fn check(&self, nodes: &[f32], shape: &Shape) {
        let numbers = count([shape.batch, shape.nodes, self.project.inputs()]);
        assert_eq!(nodes.len(), numbers, "nodes of {shape:?}");
    }
}

versions! {
    fn add(from: &[f32], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }
}

versions! {
    fn signs(out: &[f32], positive: &mut [bool]) {
        for (positive, out) in positive.iter_mut().zip(out) {
            *positive = *out > 0.0;
        }
    }
}

versions! {
    fn relu_backward(from: &[f32], positive: &[bool], to: &mut [f32]) {
        for ((to, from), positive) in to.iter_mut().zip(from).zip(positive) {
            *to = if *positive { *from } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dropout::Dropout;
    use crate::format::Format;
    use crate::graph::sorted::tests::{error, numbers, shape};

    fn layer<'a>(project: &'a [f32], shape: &Shape, score: Vec<f32>) -> Layer<'a> {
        let (width, none) = (shape.width(), Format::F32);
        Layer {
            project: Linear::plain(project, [project.len() / width, width], None, none),
            scores: Scores::new(score.into(), [shape.heads, shape.head]),
            slope: 0.2,
            residual: false,
        }
    }

    /// Output and gradients of a layer, whose output is the same where nothing is saved.
    fn both(
        layer: &Layer<'_>,
        shape: &Shape,
        nodes: &[f32],
        pairs: Pairs<'_>,
        grad: &[f32],
    ) -> (Vec<f32>, Gradients) {
        let graphs = Graphs {
            batch: shape.batch,
            nodes: shape.nodes,
            reach: None,
            pairs,
        };
        let (mut saved, mut scratch) = (Saved::default(), Scratch::default());
        let mut forward = |saved| {
            let nodes = nodes.to_vec().into();
            layer.forward(nodes, &graphs, saved, &mut scratch, &mut |_| ())
        };
        let (out, input) = forward(Some(&mut saved));
        let (alone, dropped) = forward(None);
        assert_eq!(out[..], alone[..]);
        assert!(input.is_some_and(|input| input[..] == *nodes) && dropped.is_none());
        (out.into(), layer.backward(nodes, &graphs, &saved, grad))
    }

    /// Scores of zero make attention even: a graph's nodes all become the mean of its
    /// features, and all have the same gradient.
    #[test]
    fn even_attention_gives_means_and_even_gradients() {
        for (batch, count, heads) in [(1, 1, 1), (2, 70, 2), (1, NODES + 9, 1)] {
            let (inputs, head) = (3, 4);
            let shape = shape(batch, count, heads, head);
            let width = shape.width();
            let nodes = numbers(1, batch * count * inputs);
            let project = numbers(2, inputs * width);
            let layer = layer(&project, &shape, vec![0.0; 2 * width]);
            let grad = numbers(3, shape.features());
            let (out, by) = both(&layer, &shape, &nodes, Pairs::plain(), &grad);

            let mut exact_out = vec![0.0; out.len()];
            let mut by_nodes = vec![0.0; nodes.len()];
            let mut by_project = vec![0.0; project.len()];
            for graph in 0..batch {
                for f in 0..width {
                    let (mut wh, mut by_wh) = (0.0, 0.0);
                    for node in graph * count..(graph + 1) * count {
                        for k in 0..inputs {
                            wh += product(nodes[node * inputs + k], project[k * width + f]);
                        }
                        by_wh += f64::from(grad[node * width + f]);
                    }
                    let (mean, by_wh) = (wh / count as f64, by_wh / count as f64);
                    for node in graph * count..(graph + 1) * count {
                        exact_out[node * width + f] = mean.max(0.0);
                        for k in 0..inputs {
                            let by_wh = if mean > 0.0 { by_wh } else { 0.0 };
                            let (x, w) = (nodes[node * inputs + k], project[k * width + f]);
                            by_nodes[node * inputs + k] += by_wh * f64::from(w);
                            by_project[k * width + f] += by_wh * f64::from(x);
                        }
                    }
                }
            }
            for (computed, exact) in [
                (&out, exact_out),
                (&by.nodes, by_nodes),
                (&by.project, by_project),
            ] {
                let off = error(computed, &exact);
                assert!(off < 2e-5, "{shape:?}: off by {off:e}");
            }
        }
    }

    fn product(a: f32, b: f32) -> f64 {
        f64::from(a) * f64::from(b)
    }

    /// A dropout that drops nothing goes over all pairs.
    #[test]
    fn sorted_and_pairwise_attention_make_the_same_layer() {
        let shape = shape(2, 150, 2, 17);
        let nodes = numbers(1, 300 * 40);
        let (project, score) = (numbers(2, 40 * 34), numbers(3, 2 * 34));
        let layer = layer(&project, &shape, score);
        let grad = numbers(4, shape.features());
        let all = |pairs: &Pairs<'_>| {
            let (out, by) = both(&layer, &shape, &nodes, *pairs, &grad);
            [out, by.nodes, by.project, by.score]
        };
        let dropout = Dropout::new(1, 1e-9);
        let pairs = Pairs {
            bias: None,
            dropout,
        };
        assert!(!pairs.is_plain());
        for (sorted, pairwise) in all(&Pairs::plain()).iter().zip(all(&pairs)) {
            let pairwise: Vec<f64> = pairwise.iter().map(|&x| f64::from(x)).collect();
            let off = error(sorted, &pairwise);
            assert!(off < 1e-5, "off by {off:e}");
        }
    }
}
