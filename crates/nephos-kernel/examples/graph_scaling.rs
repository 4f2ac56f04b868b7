//! How the time of graph attention grows with the number of nodes.
//!
//! ```text
//! RAYON_NUM_THREADS=2 cargo run --release -p nephos-kernel --example graph_scaling [NODES...]
//! ```
//!
//! One head of 512 features. Prints a line of JSON a size: medians in seconds of the
//! attention alone (features and scores given) and of the whole layer (projection
//! 512 → 512, scores, attention), forward, and forward with backward. Then the
//! slopes of their logarithms over that of the number of nodes, by least squares.

use std::time::Instant;

use nephos_kernel::gemm::{Epilogue, Matrix, Packed, matmul, matmul_unpacked};
use nephos_kernel::graph::scores::Scores;
use nephos_kernel::graph::{Shape, sorted};
use nephos_kernel::scratch::Scratch;

const WIDTH: usize = 512;
const SLOPE: f64 = 0.2;
const NAMES: [&str; 4] = [
    "attention forward",
    "attention forward and backward",
    "layer forward",
    "layer forward and backward",
];

/// A layer with its gradients.
struct Layer {
    shape: Shape,
    /// Inputs, and the gradient of the output.
    nodes: Vec<f32>,
    grad: Vec<f32>,
    weight: Vec<f32>,
    scores: Scores<'static>,
    scratch: Scratch,
    /// Results.
    wh: Vec<f32>,
    s: Vec<f32>,
    t: Vec<f32>,
    out: Vec<f32>,
    by_wh: Vec<f32>,
    by_s: Vec<f32>,
    by_t: Vec<f32>,
    by_weight: Vec<f32>,
    by_score: Vec<f32>,
    by_nodes: Vec<f32>,
}

impl Layer {
    fn new(nodes: usize) -> Self {
        let features = nodes * WIDTH;
        Self {
            shape: Shape {
                batch: 1,
                nodes,
                heads: 1,
                head: WIDTH,
            },
            nodes: numbers(1, features),
            grad: numbers(2, features),
            weight: scaled(numbers(3, WIDTH * WIDTH)),
            scores: Scores::new(scaled(numbers(4, 2 * WIDTH)).into(), [1, WIDTH]),
            scratch: Scratch::default(),
            wh: vec![0.0; features],
            s: vec![0.0; nodes],
            t: vec![0.0; nodes],
            out: vec![0.0; features],
            by_wh: vec![0.0; features],
            by_s: vec![0.0; nodes],
            by_t: vec![0.0; nodes],
            by_weight: vec![0.0; WIDTH * WIDTH],
            by_score: vec![0.0; 2 * WIDTH],
            by_nodes: vec![0.0; features],
        }
    }

    fn project(&mut self) {
        let weight = Packed::new(Matrix::new(&self.weight, WIDTH, WIDTH));
        let nodes = Matrix::new(&self.nodes, self.shape.nodes, WIDTH);
        matmul(nodes, &weight, &mut self.wh, WIDTH, &Epilogue::default());
        let both = [&mut self.s[..], &mut self.t];
        (self.scores).forward(&self.shape, &self.wh, both, &mut self.scratch);
    }

    fn attend(&mut self) {
        let Self {
            shape,
            wh,
            s,
            t,
            out,
            ..
        } = self;
        sorted::forward(shape, wh, s, t, SLOPE, true, out);
    }

    fn attend_backward(&mut self) {
        let Self {
            shape,
            wh,
            s,
            t,
            grad,
            by_wh,
            by_s,
            by_t,
            ..
        } = self;
        sorted::backward(shape, wh, s, t, SLOPE, grad, by_wh, by_s, by_t);
    }

    fn project_backward(&mut self) {
        let by = [&self.by_s[..], &self.by_t[..]];
        let (by_wh, by_score) = (&mut self.by_wh, &mut self.by_score);
        (self.scores).backward(&self.shape, &self.wh, by, by_wh, by_score);
        let plain = Epilogue::default();
        let by_wh = Matrix::new(&self.by_wh, self.shape.nodes, WIDTH);
        let weight = Packed::new(Matrix::new(&self.weight, WIDTH, WIDTH).transposed());
        matmul(by_wh, &weight, &mut self.by_nodes, WIDTH, &plain);
        let nodes = Matrix::new(&self.nodes, self.shape.nodes, WIDTH).transposed();
        matmul_unpacked(nodes, by_wh, &mut self.by_weight, WIDTH, &plain);
    }
}

/// Numbers of a fixed sequence in [-1, 1).
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

/// Of the size that keeps products over [`WIDTH`] of order one.
fn scaled(mut numbers: Vec<f32>) -> Vec<f32> {
    let by = (3.0 / WIDTH as f32).sqrt();
    numbers.iter_mut().for_each(|x| *x *= by);
    numbers
}

/// Medians of `rounds`, in the order of [`NAMES`].
fn measure(layer: &mut Layer, rounds: usize) -> [f64; 4] {
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds {
        let start = Instant::now();
        layer.project();
        let projected = start.elapsed().as_secs_f64();
        layer.attend();
        let forward = start.elapsed().as_secs_f64();
        layer.attend_backward();
        let attended = start.elapsed().as_secs_f64();
        layer.project_backward();
        let all = start.elapsed().as_secs_f64();
        let measured = [forward - projected, attended - projected, forward, all];
        for (times, time) in times.iter_mut().zip(measured) {
            times.push(time);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// Of the least squares line through points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / count;
    let products = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y));
    products.sum::<f64>() / points.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>()
}

fn main() {
    let mut sizes: Vec<usize> = (std::env::args().skip(1))
        .map(|size| size.parse().expect("a number of nodes"))
        .collect();
    if sizes.is_empty() {
        sizes = vec![729, 4096, 16384, 65536, 262_144];
    }
    let mut points: [Vec<(f64, f64)>; 4] = Default::default();
    for nodes in sizes {
        let mut layer = Layer::new(nodes);
        measure(&mut layer, 1);
        let times = measure(&mut layer, (60_000 / nodes).clamp(3, 50));
        let fields = NAMES
            .iter()
            .zip(times)
            .map(|(name, time)| format!("\"{name}\": {time:.6}"));
        println!(
            "{{\"nodes\": {nodes}, {}}}",
            fields.collect::<Vec<_>>().join(", ")
        );
        for (points, time) in points.iter_mut().zip(times) {
            points.push(((nodes as f64).ln(), time.ln()));
        }
    }
    if points[0].len() > 1 {
        let slopes = NAMES.iter().zip(&points);
        let slopes = slopes.map(|(name, points)| format!("\"{name}\": {:.3}", slope(points)));
        println!(
            "{{\"slopes\": {{{}}}}}",
            slopes.collect::<Vec<_>>().join(", ")
        );
    }
}
