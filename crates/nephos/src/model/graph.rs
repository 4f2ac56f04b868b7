//! Graph attention over the fully connected graph of patches.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::{leaky_relu, relu, softmax};
use burn::tensor::{Device, Tensor, assert_shape};

use super::compute::Compute;
use crate::config::{Affinity, GraphConfig};

/// A stack of graph attention layers (Veličković et al. 2018,
/// doi:10.48550/arXiv.1710.10903) in which every node is a neighbour of every
/// node, itself included.
#[derive(Module, Debug)]
pub struct Graph {
    layers: Vec<GraphAttention>,
}

/// One graph attention layer.
///
/// The published score `a · [Wh_i ‖ Wh_j]` is linear in each half, so it is
/// `s_i + t_j` with `s = Wh a₁` and `t = Wh a₂`: no tensor of `N × N × 2 width`
/// numbers is ever made.
#[derive(Module, Debug)]
pub struct GraphAttention {
    /// `W`, without bias; all heads together.
    project: Linear,
    /// `a` of each head, `[heads, 2 * head]`: the halves of `s`, then of `t`.
    score: Param<Tensor<2>>,
    /// Weight of the cosine affinity in the scores; only where it is asked for.
    affinity_scale: Option<Param<Tensor<1>>>,
    dropout: Dropout,
    heads: usize,
    slope: f64,
}

impl Graph {
    /// Layers for nodes of `width` features.
    pub fn new(config: &GraphConfig, width: usize, device: &Device) -> Self {
        let width_of = |layer: usize| if layer == 0 { width } else { config.width };
        Self {
            layers: (0..config.layers)
                .map(|layer| GraphAttention::new(config, width_of(layer), device))
                .collect(),
        }
    }

    /// Whether a layer adds the affinity to its scores.
    pub(super) fn wants_affinity(&self) -> bool {
        (self.layers.iter()).any(|layer| layer.affinity_scale.is_some())
    }

    /// Applies all layers in order; the attention of each goes to `watch`.
    ///
    /// # Shapes
    /// - nodes: `[B, N, width]`
    /// - affinity: `[B, N, N]`, cosines; read only by layers that want it
    /// - attention: `[B, heads, N, N]`
    /// - output: `[B, N, config.width]`, f32
    pub fn forward(
        &self,
        nodes: Tensor<3>,
        affinity: Option<&Tensor<3>>,
        compute: Compute,
        mut watch: impl FnMut(&Tensor<4>),
    ) -> Tensor<3> {
        (self.layers.iter()).fold(nodes, |nodes, layer| {
            layer.forward(nodes, affinity, compute, &mut watch)
        })
    }
}

impl GraphAttention {
    /// A layer for nodes of `width` features, both weights with PyTorch's uniform
    /// start of a linear layer, the affinity's scale at 0.
    ///
    /// # Panics
    /// `config.heads` does not divide `config.width`.
    pub fn new(config: &GraphConfig, width: usize, device: &Device) -> Self {
        assert!(
            config.width.is_multiple_of(config.heads),
            "{} heads divide {}",
            config.heads,
            config.width
        );
        let pair = 2 * config.width / config.heads;
        let bound = 1.0 / (pair as f64).sqrt();
        let uniform = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        Self {
            project: LinearConfig::new(width, config.width)
                .with_bias(false)
                .init(device),
            score: uniform.init([config.heads, pair], device),
            affinity_scale: (config.affinity == Affinity::Bias)
                .then(|| Initializer::Zeros.init([1], device)),
            dropout: DropoutConfig::new(config.dropout).init(),
            heads: config.heads,
            slope: config.slope,
        }
    }

    /// # Shapes
    /// As [`Graph::forward`].
    ///
    /// # Panics
    /// The layer wants the affinity and there is none.
    fn forward(
        &self,
        nodes: Tensor<3>,
        affinity: Option<&Tensor<3>>,
        compute: Compute,
        watch: &mut impl FnMut(&Tensor<4>),
    ) -> Tensor<3> {
        let [batch, count, _] = nodes.dims();
        let [heads, pair] = self.score.dims();
        let head = pair / 2;

        let wh = compute
            .linear(&self.project, nodes) // [B, N, heads * head]
            .reshape([batch, count, heads, head])
            .swap_dims(1, 2); // [B, heads, N, head]
        let mut scores = leaky_relu(self.scores(compute.wide(wh.clone())), self.slope); // [B, heads, N, N]
        if let Some(scale) = &self.affinity_scale {
            let affinity = affinity
                .expect("the affinity is given to layers that want it")
                .clone();
            assert_shape!(affinity, [batch, count, count]);
            let bias = affinity.unsqueeze_dim::<4>(1) * scale.val().unsqueeze::<4>(); // [B, 1, N, N]
            scores = scores + bias;
        }
        let attention = softmax(scores, 3); // [B, heads, N, N], rows sum to 1
        watch(&attention);
        let attention = self.dropout.forward(attention);
        let nodes = compute
            .narrow(attention)
            .matmul(wh) // [B, heads, N, head]
            .swap_dims(1, 2)
            .reshape([batch, count, heads * head]); // [B, N, heads * head]
        relu(compute.wide(nodes))
    }

    /// `s_i + t_j` before the LeakyReLU.
    ///
    /// # Shapes
    /// - wh: `[B, heads, N, head]`
    /// - output: `[B, heads, N, N]`
    fn scores(&self, wh: Tensor<4>) -> Tensor<4> {
        let [heads, pair] = self.score.dims();
        let score = self.score.val();
        let score = score.reshape([1, heads, 2, pair / 2]).transpose(); // [1, heads, head, 2]
        let halves = wh.matmul(score); // [B, heads, N, 2]
        let s = halves.clone().narrow(3, 0, 1); // [B, heads, N, 1]
        let t = halves.narrow(3, 1, 1).transpose(); // [B, heads, 1, N]
        s + t // [B, heads, N, N]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    fn config(heads: usize, affinity: Affinity) -> GraphConfig {
        GraphConfig {
            layers: 1,
            width: 12,
            heads,
            affinity,
            ..GraphConfig::default()
        }
    }

    /// The scores as published: concatenate every pair, multiply by `a`.
    fn naive_scores(layer: &GraphAttention, wh: Tensor<4>) -> Tensor<4> {
        let [batch, heads, count, head] = wh.dims();
        let all = [batch, heads, count, count, head];
        let i = wh.clone().unsqueeze_dim::<5>(3).expand(all);
        let j = wh.unsqueeze_dim::<5>(2).expand(all);
        let pairs = Tensor::cat(vec![i, j], 4); // [B, heads, N, N, 2 * head]
        let a = layer.score.val().reshape([1, heads, 1, 1, 2 * head]);
        (pairs * a).sum_dim(4).squeeze_dim::<4>(4)
    }

    #[test]
    fn split_scores_are_those_of_concatenated_pairs() {
        let device = Device::flex();
        for heads in [1, 3] {
            let layer = GraphAttention::new(&config(heads, Affinity::None), 5, &device);
            let wh = Tensor::random([2, heads, 7, 12 / heads], Distribution::Default, &device);
            let (split, naive) = (layer.scores(wh.clone()), naive_scores(&layer, wh));
            (split.into_data())
                .assert_approx_eq::<f32>(&naive.into_data(), Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn attention_rows_sum_to_one() {
        let device = Device::flex();
        let graph = Graph::new(&config(2, Affinity::None), 5, &device);
        let nodes = Tensor::random([2, 9, 5], Distribution::Default, &device);
        let mut seen = 0;
        graph.forward(
            nodes,
            None,
            Compute::from(crate::config::Precision::F32),
            |attention| {
                assert_eq!(attention.dims(), [2, 2, 9, 9]);
                let sums: Vec<f32> = attention
                    .clone()
                    .sum_dim(3)
                    .into_data()
                    .try_into_vec()
                    .unwrap();
                assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-5));
                seen += 1;
            },
        );
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_large_affinity_scale_draws_attention_to_like_nodes() {
        let device = Device::flex();
        let mut layer = GraphAttention::new(&config(1, Affinity::Bias), 4, &device);
        layer.affinity_scale = Some(Param::from_data([50.0], &device));
        let nodes = Tensor::<2>::eye(4, &device).unsqueeze::<3>();
        let affinity = super::super::affinity::cosine_affinity(nodes.clone());
        let compute = Compute::from(crate::config::Precision::F32);
        layer.forward(
            nodes,
            Some(&affinity),
            compute,
            &mut |attention: &Tensor<4>| {
                let own: Vec<f32> = attention.clone().into_data().try_into_vec().unwrap();
                for i in 0..4 {
                    assert!(own[i * 5] > 0.99, "node {i} attends to itself");
                }
            },
        );
    }
}
