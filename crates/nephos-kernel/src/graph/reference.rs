//! Graph attention by its formula: every pair, in f64.

use super::{Pairs, Shape};

/// LeakyReLU with `slope` in [0, 1]; a slope of 0 takes -∞ to 0.
pub fn leaky(x: f64, slope: f64) -> f64 {
    match () {
        () if x > 0.0 => x,
        () if slope == 0.0 => 0.0,
        () => slope * x,
    }
}

/// The attention of one head, `[N, N]`, rows summing to one, where `bias(i, j)` is
/// added to the score of a pair.
///
/// Where scores are infinite it is the limit: a row of `s = ±∞` sees all pairs
/// on one side of the kink, and of several `t = ∞` each gets the same weight.
pub fn attention(s: &[f32], t: &[f32], slope: f64, bias: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut attention = Vec::with_capacity(s.len() * t.len());
    for (i, &s) in s.iter().enumerate() {
        let score = |t: f64| match f64::from(s) {
            f64::INFINITY => t,
            f64::NEG_INFINITY if slope == 0.0 => 0.0,
            f64::NEG_INFINITY => slope * t,
            s => leaky(s + t, slope),
        };
        let row: Vec<f64> = (t.iter().enumerate())
            .map(|(j, &t)| score(f64::from(t)) + bias(i, j))
            .collect();
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let row = (row.iter()).map(|&x| if x == max { 1.0 } else { (x - max).exp() });
        let total: f64 = row.clone().sum();
        attention.extend(row.map(|w| w / total));
    }
    attention
}

/// `softmax(LeakyReLU(s_i + t_j) + bias_ij) Wh`, with dropout on the softmax.
///
/// # Shapes
/// - wh: `[batch, nodes, heads * head]`
/// - s, t: `[batch, heads, nodes]`
/// - output: as `wh`
pub fn forward(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    pairs: &Pairs<'_>,
) -> Vec<f64> {
    let n = shape.nodes;
    let mut out = vec![0.0; shape.features()];
    for place in places(shape) {
        let (s, t) = (&s[place.scores..][..n], &t[place.scores..][..n]);
        let cosine = place.cosine(shape, pairs);
        let attention = attention(s, t, slope, |i, j| place.scale(pairs) * cosine(i, j));
        for i in 0..n {
            for j in 0..n {
                let kept = pairs.dropout.scale((place.pairs + i * n + j) as u64);
                let weight = attention[i * n + j] * f64::from(kept);
                for f in 0..shape.head {
                    out[place.feature(shape, i) + f] +=
                        weight * f64::from(wh[place.feature(shape, j) + f]);
                }
            }
        }
    }
    out
}

/// Gradients of [`forward`].
#[derive(Debug, Clone)]
pub struct Gradients {
    /// By `wh`.
    pub wh: Vec<f64>,
    /// By `s`.
    pub s: Vec<f64>,
    /// By `t`.
    pub t: Vec<f64>,
    /// By the tokens of the bias; empty without one.
    pub tokens: Vec<f64>,
    /// By the scale of the bias.
    pub scale: f64,
}

/// The gradients of a loss, from `grad`, its gradient by the output.
pub fn backward(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    pairs: &Pairs<'_>,
    grad: &[f32],
) -> Gradients {
    let n = shape.nodes;
    let mut out = Gradients {
        wh: vec![0.0; shape.features()],
        s: vec![0.0; shape.scores()],
        t: vec![0.0; shape.scores()],
        tokens: vec![0.0; pairs.bias.map_or(0, |bias| bias.tokens.len())],
        scale: 0.0,
    };
    for place in places(shape) {
        let (s, t) = (&s[place.scores..][..n], &t[place.scores..][..n]);
        let (cosine, scale) = (place.cosine(shape, pairs), place.scale(pairs));
        let attention = attention(s, t, slope, |i, j| scale * cosine(i, j));
        for i in 0..n {
            let kept = |j| f64::from(pairs.dropout.scale((place.pairs + i * n + j) as u64));
            let features = |values: &[f32], node| -> Vec<f64> {
                let values = &values[place.feature(shape, node)..][..shape.head];
                values.iter().map(|&x| f64::from(x)).collect()
            };
            let grad = features(grad, i);
            let by_attention: Vec<f64> = (0..n)
                .map(|j| {
                    let wh = features(wh, j);
                    kept(j) * grad.iter().zip(&wh).map(|(g, w)| g * w).sum::<f64>()
                })
                .collect();
            let row = &attention[i * n..][..n];
            let mean: f64 = row.iter().zip(&by_attention).map(|(a, g)| a * g).sum();
            for j in 0..n {
                for (f, grad) in grad.iter().enumerate() {
                    out.wh[place.feature(shape, j) + f] += row[j] * kept(j) * grad;
                }
                let by_score = row[j] * (by_attention[j] - mean);
                let steep = if s[i] + t[j] > 0.0 { 1.0 } else { slope };
                out.s[place.scores + i] += steep * by_score;
                out.t[place.scores + j] += steep * by_score;
                let Some(bias) = pairs.bias else { continue };
                out.scale += by_score * cosine(i, j);
                let [i, j] = [i, j].map(|node| (place.batch * n + node) * bias.width);
                for f in 0..bias.width {
                    out.tokens[i + f] += scale * by_score * f64::from(bias.tokens[j + f]);
                    out.tokens[j + f] += scale * by_score * f64::from(bias.tokens[i + f]);
                }
            }
        }
    }
    out
}

/// One head of one graph.
struct Place {
    batch: usize,
    head: usize,
    /// Where its scores start.
    scores: usize,
    /// The number of its first pair.
    pairs: usize,
}

fn places(shape: &Shape) -> impl Iterator<Item = Place> {
    let (heads, nodes) = (shape.heads, shape.nodes);
    (0..shape.batch * heads).map(move |index| Place {
        batch: index / heads,
        head: index % heads,
        scores: index * nodes,
        pairs: index * nodes * nodes,
    })
}

impl Place {
    /// Where the features of a node start.
    fn feature(&self, shape: &Shape, node: usize) -> usize {
        (self.batch * shape.nodes + node) * shape.width() + self.head * shape.head
    }

    fn scale(&self, pairs: &Pairs<'_>) -> f64 {
        pairs.bias.map_or(0.0, |bias| f64::from(bias.scale))
    }

    fn cosine<'a>(
        &self,
        shape: &Shape,
        pairs: &Pairs<'a>,
    ) -> impl Fn(usize, usize) -> f64 + use<'a> {
        let (bias, start) = (pairs.bias, self.batch * shape.nodes);
        move |i, j| {
            let Some(bias) = bias else { return 0.0 };
            let token = |node| &bias.tokens[(start + node) * bias.width..][..bias.width];
            let products = token(i).iter().zip(token(j));
            products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        }
    }
}
