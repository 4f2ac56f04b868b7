//! Sorted graph attention: outputs and gradients.

use burn::tensor::{Device, Tensor, TensorData};
use nephos_burn::gpu::attend;
use nephos_kernel::graph::{Pairs, Shape, reference, sorted};

use super::{check, check_from, gpu, values, wide};

/// Relative to the largest number of each result.
const TOLERANCE: f64 = 1e-5;

/// Inputs of a layer.
struct Case {
    shape: Shape,
    slope: f64,
    wh: Vec<f32>,
    s: Vec<f32>,
    t: Vec<f32>,
    /// The gradient by the output.
    grad: Vec<f32>,
}

/// Numbers that look random, uniform in [-1, 1].
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }
}

impl Case {
    /// Scores are `offset` and noise of `scale`.
    fn new([batch, nodes, heads, head]: [usize; 4], scale: f32, offset: f32) -> Self {
        let shape = Shape {
            batch,
            nodes,
            heads,
            head,
        };
        let mut noise = noise((nodes * 31 + heads) as u64);
        let mut draw = |count, scale: f32, offset: f32| -> Vec<f32> {
            (0..count).map(|_| offset + scale * noise()).collect()
        };
        Self {
            shape,
            slope: 0.2,
            wh: draw(shape.features(), 1.0, 0.1),
            s: draw(shape.scores(), scale, offset),
            t: draw(shape.scores(), scale, offset),
            grad: draw(shape.features(), 1.0, 0.0),
        }
    }

    fn with_slope(self, slope: f64) -> Self {
        Self { slope, ..self }
    }

    /// Scores changed one by one, `s` first.
    fn with_scores(mut self, change: impl Fn(usize, f32) -> f32) -> Self {
        for scores in [&mut self.s, &mut self.t] {
            for (index, score) in scores.iter_mut().enumerate() {
                *score = change(index, *score);
            }
        }
        self
    }

    /// Output and the gradients by `wh`, `s` and `t`, on `device`.
    fn run(&self, device: &Device) -> [Vec<f32>; 4] {
        let device = device.clone().autodiff();
        let Shape {
            batch,
            nodes,
            heads,
            ..
        } = self.shape;
        let features = [batch, nodes, self.shape.width()];
        let tensor = |values: &[f32], shape: [usize; 3]| {
            Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let wh = tensor(&self.wh, features).require_grad();
        let [s, t] = [&self.s, &self.t].map(|x| tensor(x, [batch, heads, nodes]).require_grad());
        let out = attend(wh.clone(), s.clone(), t.clone(), self.slope);
        let loss = (out.clone() * tensor(&self.grad, features)).sum();
        let gradients = loss.backward();
        let [by_wh, by_s, by_t] = [wh, s, t].map(|x| values(x.grad(&gradients).unwrap()));
        [values(out), by_wh, by_s, by_t]
    }

    /// The same by the formula, in f64.
    fn reference(&self) -> [Vec<f64>; 4] {
        let (shape, slope, pairs) = (&self.shape, self.slope, Pairs::plain());
        let mut out = reference::forward(shape, &self.wh, &self.s, &self.t, slope, &pairs);
        let grad = self.grad.iter().zip(&out);
        let grad: Vec<f32> = grad.map(|(&g, &o)| if o > 0.0 { g } else { 0.0 }).collect();
        let by = reference::backward(shape, &self.wh, &self.s, &self.t, slope, &pairs, &grad);
        for x in &mut out {
            *x = x.max(0.0);
        }
        [out, by.wh, by.s, by.t]
    }

    /// The same by the CPU's kernel.
    fn sorted(&self) -> [Vec<f64>; 4] {
        let Self {
            shape,
            slope,
            wh,
            s,
            t,
            grad,
        } = self;
        let zeros = |of: &[f32]| vec![0.0; of.len()];
        let mut out = zeros(wh);
        sorted::forward(shape, wh, s, t, *slope, true, &mut out);
        let grad = grad.iter().zip(&out);
        let grad: Vec<f32> = grad.map(|(&g, &o)| if o > 0.0 { g } else { 0.0 }).collect();
        let [mut by_wh, mut by_s, mut by_t] = [wh, s, t].map(|of| zeros(of));
        let by = [&mut by_wh, &mut by_s, &mut by_t];
        let [of_wh, of_s, of_t] = by.map(Vec::as_mut_slice);
        sorted::backward(shape, wh, s, t, *slope, &grad, of_wh, of_s, of_t);
        [out, by_wh, by_s, by_t].map(|x| wide(&x))
    }

    /// Holds the GPU against the formula.
    fn check(&self, gpu: &Device) {
        self.compare(gpu, &self.reference(), 1e-6, TOLERANCE);
    }

    /// Holds the GPU against `expected`, relative to the largest number of each result,
    /// `least` at least.
    fn compare(&self, gpu: &Device, expected: &[Vec<f64>; 4], least: f64, tolerance: f64) {
        let names = ["output", "gradient by wh", "gradient by s", "gradient by t"];
        for ((name, ours), expected) in names.iter().zip(self.run(gpu)).zip(expected) {
            let what = format!("{name} of {:?}, slope {}", self.shape, self.slope);
            let off = check_from(least, &what, &ours, expected, tolerance);
            println!("{what}: {off:.1e}");
        }
    }
}

#[test]
fn batches_and_heads() {
    let Some(gpu) = gpu() else { return };
    for sizes in [[1, 7, 1, 5], [2, 33, 1, 8], [3, 40, 2, 6], [1, 150, 3, 16]] {
        Case::new(sizes, 2.0, 0.0).check(&gpu);
    }
}

#[test]
fn slopes_from_zero_to_one() {
    let Some(gpu) = gpu() else { return };
    for slope in [0.0, 0.01, 1.0] {
        let case = Case::new([1, 45, 2, 8], 2.0, 0.0);
        case.with_slope(slope).check(&gpu);
    }
}

#[test]
fn scores_of_one_sign() {
    let Some(gpu) = gpu() else { return };
    for offset in [5.0, -5.0] {
        Case::new([2, 50, 1, 8], 2.0, offset).check(&gpu);
    }
}

#[test]
fn one_node_and_two() {
    let Some(gpu) = gpu() else { return };
    for nodes in [1, 2, 3] {
        Case::new([2, nodes, 2, 4], 1.0, 0.0).check(&gpu);
    }
}

#[test]
fn ties() {
    let Some(gpu) = gpu() else { return };
    let equal = Case::new([1, 70, 1, 8], 1.0, 0.0).with_scores(|_, _| 0.5);
    equal.check(&gpu);
    // Sums that are exactly zero, where the LeakyReLU has its kink, and zeros of both signs.
    let few = [-0.5, -0.0, 0.0, 0.5];
    let steps = Case::new([2, 70, 2, 8], 1.0, 0.0).with_scores(|i, _| few[i % few.len()]);
    steps.check(&gpu);
}

/// Nearly all attention goes to one node, and gradients by scores are what is left of
/// numbers that nearly cancel: they are held to their terms, which are of the order of 1.
#[test]
fn scores_far_apart() {
    let Some(gpu) = gpu() else { return };
    let far = Case::new([1, 90, 1, 8], 60.0, 0.0);
    far.compare(&gpu, &far.reference(), 1.0, TOLERANCE);
    let one_far = |i, score| if i == 3 { 300.0 } else { score };
    let far = Case::new([1, 90, 1, 8], 2.0, 0.0).with_scores(one_far);
    far.compare(&gpu, &far.reference(), 1.0, TOLERANCE);
}

#[test]
fn infinite_scores_give_the_limit() {
    let Some(gpu) = gpu() else { return };
    let hidden = Case::new([1, 40, 1, 8], 2.0, 0.0);
    let t =
        (hidden.t.iter().enumerate()).map(|(j, &t)| if j % 3 == 0 { f32::NEG_INFINITY } else { t });
    let hidden = Case {
        t: t.collect(),
        ..hidden
    };
    let (ours, expected) = (hidden.run(&gpu), hidden.reference());
    check(
        "output with hidden nodes",
        &ours[0],
        &expected[0],
        TOLERANCE,
    );
    check(
        "gradient with hidden nodes",
        &ours[1],
        &expected[1],
        TOLERANCE,
    );
}

/// More nodes than one cube sorts and than one level of blocks of blocks has.
#[test]
fn many_nodes() {
    let Some(gpu) = gpu() else { return };
    Case::new([1, 1500, 1, 4], 2.0, 0.0).check(&gpu);
    // The gradient by a score is what is left of terms that cancel, more so with more nodes.
    for (sizes, tolerance) in [([2, 4096, 1, 8], TOLERANCE), ([1, 40_000, 1, 2], 3e-5)] {
        let case = Case::new(sizes, 2.0, 0.0);
        case.compare(&gpu, &case.sorted(), 1e-6, tolerance);
    }
}

#[test]
fn the_same_bits_each_time() {
    let Some(gpu) = gpu() else { return };
    let case = Case::new([2, 300, 2, 8], 2.0, 0.0);
    let [first, second] = [(); 2].map(|()| case.run(&gpu));
    assert!(first == second, "two runs differ");
}
