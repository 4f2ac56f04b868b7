//! Graph attention of one head of 512 features, by the number of nodes:
//! `cargo bench --bench graph`.
//!
//! Sorted for all sizes; over all pairs, with dropout and with an affinity, for
//! those where that ends soon.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nephos_kernel::dropout::Dropout;
use nephos_kernel::graph::{Bias, Pairs, Shape, pairwise, sorted};

const WIDTH: usize = 512;
const TOKEN: usize = 256;
const SLOPE: f64 = 0.2;

/// Numbers in [-1, 1) of no short period.
fn numbers(seed: u32, length: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// Inputs and results of a layer.
struct Layer {
    shape: Shape,
    wh: Vec<f32>,
    grad: Vec<f32>,
    s: Vec<f32>,
    t: Vec<f32>,
    out: Vec<f32>,
    by_s: Vec<f32>,
    by_t: Vec<f32>,
}

impl Layer {
    fn new(nodes: usize) -> Self {
        Self {
            shape: Shape {
                batch: 1,
                nodes,
                heads: 1,
                head: WIDTH,
            },
            wh: numbers(1, nodes * WIDTH),
            grad: numbers(2, nodes * WIDTH),
            s: numbers(3, nodes),
            t: numbers(4, nodes),
            out: vec![0.0; nodes * WIDTH],
            by_s: vec![0.0; nodes],
            by_t: vec![0.0; nodes],
        }
    }
}

fn sorted_attention(c: &mut Criterion) {
    let mut group = c.benchmark_group("sorted graph attention");
    group.sample_size(10);
    for nodes in [729, 4096, 16384, 65536, 262_144] {
        let Layer {
            shape,
            wh,
            grad,
            s,
            t,
            mut out,
            mut by_s,
            mut by_t,
        } = Layer::new(nodes);
        group.throughput(Throughput::Elements(nodes as u64));
        group.bench_function(BenchmarkId::new("forward", nodes), |bencher| {
            bencher.iter(|| sorted::forward(&shape, &wh, &s, &t, SLOPE, true, &mut out));
        });
        group.bench_function(BenchmarkId::new("forward and backward", nodes), |bencher| {
            bencher.iter(|| {
                sorted::forward(&shape, &wh, &s, &t, SLOPE, true, &mut out);
                // Overwrites the output: a buffer less for the largest size.
                let (by_s, by_t) = (&mut by_s, &mut by_t);
                sorted::backward(&shape, &wh, &s, &t, SLOPE, &grad, &mut out, by_s, by_t);
            });
        });
    }
}

fn pairwise_attention(c: &mut Criterion) {
    let mut group = c.benchmark_group("graph attention over all pairs");
    group.sample_size(10);
    for nodes in [729, 4096] {
        let mut layer = Layer::new(nodes);
        let tokens = numbers(5, nodes * TOKEN);
        let mut by_tokens = vec![0.0; tokens.len()];
        let bias = Bias {
            tokens: &tokens,
            width: TOKEN,
            scale: 0.1,
        };
        group.throughput(Throughput::Elements((nodes * nodes) as u64));
        for (name, bias) in [("dropout", None), ("dropout and affinity", Some(bias))] {
            let pairs = Pairs {
                bias,
                dropout: Dropout::new(42, 0.1),
            };
            let id = BenchmarkId::new(format!("{name}, forward and backward"), nodes);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let Layer {
                        shape,
                        wh,
                        grad,
                        s,
                        t,
                        out,
                        by_s,
                        by_t,
                    } = &mut layer;
                    pairwise::forward(shape, wh, s, t, SLOPE, &pairs, true, out);
                    let mut by = pairwise::Gradients {
                        wh: out,
                        s: by_s,
                        t: by_t,
                        tokens: if bias.is_some() {
                            &mut by_tokens
                        } else {
                            &mut []
                        },
                        scale: 0.0,
                    };
                    pairwise::backward(shape, wh, s, t, SLOPE, &pairs, grad, &mut by);
                });
            });
        }
    }
}

criterion_group!(benches, sorted_attention, pairwise_attention);
criterion_main!(benches);
