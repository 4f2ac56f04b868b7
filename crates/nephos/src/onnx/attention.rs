//! The encoder and the graph: attention of all tokens, or of those within reach.

use nephos_kernel::reach::Reach;

use super::graph::{Attribute, Value};
use super::layers::Builder;
use crate::config::{Activation, Affinity, NormOrder};
use crate::error::Result;

/// Added to the score of a pair out of reach: its share of a softmax is 0 then.
const NEVER: f32 = -1e9;

/// Added to the square of a token's length, as in the engine.
const EPSILON: f32 = 1e-12;

impl Builder<'_> {
    /// What is added to the scores of pairs, `[tokens, tokens]`; none where all tokens attend to
    /// all. A pair is within reach if it is by rows and by columns: the file holds two small
    /// matrices and the sum is made where it is run.
    pub fn mask(&mut self) -> Option<Value> {
        let reach = Reach {
            grid: self.grid,
            reach: self.config.reach?,
        };
        if !reach.limits() {
            return None;
        }
        let [rows, cols] = self.grid;
        let parts = [
            ("reach.rows", 0, [rows, 1, rows, 1]),
            ("reach.columns", 1, [1, cols, 1, cols]),
        ];
        let [by_row, by_col] = parts.map(|(name, axis, shape)| {
            let scores: Vec<f32> = (reach.along(axis).into_iter().flatten())
                .map(|within| if within { 0.0 } else { NEVER })
                .collect();
            self.graph.constant(name, &shape, &scores)
        });
        let pairs = self.add(&by_row, &by_col);
        Some(self.reshape(&pairs, &[self.tokens() as i64; 2]))
    }

    /// Shares of each row of scores.
    fn softmax(&mut self, scores: &Value, mask: Option<&Value>) -> Value {
        let masked = mask.map(|mask| self.add(scores, mask));
        let scores = masked.as_ref().unwrap_or(scores);
        self.graph
            .node("Softmax", &[scores], &[Attribute::Int("axis", -1)])
    }

    /// The encoder's tokens.
    pub fn encoder(&mut self, tokens: Value, mask: Option<&Value>) -> Result<Value> {
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
                x = self.encoder_layer(&x, &format!("encoder.layers.{depth}"), mask)?;
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

    fn encoder_layer(&mut self, x: &Value, layer: &str, mask: Option<&Value>) -> Result<Value> {
        let [norm1, norm2] = ["norm1", "norm2"].map(|norm| format!("{layer}.{norm}"));
        match self.config.encoder.norm {
            NormOrder::Pre => {
                let normed = self.norm(x, &norm1)?;
                let attended = self.self_attention(&normed, layer, mask)?;
                let middle = self.add(x, &attended);
                let normed = self.norm(&middle, &norm2)?;
                let fed = self.feed_forward(&normed, layer)?;
                Ok(self.add(&middle, &fed))
            }
            NormOrder::Post => {
                let attended = self.self_attention(x, layer, mask)?;
                let sum = self.add(x, &attended);
                let middle = self.norm(&sum, &norm1)?;
                let fed = self.feed_forward(&middle, layer)?;
                let sum = self.add(&middle, &fed);
                self.norm(&sum, &norm2)
            }
        }
    }

    fn self_attention(&mut self, x: &Value, layer: &str, mask: Option<&Value>) -> Result<Value> {
        let (width, heads) = (self.config.patch.width, self.config.encoder.heads);
        let (tokens, head) = (self.tokens() as i64, width / heads);
        let packed = self.linear(x, &format!("{layer}.self_attn.in_proj"), true)?;
        let parts: [Value; 3] =
            self.graph
                .nodes("Split", &[&packed], &[Attribute::Int("axis", -1)]);
        let [q, k, v] =
            parts.map(|part| self.reshape(&part, &[0, tokens, heads as i64, head as i64]));
        let q = self.transpose(&q, &[0, 2, 1, 3]);
        let k = self.transpose(&k, &[0, 2, 3, 1]);
        let v = self.transpose(&v, &[0, 2, 1, 3]);
        let q = self.scaled(&q, (head as f32).sqrt().recip());
        let scores = self.graph.node("MatMul", &[&q, &k], &[]);
        let shares = self.softmax(&scores, mask);
        let context = self.graph.node("MatMul", &[&shares, &v], &[]);
        let context = self.by_token(&context, width);
        self.linear(&context, &format!("{layer}.self_attn.out_proj"), true)
    }

    /// Features of heads, `[batch, heads, tokens, head]`, side by side.
    fn by_token(&mut self, heads: &Value, width: usize) -> Value {
        let tokens = self.transpose(heads, &[0, 2, 1, 3]);
        self.reshape(&tokens, &[0, self.tokens() as i64, width as i64])
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
    pub fn graph_attention(&mut self, tokens: Value, mask: Option<&Value>) -> Result<Value> {
        let graph = &self.config.graph;
        let cosines = (self.config.compares_patches()).then(|| self.cosines(&tokens));
        let mut nodes = tokens;
        for index in 0..graph.layers {
            let layer = format!("graph.layers.{index}");
            let features = self.linear(&nodes, &format!("{layer}.project"), false)?;
            let scores = self.pair_scores(&features, &layer)?;
            let scores = match (&cosines, graph.affinity) {
                (Some(cosines), Affinity::Bias) => {
                    let (_, _, scale) = self.weight(&format!("{layer}.affinity_scale"))?;
                    let bias = self.scaled(cosines, scale.first().copied().unwrap_or_default());
                    self.add(&scores, &bias)
                }
                _ => scores,
            };
            let shares = self.softmax(&scores, mask);
            let heads = [0, self.tokens() as i64, graph.heads as i64, -1];
            let features = self.reshape(&features, &heads);
            let features = self.transpose(&features, &[0, 2, 1, 3]);
            let sums = self.graph.node("MatMul", &[&shares, &features], &[]);
            let sums = self.by_token(&sums, graph.width);
            let positive = self.relu(&sums);
            nodes = match graph.residual {
                true => self.add(&nodes, &positive),
                false => positive,
            };
        }
        Ok(nodes)
    }

    /// LeakyReLU of the sum of both nodes' scores, `[batch, heads, tokens, tokens]`.
    fn pair_scores(&mut self, features: &Value, layer: &str) -> Result<Value> {
        let graph = &self.config.graph;
        let (heads, head) = (graph.heads, graph.width / graph.heads);
        let (name, _, vectors) = self.weight(&format!("{layer}.score"))?;
        let mut parts = Vec::new();
        for (part, axes) in [("from", [0, 2, 1]), ("to", [0, 2, 1])] {
            // A column for each head, 0 where features are another head's.
            let first = if part == "from" { 0 } else { head };
            let mut columns = vec![0.0; graph.width * heads];
            for (feature, row) in columns.chunks_exact_mut(heads).enumerate() {
                let of = feature / head;
                let place = of * 2 * head + first + feature % head;
                row[of] = vectors.get(place).copied().unwrap_or_default();
            }
            let columns =
                (self.graph).constant(&format!("{name}.{part}"), &[graph.width, heads], &columns);
            let scores = self.graph.node("MatMul", &[features, &columns], &[]);
            let scores = self.transpose(&scores, &axes);
            let tokens = self.tokens() as i64;
            let shape = match part {
                "from" => [0, heads as i64, tokens, 1],
                _ => [0, heads as i64, 1, tokens],
            };
            parts.push(self.reshape(&scores, &shape));
        }
        let sums = self.add(&parts[0], &parts[1]);
        let alpha = Attribute::Float("alpha", graph.slope as f32);
        Ok(self.graph.node("LeakyRelu", &[&sums], &[alpha]))
    }

    /// Cosines of the angles between tokens, `[batch, 1, tokens, tokens]`.
    fn cosines(&mut self, tokens: &Value) -> Value {
        let last = [Attribute::Ints("axes", &[-1])];
        let squares = self.graph.node("ReduceSumSquare", &[tokens], &last);
        let epsilon = self.graph.number(EPSILON);
        let squares = self.add(&squares, &epsilon);
        let lengths = self.graph.node("Sqrt", &[&squares], &[]);
        let units = self.graph.node("Div", &[tokens, &lengths], &[]);
        let across = self.transpose(&units, &[0, 2, 1]);
        let cosines = self.graph.node("MatMul", &[&units, &across], &[]);
        let tokens = self.tokens() as i64;
        self.reshape(&cosines, &[0, 1, tokens, tokens])
    }
}
