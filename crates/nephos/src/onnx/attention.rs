//! The encoder and the graph: attention of tokens to those that they see.

use super::graph::{Attribute, Value};
use super::layers::Builder;
use super::sight::Sight;
use crate::config::{Activation, Affinity, NormOrder};
use crate::error::Result;

/// Added to the square of a token's length, as in the engine.
const EPSILON: f32 = 1e-12;

impl Builder<'_> {
    /// The encoder's tokens.
    pub fn encoder(&mut self, tokens: Value, sight: &Sight) -> Result<Value> {
        let encoder = &self.config.encoder;
        let mut x = tokens;
        let mut tapped: Option<Value> = None;
        for depth in 0..=encoder.depth {
            for (index, _) in (encoder.taps.iter().enumerate()).filter(|(_, tap)| **tap == depth) {
                let normed = self.norm(&x, &format!("encoder.taps.{index}.norm"))?;
                let project = format!("encoder.taps.{index}.project");
                let tap = self.linear(&normed, &project, true)?;
                tapped = Some(match tapped {
                    Some(sum) => self.add(&sum, &tap),
                    None => tap,
                });
            }
            if depth < encoder.depth {
                x = self.encoder_layer(&x, &format!("encoder.layers.{depth}"), sight)?;
            }
        }
        if encoder.final_norm {
            x = self.norm(&x, "encoder.norm")?;
        }
        Ok(match tapped {
            Some(tapped) => self.add(&x, &tapped),
            None => x,
        })
    }

    fn encoder_layer(&mut self, x: &Value, layer: &str, sight: &Sight) -> Result<Value> {
        let [norm1, norm2] = ["norm1", "norm2"].map(|norm| format!("{layer}.{norm}"));
        match self.config.encoder.norm {
            NormOrder::Pre => {
                let normed = self.norm(x, &norm1)?;
                let attended = self.self_attention(&normed, layer, sight)?;
                let middle = self.add(x, &attended);
                let normed = self.norm(&middle, &norm2)?;
                let fed = self.feed_forward(&normed, layer)?;
                Ok(self.add(&middle, &fed))
            }
            NormOrder::Post => {
                let attended = self.self_attention(x, layer, sight)?;
                let sum = self.add(x, &attended);
                let middle = self.norm(&sum, &norm1)?;
                let fed = self.feed_forward(&middle, layer)?;
                let sum = self.add(&middle, &fed);
                self.norm(&sum, &norm2)
            }
        }
    }

    fn self_attention(&mut self, x: &Value, layer: &str, sight: &Sight) -> Result<Value> {
        let (width, heads) = (self.config.patch.width, self.config.encoder.heads);
        let head = width / heads;
        let packed = self.linear(x, &format!("{layer}.self_attn.in_proj"), true)?;
        let last = [Attribute::Int("axis", -1)];
        let parts: [Value; 3] = self.graph.nodes("Split", &[&packed], &last);
        let [q, k, v] = parts.map(|part| self.by_head(&part, heads));
        let q = self.scaled(&q, (head as f32).sqrt().recip());
        let q = self.queries(&q, sight, [heads, head]);
        let k = self.keys(&k, sight, [heads, head]);
        let v = self.keys(&v, sight, [heads, head]);
        let k = self.transpose(&k, &[0, 1, 2, 4, 3]);
        let scores = self.graph.node("MatMul", &[&q, &k], &[]);
        let shares = self.shares(&scores, sight);
        let context = self.graph.node("MatMul", &[&shares, &v], &[]);
        let context = self.by_token(&context, sight, [heads, head]);
        self.linear(&context, &format!("{layer}.self_attn.out_proj"), true)
    }

    fn feed_forward(&mut self, x: &Value, layer: &str) -> Result<Value> {
        let hidden = self.linear(x, &format!("{layer}.linear1"), true)?;
        let hidden = match self.config.encoder.activation {
            Activation::Relu => self.relu(&hidden),
            Activation::Gelu => {
                let part = self.scaled(&hidden, std::f32::consts::FRAC_1_SQRT_2);
                let erf = self.graph.node("Erf", &[&part], &[]);
                let one = self.graph.number(1.0);
                let share = self.add(&erf, &one);
                let product = self.graph.node("Mul", &[&hidden, &share], &[]);
                self.scaled(&product, 0.5)
            }
        };
        self.linear(&hidden, &format!("{layer}.linear2"), true)
    }

    /// The nodes after the graph attention.
    pub fn graph_attention(&mut self, tokens: Value, sight: &Sight) -> Result<Value> {
        let graph = &self.config.graph;
        let (heads, head) = (graph.heads, graph.width / graph.heads);
        let cosines = (self.config.compares_patches()).then(|| self.cosines(&tokens, sight));
        let mut nodes = tokens;
        for index in 0..graph.layers {
            let layer = format!("graph.layers.{index}");
            let features = self.linear(&nodes, &format!("{layer}.project"), false)?;
            let scores = self.pair_scores(&features, &layer, sight)?;
            let scores = match (&cosines, graph.affinity) {
                (Some(cosines), Affinity::Bias) => {
                    let (_, _, scale) = self.weight(&format!("{layer}.affinity_scale"))?;
                    let bias = self.scaled(cosines, scale.first().copied().unwrap_or_default());
                    self.add(&scores, &bias)
                }
                _ => scores,
            };
            let shares = self.shares(&scores, sight);
            let features = self.by_head(&features, heads);
            let features = self.keys(&features, sight, [heads, head]);
            let sums = self.graph.node("MatMul", &[&shares, &features], &[]);
            let sums = self.by_token(&sums, sight, [heads, head]);
            let positive = self.relu(&sums);
            nodes = match graph.residual {
                true => self.add(&nodes, &positive),
                false => positive,
            };
        }
        Ok(nodes)
    }

    /// LeakyReLU of the sum of both nodes' scores, `[batch, heads, blocks, queries, keys]`.
    fn pair_scores(&mut self, features: &Value, layer: &str, sight: &Sight) -> Result<Value> {
        let graph = &self.config.graph;
        let (heads, head) = (graph.heads, graph.width / graph.heads);
        let (name, _, vectors) = self.weight(&format!("{layer}.score"))?;
        let [from, to] = [("from", 0), ("to", head)].map(|(part, first)| {
            // A column for each head, 0 where features are another head's.
            let mut columns = vec![0.0; graph.width * heads];
            for (feature, row) in columns.chunks_exact_mut(heads).enumerate() {
                let of = feature / head;
                let place = of * 2 * head + first + feature % head;
                row[of] = vectors.get(place).copied().unwrap_or_default();
            }
            let (name, shape) = (format!("{name}.{part}"), [graph.width, heads]);
            let columns = self.graph.constant(&name, &shape, &columns);
            let scores = self.graph.node("MatMul", &[features, &columns], &[]);
            self.by_head(&scores, heads)
        });
        let from = self.queries(&from, sight, [heads, 1]);
        let to = self.keys(&to, sight, [heads, 1]);
        let to = self.transpose(&to, &[0, 1, 2, 4, 3]);
        let sums = self.add(&from, &to);
        let alpha = Attribute::Float("alpha", graph.slope as f32);
        Ok(self.graph.node("LeakyRelu", &[&sums], &[alpha]))
    }

    /// Cosines of the angles between tokens, `[batch, 1, blocks, queries, keys]`.
    fn cosines(&mut self, tokens: &Value, sight: &Sight) -> Value {
        let width = self.config.patch.width;
        let last = [Attribute::Ints("axes", &[-1])];
        let squares = self.graph.node("ReduceSumSquare", &[tokens], &last);
        let epsilon = self.graph.number(EPSILON);
        let squares = self.add(&squares, &epsilon);
        let lengths = self.graph.node("Sqrt", &[&squares], &[]);
        let units = self.graph.node("Div", &[tokens, &lengths], &[]);
        let units = self.by_head(&units, 1);
        let queries = self.queries(&units, sight, [1, width]);
        let keys = self.keys(&units, sight, [1, width]);
        let keys = self.transpose(&keys, &[0, 1, 2, 4, 3]);
        self.graph.node("MatMul", &[&queries, &keys], &[])
    }
}
