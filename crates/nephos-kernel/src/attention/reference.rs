//! Attention and its gradient as they are written down, in f64.

use super::Shape;
use crate::dropout::Dropout;

/// What [`forward`](super::forward()) computes, and with `gradient`, the gradient of
/// the output, what [`backward`](super::backward()) does.
pub(super) fn attention(
    qkv: &[f32],
    shape: Shape,
    dropout: &Dropout,
    gradient: Option<&[f32]>,
) -> (Vec<f64>, Vec<f64>) {
    let Shape {
        batch,
        tokens,
        width,
        heads,
    } = shape;
    let head = width / heads;
    let scale = 1.0 / (head as f64).sqrt();
    let mut output = vec![0.0; batch * tokens * width];
    let mut backward = vec![0.0; 3 * output.len()];
    for (item, h) in (0..batch).flat_map(|item| (0..heads).map(move |h| (item, h))) {
        let place = |token: usize, part: usize, f: usize| {
            (item * tokens + token) * 3 * width + part * width + h * head + f
        };
        let at = |token, part, f| f64::from(qkv[place(token, part, f)]);
        let out = |token: usize, f: usize| (item * tokens + token) * width + h * head + f;
        for i in 0..tokens {
            let dot = |j| (0..head).map(|f| at(i, 0, f) * at(j, 1, f)).sum::<f64>();
            let scores: Vec<f64> = (0..tokens).map(|j| dot(j) * scale).collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|s| (s - highest).exp()).sum();
            let weights: Vec<f64> = (scores.iter())
                .map(|s| (s - highest).exp() / total)
                .collect();
            let factor = |j: usize| {
                let sequence = item * heads + h;
                let index = ((sequence * tokens + j) * tokens + i) as u64;
                f64::from(dropout.scale(index))
            };
            for f in 0..head {
                output[out(i, f)] = (0..tokens)
                    .map(|j| weights[j] * factor(j) * at(j, 2, f))
                    .sum();
            }
            let Some(gradient) = gradient else {
                continue;
            };
            let of_output = |f| f64::from(gradient[out(i, f)]);
            let of_weight: Vec<f64> = (0..tokens)
                .map(|j| factor(j) * (0..head).map(|f| of_output(f) * at(j, 2, f)).sum::<f64>())
                .collect();
            let mean: f64 = weights.iter().zip(&of_weight).map(|(w, g)| w * g).sum();
            for j in 0..tokens {
                let of_score = weights[j] * (of_weight[j] - mean) * scale;
                for f in 0..head {
                    backward[place(i, 0, f)] += of_score * at(j, 1, f);
                    backward[place(j, 1, f)] += of_score * at(i, 0, f);
                    backward[place(j, 2, f)] += weights[j] * factor(j) * of_output(f);
                }
            }
        }
    }
    (output, backward)
}
