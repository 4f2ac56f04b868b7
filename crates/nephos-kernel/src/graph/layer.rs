//! A whole layer: projection, scores, attention, ReLU.

use rayon::prelude::*;

use super::{Pairs, Shape, pairwise, scores, sorted};
use crate::format::Format;
use crate::gemm::{Epilogue, Matrix, matmul_unpacked};
use crate::kept;
use crate::pool::awake;
use crate::sizes::count;
use crate::versions::versions;

/// Numbers that one task takes.
const BLOCK: usize = 1 << 14;

/// Nodes whose share of the gradient by the projection is computed at a time, in the cache.
const NODES: usize = 1 << 10;

/// `relu(attention Wh)` with `Wh = nodes W`, but for its weights.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    /// Sizes of what attention is paid to.
    pub shape: Shape,
    /// Features of a node on its way in.
    pub inputs: usize,
    /// Of the LeakyReLU below 0, in [0, 1].
    pub slope: f64,
    /// Of the operands of products with the features.
    pub format: Format,
}

/// The weights of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// `W`, `[inputs, heads * head]`.
    pub project: &'a [f32],
    /// `[heads, 2 * head]`, `a₁` of each head, then `a₂`.
    pub score: &'a [f32],
}

/// What the backward pass of a layer needs beside its inputs.
#[derive(Debug, Clone)]
pub struct Saved {
    wh: Vec<f32>,
    s: Vec<f32>,
    t: Vec<f32>,
    /// Whether an output is above 0.
    positive: Vec<bool>,
}

/// The gradients of a layer.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// By the nodes; empty if they are not wanted.
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

impl Layer {
    /// The output alone; `nodes` are dropped as soon as they are projected, so that of a
    /// large graph no more is held at a time than features and output.
    ///
    /// # Shapes
    /// - nodes: `[batch, nodes, inputs]`
    /// - output: `[batch, nodes, heads * head]`
    ///
    /// # Panics
    /// Slices of other sizes, a slope outside [0, 1], 2³² nodes or more.
    pub fn apply(
        &self,
        nodes: impl AsRef<[f32]> + Send,
        weights: &Weights<'_>,
        pairs: &Pairs<'_>,
    ) -> Vec<f32> {
        let mut out = vec![0.0; self.shape.features()];
        awake(|| {
            kept::with(self.shape.features(), |wh| {
                let [s, t] = self.project(nodes.as_ref(), weights, wh);
                drop(nodes);
                self.attend(wh, &s, &t, pairs, &mut out);
            });
        });
        out
    }

    /// The output, and what [`Layer::backward`] needs.
    ///
    /// # Shapes
    /// As [`Layer::apply`].
    ///
    /// # Panics
    /// As [`Layer::apply`].
    pub fn forward(
        &self,
        nodes: &[f32],
        weights: &Weights<'_>,
        pairs: &Pairs<'_>,
    ) -> (Vec<f32>, Saved) {
        let mut out = vec![0.0; self.shape.features()];
        let mut wh = vec![0.0; self.shape.features()];
        let mut positive = vec![false; self.shape.features()];
        let [s, t] = awake(|| {
            let [s, t] = self.project(nodes, weights, &mut wh);
            self.attend(&wh, &s, &t, pairs, &mut out);
            (positive.par_chunks_mut(BLOCK))
                .zip(out.par_chunks(BLOCK))
                .for_each(|(positive, out)| signs(out, positive));
            [s, t]
        });
        let saved = Saved { wh, s, t, positive };
        (out, saved)
    }

    /// The gradients, from `grad`, that by the output; those by the nodes if they are
    /// `wanted`.
    ///
    /// # Shapes
    /// - nodes: `[batch, nodes, inputs]`
    /// - grad: `[batch, nodes, heads * head]`
    ///
    /// # Panics
    /// As [`Layer::apply`].
    pub fn backward(
        &self,
        nodes: &[f32],
        weights: &Weights<'_>,
        pairs: &Pairs<'_>,
        saved: &Saved,
        grad: &[f32],
        wanted: bool,
    ) -> Gradients {
        let (shape, features) = (&self.shape, self.shape.features());
        assert_eq!(grad.len(), features, "gradient of {shape:?}");
        self.check(nodes, weights);
        let of_nodes = if wanted { nodes.len() } else { 0 };
        let mut by_nodes = vec![0.0; of_nodes];
        let mut by = Gradients {
            nodes: Vec::new(),
            project: vec![0.0; weights.project.len()],
            score: vec![0.0; weights.score.len()],
            tokens: vec![0.0; pairs.bias.map_or(0, |bias| bias.tokens.len())],
            scale: 0.0,
        };
        awake(|| {
            kept::with(features, |by_wh| {
                let mut attend = |rectified: &mut [f32]| {
                    (rectified.par_chunks_mut(BLOCK))
                        .zip(grad.par_chunks(BLOCK))
                        .zip(saved.positive.par_chunks(BLOCK))
                        .for_each(|((to, from), positive)| rectify(from, positive, to));
                    self.attend_backward(saved, pairs, rectified, by_wh, &mut by)
                };
                // Nothing lies yet where the gradients by the nodes will.
                let by_scores = match by_nodes.get_mut(..features) {
                    Some(room) => attend(room),
                    None => kept::with(features, attend),
                };
                let by_scores = by_scores.each_ref().map(Vec::as_slice);
                let score = weights.score;
                scores::backward(shape, &saved.wh, score, by_scores, by_wh, &mut by.score);
                let of_projection = [&mut by_nodes[..], &mut by.project];
                self.project_backward(nodes, weights, by_wh, of_projection);
            });
        });
        Gradients {
            nodes: by_nodes,
            ..by
        }
    }

    /// `Wh` into `wh`; returns `s` and `t`.
    fn project(&self, nodes: &[f32], weights: &Weights<'_>, wh: &mut [f32]) -> [Vec<f32>; 2] {
        self.check(nodes, weights);
        let (rows, width) = (self.rows(), self.shape.width());
        let [nodes, project] = [nodes, weights.project].map(|x| self.format.round(x));
        let left = Matrix::new(&nodes, rows, self.inputs);
        let right = Matrix::new(&project, self.inputs, width);
        matmul_unpacked(left, right, wh, width, &Epilogue::default());
        self.format.round_in_place(wh);
        let [mut s, mut t] = [0, 1].map(|_| vec![0.0; self.shape.scores()]);
        scores::forward(&self.shape, wh, weights.score, &mut s, &mut t);
        [s, t]
    }

    fn attend(&self, wh: &[f32], s: &[f32], t: &[f32], pairs: &Pairs<'_>, out: &mut [f32]) {
        let (shape, slope) = (&self.shape, self.slope);
        match pairs.is_plain() {
            true => sorted::forward(shape, wh, s, t, slope, true, out),
            false => pairwise::forward(shape, wh, s, t, slope, pairs, true, out),
        }
    }

    /// The gradients by `Wh` as what attention is paid to, into `by_wh`, and by the bias,
    /// into `by`; returns those by `s` and `t`.
    fn attend_backward(
        &self,
        saved: &Saved,
        pairs: &Pairs<'_>,
        grad: &[f32],
        by_wh: &mut [f32],
        by: &mut Gradients,
    ) -> [Vec<f32>; 2] {
        let (shape, slope) = (&self.shape, self.slope);
        let Saved { wh, s, t, .. } = saved;
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

    /// The gradients by the nodes, if there is room for them, and by the projection.
    fn project_backward(
        &self,
        nodes: &[f32],
        weights: &Weights<'_>,
        by_wh: &[f32],
        [by_nodes, by_project]: [&mut [f32]; 2],
    ) {
        let (inputs, width) = (self.inputs, self.shape.width());
        let [nodes, by_wh] = [nodes, by_wh].map(|x| self.format.round(x));
        if !by_nodes.is_empty() {
            let by_wh = Matrix::new(&by_wh, self.rows(), width);
            let project = self.format.round(weights.project);
            let transposed = Matrix::new(&project, inputs, width).transposed();
            let plain = Epilogue::default();
            matmul_unpacked(by_wh, transposed, by_nodes, inputs, &plain);
        }
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

    fn rows(&self) -> usize {
        count([self.shape.batch, self.shape.nodes])
    }

    fn check(&self, nodes: &[f32], weights: &Weights<'_>) {
        let (shape, inputs) = (&self.shape, self.inputs);
        assert!(inputs > 0, "nodes without features");
        assert_eq!(
            nodes.len(),
            count([self.rows(), inputs]),
            "nodes of {shape:?}"
        );
        let projection = count([inputs, shape.width()]);
        assert_eq!(weights.project.len(), projection, "projection to {shape:?}");
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
    fn rectify(from: &[f32], positive: &[bool], to: &mut [f32]) {
        for ((to, from), positive) in to.iter_mut().zip(from).zip(positive) {
            *to = if *positive { *from } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dropout::Dropout;
    use crate::graph::sorted::tests::{error, numbers, shape};

    /// Scores of zero make attention even: a graph's nodes all become the mean of its
    /// features, and all have the same gradient.
    #[test]
    fn even_attention_gives_means_and_even_gradients() {
        for (batch, count, heads) in [(1, 1, 1), (2, 70, 2), (1, NODES + 9, 1)] {
            let (inputs, head) = (3, 4);
            let shape = shape(batch, count, heads, head);
            let (layer, width) = (
                Layer {
                    shape,
                    inputs,
                    slope: 0.2,
                    format: Format::F32,
                },
                shape.width(),
            );
            let nodes = numbers(1, batch * count * inputs);
            let project = numbers(2, inputs * width);
            let weights = Weights {
                project: &project,
                score: &vec![0.0; 2 * width],
            };
            let grad = numbers(3, shape.features());
            let (out, saved) = layer.forward(&nodes, &weights, &Pairs::plain());
            assert_eq!(out, layer.apply(&nodes, &weights, &Pairs::plain()));
            let by = layer.backward(&nodes, &weights, &Pairs::plain(), &saved, &grad, true);

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
        let layer = Layer {
            shape,
            inputs: 40,
            slope: 0.2,
            format: Format::F32,
        };
        let nodes = numbers(1, 300 * 40);
        let (project, score) = (numbers(2, 40 * 34), numbers(3, 2 * 34));
        let weights = Weights {
            project: &project,
            score: &score,
        };
        let grad = numbers(4, shape.features());
        let all = |pairs: &Pairs<'_>| {
            let (out, saved) = layer.forward(&nodes, &weights, pairs);
            assert_eq!(out, layer.apply(&nodes, &weights, pairs));
            let by = layer.backward(&nodes, &weights, pairs, &saved, &grad, true);
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
