//! A layer as it is defined, in f64, one number at a time.

use super::{Layer, Order, Sequences};
use crate::attention::Shape;
use crate::dropout::Dropout;
use crate::gemm::Act;
use crate::norm::LayerNorm;

/// Rows of numbers.
type Rows = Vec<Vec<f64>>;

/// `layer` is a weight, `[inputs, outputs]`, and a bias.
fn linear(x: &Rows, layer: &[Vec<f32>]) -> Rows {
    let outputs = layer[1].len();
    let weight = |i: usize, o: usize| f64::from(layer[0][i * outputs + o]);
    let output = |row: &[f64], o: usize| {
        let sum: f64 = row.iter().enumerate().map(|(i, x)| x * weight(i, o)).sum();
        sum + f64::from(layer[1][o])
    };
    let row = |row: &Vec<f64>| (0..outputs).map(|o| output(row, o)).collect();
    x.iter().map(row).collect()
}

fn norm(x: &Rows, layer: &LayerNorm<'_>) -> Rows {
    let row = |row: &Vec<f64>| {
        let count = row.len() as f64;
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let deviation = (variance + f64::from(layer.epsilon)).sqrt();
        let weights = layer.scale.iter().zip(&*layer.shift);
        (row.iter().zip(weights))
            .map(|(x, (scale, shift))| {
                (x - mean) / deviation * f64::from(*scale) + f64::from(*shift)
            })
            .collect()
    };
    x.iter().map(row).collect()
}

fn drop(x: Rows, dropout: &Dropout) -> Rows {
    let mut index = 0..;
    let mut factor = || f64::from(dropout.scale(index.next().unwrap()));
    let row = |row: Vec<f64>| row.into_iter().map(|x| x * factor()).collect();
    x.into_iter().map(row).collect()
}

fn add(a: &Rows, b: &Rows) -> Rows {
    let row = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
    a.iter().zip(b).map(row).collect()
}

fn attend(shape: Shape, sequences: &Sequences, x: &Rows, all: &[Vec<f32>]) -> Rows {
    let head = shape.width / shape.heads;
    let packed = linear(x, &all[..2]);
    let mut context = vec![vec![0.0; shape.width]; x.len()];
    for sequence in 0..shape.batch * shape.heads {
        let (image, index) = (sequence / shape.heads, sequence % shape.heads);
        let token = |t: usize, part: usize| {
            &packed[image * shape.tokens + t][part * shape.width + index * head..][..head]
        };
        for query in 0..shape.tokens {
            let dot = |key: usize| {
                let pairs = token(query, 0).iter().zip(token(key, 1));
                pairs.map(|(q, k)| q * k).sum::<f64>() / (head as f64).sqrt()
            };
            let scores: Vec<f64> = (0..shape.tokens).map(dot).collect();
            let sum: f64 = scores.iter().map(|s| s.exp()).sum();
            for (key, score) in scores.iter().enumerate() {
                let at = shape.weight_index(sequence, key, query);
                let weight = score.exp() / sum * f64::from(sequences.dropouts.weights.scale(at));
                let out = &mut context[image * shape.tokens + query][index * head..][..head];
                for (out, value) in out.iter_mut().zip(token(key, 2)) {
                    *out += weight * value;
                }
            }
        }
    }
    drop(linear(&context, &all[2..]), &sequences.dropouts.attended)
}

fn feed(activation: Act, sequences: &Sequences, x: &Rows, all: &[Vec<f32>]) -> Rows {
    let activation = |x: f64| match activation {
        Act::None => x,
        Act::Relu => x.max(0.0),
        Act::Gelu => {
            // Φ by its Taylor series, good for |x| below 6.
            let (mut term, mut sum) = (x, x);
            for k in 1..120 {
                term *= -x * x / (2 * k) as f64;
                sum += term / (2 * k + 1) as f64;
            }
            x * (0.5 + sum / std::f64::consts::TAU.sqrt())
        }
    };
    let hidden = linear(x, &all[4..]);
    let row = |row: Vec<f64>| row.into_iter().map(activation).collect();
    let hidden = drop(
        hidden.into_iter().map(row).collect(),
        &sequences.dropouts.hidden,
    );
    drop(linear(&hidden, &all[6..]), &sequences.dropouts.fed)
}

/// The output, `[rows, width]`, of a layer of the weights `all`: weight and bias of each linear
/// layer, scale and shift of each norm.
pub(super) fn forward(
    layer: &Layer<'_>,
    sequences: &Sequences,
    x: &[f64],
    all: &[Vec<f32>],
) -> Vec<f64> {
    let shape = Shape {
        batch: sequences.batch,
        tokens: sequences.tokens,
        width: layer.norm1.scale.len(),
        heads: layer.heads,
    };
    let x: Rows = x.chunks(shape.width).map(<[f64]>::to_vec).collect();
    let attend = |x: &Rows| attend(shape, sequences, x, all);
    let feed = |x: &Rows| feed(layer.activation, sequences, x, all);
    let out = match layer.order {
        Order::Post => {
            let x = norm(&add(&x, &attend(&x)), &layer.norm1);
            norm(&add(&x, &feed(&x)), &layer.norm2)
        }
        Order::Pre => {
            let x = add(&x, &attend(&norm(&x, &layer.norm1)));
            add(&x, &feed(&norm(&x, &layer.norm2)))
        }
    };
    out.concat()
}
