//! Graph attention as its formula stands: every pair, in f64.

use super::Shape;

/// LeakyReLU with `slope` in [0, 1]; a slope of 0 takes -∞ to 0.
pub fn leaky(x: f64, slope: f64) -> f64 {
    match () {
        () if x > 0.0 => x,
        () if slope == 0.0 => 0.0,
        () => slope * x,
    }
}

/// The attention of one head, `[N, N]`, rows summing to one.
///
/// Where scores are infinite it is the limit: a row of `s = ±∞` sees all pairs
/// on one side of the kink, and of several `t = ∞` each gets the same share.
pub fn attention(s: &[f32], t: &[f32], slope: f64) -> Vec<f64> {
    let mut attention = Vec::with_capacity(s.len() * t.len());
    for &s in s {
        let (s, t) = (f64::from(s), t.iter().map(|&t| f64::from(t)));
        let row: Vec<f64> = if s == f64::INFINITY {
            t.collect()
        } else if s == f64::NEG_INFINITY {
            t.map(|t| if slope == 0.0 { 0.0 } else { slope * t })
                .collect()
        } else {
            t.map(|t| leaky(s + t, slope)).collect()
        };
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let row = row
            .iter()
            .map(|&x| if x == max { 1.0 } else { (x - max).exp() });
        let total: f64 = row.clone().sum();
        attention.extend(row.map(|w| w / total));
    }
    attention
}

/// `softmax(LeakyReLU(s_i + t_j)) Wh`.
///
/// # Shapes
/// - wh: `[batch, nodes, heads * head]`
/// - s, t: `[batch, heads, nodes]`
/// - output: as `wh`
pub fn forward(shape: &Shape, wh: &[f32], s: &[f32], t: &[f32], slope: f64) -> Vec<f64> {
    let mut out = vec![0.0; shape.features()];
    each_head(shape, |feature, score| {
        let attention = attention(
            &s[score..][..shape.nodes],
            &t[score..][..shape.nodes],
            slope,
        );
        for i in 0..shape.nodes {
            for j in 0..shape.nodes {
                for f in 0..shape.head {
                    out[feature(i) + f] +=
                        attention[i * shape.nodes + j] * f64::from(wh[feature(j) + f]);
                }
            }
        }
    });
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
}

/// The gradients of a loss, from `grad`, its gradient by the output.
pub fn backward(
    shape: &Shape,
    wh: &[f32],
    s: &[f32],
    t: &[f32],
    slope: f64,
    grad: &[f32],
) -> Gradients {
    let n = shape.nodes;
    let mut out = Gradients {
        wh: vec![0.0; shape.features()],
        s: vec![0.0; shape.scores()],
        t: vec![0.0; shape.scores()],
    };
    each_head(shape, |feature, score| {
        let (s, t) = (&s[score..][..n], &t[score..][..n]);
        let attention = attention(s, t, slope);
        for i in 0..n {
            let by_attention: Vec<f64> = (0..n)
                .map(|j| {
                    (0..shape.head)
                        .map(|f| f64::from(grad[feature(i) + f]) * f64::from(wh[feature(j) + f]))
                        .sum()
                })
                .collect();
            let row = &attention[i * n..][..n];
            let mean: f64 = row.iter().zip(&by_attention).map(|(a, g)| a * g).sum();
            for j in 0..n {
                for f in 0..shape.head {
                    out.wh[feature(j) + f] += row[j] * f64::from(grad[feature(i) + f]);
                }
                let steep = if s[i] + t[j] > 0.0 { 1.0 } else { slope };
                let by_score = steep * row[j] * (by_attention[j] - mean);
                out.s[score + i] += by_score;
                out.t[score + j] += by_score;
            }
        }
    });
    out
}

/// Calls `body` for each graph and head, with the place of a node's features and
/// that of the scores.
fn each_head(shape: &Shape, mut body: impl FnMut(&dyn Fn(usize) -> usize, usize)) {
    for batch in 0..shape.batch {
        for head in 0..shape.heads {
            body(
                &|node| (batch * shape.nodes + node) * shape.width() + head * shape.head,
                (batch * shape.heads + head) * shape.nodes,
            );
        }
    }
}
