//! Graph attention over the fully connected graph of patches.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::{leaky_relu, relu, softmax};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::affinity::affinity;
use crate::compute::Compute;
use crate::cost;
use nephos::config::{Affinity, GraphConfig};

/// A stack of graph attention layers (Veličković et al. 2018,
/// doi:10.48550/arXiv.1710.10903) in which every node is a neighbour of every
/// node, itself included.
#[derive(Module, Debug)]
pub struct Graph {
    layers: Vec<GraphAttention>,
    /// Whether a layer's output is added to its input.
    residual: bool,
}

/// A callback that receives the attention weights of each layer, `[B, heads, N, N]`.
pub type AttentionHook<'a> = Option<&'a mut dyn FnMut(&Tensor<4>)>;

/// One graph attention layer.
///
/// The published score `a · [Wh_i ‖ Wh_j]` is linear in each half, so it is
/// `s_i + t_j` with `s = Wh a₁` and `t = Wh a₂`: no tensor of `N × N × 2 width`
/// numbers is ever made. On a GPU not even one of `N × N` is where attention is neither
/// dropped nor biased, unless a hook receives it.
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
            residual: config.residual,
        }
    }

    /// Applies all layers in order.
    ///
    /// # Shapes
    /// - nodes: `[B, N, width]`
    /// - unit: `[B, N, any]`, tokens of length one whose products are the affinity;
    ///   read only by layers that want it
    /// - output: `[B, N, config.width]`, f32
    ///
    /// # Panics
    /// A layer needs the affinity and there are no tokens.
    pub fn forward(
        &self,
        nodes: Tensor<3>,
        unit: Option<&Tensor<3>>,
        compute: Compute,
        mut hook: AttentionHook<'_>,
    ) -> Tensor<3> {
        (self.layers.iter()).fold(nodes, |nodes, layer| {
            let kept = self.residual.then(|| compute.to_f32(nodes.clone()));
            let attended = layer.forward(nodes, unit, compute, &mut hook);
            match kept {
                Some(kept) => kept + attended,
                None => attended,
            }
        })
    }
}

impl GraphAttention {
    /// A layer for nodes of `width` features, both weights with PyTorch's uniform
    /// start of a linear layer, the affinity's scale where the configuration says.
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
            affinity_scale: (config.affinity == Affinity::Bias).then(|| {
                let value = config.affinity_start;
                Initializer::Constant { value }.init([1], device)
            }),
            dropout: DropoutConfig::new(config.dropout).init(),
            heads: config.heads,
            slope: config.slope,
        }
    }

    /// As [`Graph::forward`].
    fn forward(
        &self,
        nodes: Tensor<3>,
        unit: Option<&Tensor<3>>,
        compute: Compute,
        hook: &mut AttentionHook<'_>,
    ) -> Tensor<3> {
        let bias = self.affinity_scale.as_ref().map(|scale| {
            let unit = unit.expect("tokens are given to layers that want their affinity");
            (unit.clone(), scale.val())
        });
        let wh = compute.linear(&self.project, nodes); // [B, N, heads * head]
        #[cfg(feature = "cube")]
        if hook.is_none() && bias.is_none() && self.is_sorted(&wh.device()) {
            let wh = compute.to_f32(wh);
            let [s, t] = self.halves(self.by_head(wh.clone()));
            return crate::gpu::attend(wh, s, t, self.slope);
        }
        self.attend_densely(wh, bias, compute, hook)
    }

    /// Whether attention without a bias is a kernel on `device`: it is a GPU, and nothing
    /// is dropped.
    #[cfg(feature = "cube")]
    fn is_sorted(&self, device: &Device) -> bool {
        let drops = self.dropout.training.is_enabled() && self.dropout.prob > 0.0;
        crate::device::is_gpu(device) && !(drops && device.is_autodiff())
    }

    /// Attention by its formula, which any backend computes.
    ///
    /// # Shapes
    /// - wh: `[B, N, heads * head]`, in the compute format
    /// - bias: tokens of length one, `[B, N, any]`, and the scale of their products
    /// - output: `[B, N, heads * head]`, f32
    fn attend_densely(
        &self,
        wh: Tensor<3>,
        bias: Option<(Tensor<3>, Tensor<1>)>,
        compute: Compute,
        hook: &mut AttentionHook<'_>,
    ) -> Tensor<3> {
        let [batch, count, width] = wh.dims();
        if let Some((unit, _)) = &bias {
            // Without a bias the sums need not grow with the pairs: they count as none.
            cost::add(batch * count * count * (width + unit.dims()[2]));
        }
        let wh = self.by_head(wh); // [B, heads, N, head]
        let mut scores = leaky_relu(self.scores(compute.to_f32(wh.clone())), self.slope); // [B, heads, N, N]
        if let Some((unit, scale)) = bias {
            let bias = affinity(unit).unsqueeze_dim::<4>(1) * scale.unsqueeze::<4>(); // [B, 1, N, N]
            assert_shape!(bias, [batch, 1, count, count]);
            scores = scores + bias;
        }
        let attention = match hook {
            None => compute.weights(scores, &self.dropout), // [B, heads, N, N]
            Some(hook) => {
                let attention = softmax(scores, 3); // rows sum to 1
                hook(&attention);
                compute.to_compute_dtype(self.dropout.forward(attention))
            }
        };
        let nodes = attention
            .matmul(wh) // [B, heads, N, head]
            .swap_dims(1, 2)
            .reshape([batch, count, width]); // [B, N, heads * head]
        relu(compute.to_f32(nodes))
    }

    /// `[B, N, heads * head]` as `[B, heads, N, head]`.
    fn by_head(&self, wh: Tensor<3>) -> Tensor<4> {
        let [batch, count, width] = wh.dims();
        wh.reshape([batch, count, self.heads, width / self.heads])
            .swap_dims(1, 2)
    }

    /// `s_i` and `t_j`.
    ///
    /// # Shapes
    /// - wh: `[B, heads, N, head]`
    /// - output: twice `[B, heads, N]`
    fn halves(&self, wh: Tensor<4>) -> [Tensor<3>; 2] {
        let [heads, pair] = self.score.dims();
        let score = self.score.val();
        let score = score.reshape([1, heads, 2, pair / 2]).transpose(); // [1, heads, head, 2]
        let halves = wh.matmul(score); // [B, heads, N, 2]
        [0, 1].map(|half| halves.clone().narrow(3, half, 1).squeeze_dim::<3>(3)) // [B, heads, N]
    }

    /// `s_i + t_j` before the LeakyReLU.
    ///
    /// # Shapes
    /// - wh: `[B, heads, N, head]`
    /// - output: `[B, heads, N, N]`
    fn scores(&self, wh: Tensor<4>) -> Tensor<4> {
        let [s, t] = self.halves(wh);
        s.unsqueeze_dim::<4>(3) + t.unsqueeze_dim::<4>(2)
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

    fn compute() -> Compute {
        Compute::from(nephos::config::Precision::F32)
    }

    /// The attention that a hook receives.
    fn hooked(graph: &Graph, nodes: Tensor<3>, unit: Option<&Tensor<3>>) -> Vec<Tensor<4>> {
        let mut seen = Vec::new();
        let mut hook = |attention: &Tensor<4>| seen.push(attention.clone());
        graph.forward(nodes, unit, compute(), Some(&mut hook));
        seen
    }

    #[test]
    fn attention_rows_sum_to_one() {
        let device = Device::flex();
        let graph = Graph::new(&config(2, Affinity::None), 5, &device);
        let nodes = Tensor::random([2, 9, 5], Distribution::Default, &device);
        let seen = hooked(&graph, nodes, None);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].dims(), [2, 2, 9, 9]);
        let sums = seen[0].clone().sum_dim(3).into_data();
        let sums: Vec<f32> = sums.try_into_vec().unwrap();
        assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-5));
    }

    #[test]
    fn a_large_affinity_scale_draws_attention_to_like_nodes() {
        let device = Device::flex();
        let mut config = config(1, Affinity::Bias);
        config.affinity_start = 50.0;
        let graph = Graph::new(&config, 4, &device);
        let nodes = Tensor::<2>::eye(4, &device).unsqueeze::<3>();
        let seen = hooked(&graph, nodes.clone(), Some(&nodes));
        let own: Vec<f32> = seen[0].clone().into_data().try_into_vec().unwrap();
        for i in 0..4 {
            assert!(own[i * 5] > 0.99, "node {i} attends to itself");
        }
    }
}
