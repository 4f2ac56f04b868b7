//! The kernels of the forward pass and of the loss at the sizes of the reference
//! model on 509 × 509 pixels: `cargo bench --bench kernels`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nephos_kernel::attention;
use nephos_kernel::conv::{Conv3x3Packed, Shape as Image};
use nephos_kernel::dropout::Dropout;
use nephos_kernel::gemm::{Act, Epilogue, Matrix, Packed, matmul};
use nephos_kernel::loss::{Kind, Objective, Target};
use nephos_kernel::norm::{self, LayerNorm};

const TOKENS: usize = 27 * 27;
const WIDTH: usize = 256;

/// Numbers in [-1, 1).
fn numbers(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (i * 7919 % 251) as f32 / 125.5 - 1.0)
        .collect()
}

fn gemm(c: &mut Criterion) {
    let mut group = c.benchmark_group("matrix product");
    for (name, m, k, n) in [
        ("query, key, value", TOKENS, WIDTH, 3 * WIDTH),
        ("feed-forward, first", TOKENS, WIDTH, 2048),
        ("feed-forward, second", TOKENS, 2048, WIDTH),
        ("square", 1024, 1024, 1024),
    ] {
        let (a, b, mut out) = (numbers(m * k), numbers(k * n), vec![0.0; m * n]);
        let packed = Packed::new(Matrix::new(&b, k, n));
        group.throughput(Throughput::Elements((2 * m * k * n) as u64));
        group.bench_function(name, |bencher| {
            let epilogue = Epilogue::default();
            bencher.iter(|| matmul(Matrix::new(&a, m, k), &packed, &mut out, n, &epilogue));
        });
    }
}

fn self_attention(c: &mut Criterion) {
    let shape = attention::Shape {
        batch: 1,
        tokens: TOKENS,
        width: WIDTH,
        heads: 8,
    };
    let qkv = numbers(TOKENS * 3 * WIDTH);
    let (mut out, mut scratch) = (vec![0.0; TOKENS * WIDTH], Vec::new());
    for (name, dropout) in [
        ("attention", Dropout::off()),
        ("attention with dropout", Dropout::new(42, 0.1)),
    ] {
        c.bench_function(name, |bencher| {
            bencher.iter(|| {
                attention::forward(&qkv, shape, &dropout, &mut out, None, &mut scratch);
            });
        });
    }
}

fn layer_norm(c: &mut Criterion) {
    let x = numbers(TOKENS * WIDTH);
    let (scale, shift) = (numbers(WIDTH), numbers(WIDTH));
    let norm = LayerNorm {
        scale: scale.into(),
        shift: shift.into(),
        epsilon: 1e-5,
    };
    let mut out = vec![0.0; TOKENS * WIDTH];
    c.bench_function("norm", |bencher| {
        bencher.iter(|| norm::forward(&x, &norm, &mut out, None));
    });
}

fn convolution(c: &mut Criterion) {
    let (inputs, outputs) = (768, 768);
    let shape = Image {
        batch: 1,
        height: 27,
        width: 27,
    };
    let weight = numbers(outputs * inputs * 9);
    let (image, mut out) = (numbers(TOKENS * inputs), vec![0.0; TOKENS * outputs]);
    let conv = Conv3x3Packed::new(&weight, [outputs, inputs]);
    c.bench_function("convolution 3 x 3", |bencher| {
        bencher.iter(|| conv.forward(&image, shape, None, Act::Relu, &mut out));
    });
}

fn loss(c: &mut Criterion) {
    let (classes, side) = (4, 509);
    let coarse = numbers(classes * TOKENS);
    let labels: Vec<u8> = (0..side * side).map(|i| (i / 97 % classes) as u8).collect();
    let target = Target::new(&coarse, &labels, classes, [27, 27], [side, side], true);
    let objective = Objective {
        kind: Kind::CrossEntropy(0.0),
        class_weights: Vec::new(),
    };
    let mut gradient = vec![0.0; coarse.len()];
    c.bench_function("upsampling, cross-entropy and its gradient", |bencher| {
        bencher.iter(|| {
            let evaluation = objective.evaluate(&target);
            objective.gradient(&target, &evaluation, 1.0, &mut gradient);
        });
    });
}

criterion_group!(benches, gemm, self_attention, layer_norm, convolution, loss);
criterion_main!(benches);
