//! Rows of attention.

use crate::graph::order::Order;
use crate::lanes::{Lanes, Level, Work, dispatch, exp2};
use crate::versions::versions;

/// The attention of one head, made a row at a time.
pub(super) struct Weights<'a> {
    s: &'a [f32],
    t: &'a [f32],
    slope: f32,
    kind: Kind,
}

enum Kind {
    /// Factors of rows and of nodes, each for pairs of positive score and for the
    /// others, by index.
    Factors {
        rows: Vec<[f32; 2]>,
        plus: Vec<f32>,
        minus: Vec<f32>,
    },
    /// The scale of cosines.
    Biased(f32, Level),
}

impl<'a> Weights<'a> {
    /// `bias` is what cosines are multiplied by before they are added to scores.
    pub fn new(s: &'a [f32], t: &'a [f32], slope: f64, bias: Option<f32>) -> Self {
        let kind = match bias {
            Some(scale) => Kind::Biased(scale, Level::best()),
            None => {
                let order = Order::new(s, t, slope);
                let mut rows = vec![[0.0; 2]; s.len()];
                let (mut plus, mut minus) = (vec![0.0; t.len()], vec![0.0; t.len()]);
                for (rank, &row) in order.rows.order.iter().enumerate() {
                    rows[row as usize] = [order.rows.plus[rank], order.rows.minus[rank]];
                }
                for (rank, &node) in order.nodes.order.iter().enumerate() {
                    plus[node as usize] = order.nodes.plus[rank];
                    minus[node as usize] = order.nodes.minus[rank];
                }
                Kind::Factors { rows, plus, minus }
            }
        };
        Self {
            s,
            t,
            slope: slope as f32,
            kind,
        }
    }

    pub fn s(&self, i: usize) -> f32 {
        self.s[i]
    }

    pub fn t(&self) -> &'a [f32] {
        self.t
    }

    /// Row `i`, summing to one. `cosines` are read with a bias only.
    pub fn row(&self, i: usize, cosines: &[f32], out: &mut [f32]) {
        match &self.kind {
            Kind::Factors { rows, plus, minus } => {
                factored(self.s[i], self.t, rows[i], plus, minus, out);
            }
            Kind::Biased(scale, level) => {
                let softmax = Softmax {
                    s: self.s[i],
                    t: self.t,
                    slope: self.slope,
                    cosines,
                    scale: *scale,
                    out,
                };
                dispatch(*level, softmax);
            }
        }
    }
}

versions! {
    /// A row of attention out of its factors.
    fn factored(s: f32, t: &[f32], row: [f32; 2], plus: &[f32], minus: &[f32], out: &mut [f32]) {
        let [by_plus, by_minus] = row;
        let nodes = t.iter().zip(plus.iter().zip(minus));
        for (out, (t, (plus, minus))) in out.iter_mut().zip(nodes) {
            let (above, below) = (by_plus * plus, by_minus * minus);
            *out = if s + t > 0.0 { above } else { below };
        }
    }
}

/// `out = softmax(LeakyReLU(s + t) + scale cosines)`.
struct Softmax<'a> {
    s: f32,
    t: &'a [f32],
    slope: f32,
    cosines: &'a [f32],
    scale: f32,
    out: &'a mut [f32],
}

impl Work for Softmax<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const ROWS: usize>(self) {
        let n = self.out.len();
        assert!(self.t.len() == n && self.cosines.len() == n);
        let out = self.out.as_mut_ptr();
        let parts = || {
            (0..n)
                .step_by(L::COUNT)
                .map(|at| (at, L::COUNT.min(n - at)))
        };
        // SAFETY: the machine has the instructions; parts lie inside the slices,
        // which are equally long.
        unsafe {
            let (s, slope) = (L::splat(self.s), L::splat(self.slope));
            let scale = L::splat(self.scale);
            let mut largest = [f32::NEG_INFINITY; 16];
            let mut max = L::splat(f32::NEG_INFINITY);
            for (at, count) in parts() {
                let score = L::load_part(self.t.as_ptr().add(at), count).add(s);
                // A slope of at most 1 makes the LeakyReLU a maximum.
                let leaky = score.mul(slope).max(score);
                let cosine = L::load_part(self.cosines.as_ptr().add(at), count);
                let score = cosine.mul_add(scale, leaky);
                score.store_part(out.add(at), count);
                if count == L::COUNT {
                    max = max.max(score);
                }
            }
            max.store(largest.as_mut_ptr());
            let rest = std::slice::from_raw_parts(out, n)[n - n % L::COUNT..].iter();
            let max = largest
                .iter()
                .chain(rest)
                .copied()
                .fold(f32::NEG_INFINITY, f32::max);

            // exp(x - max) = 2^(x log2 e - max log2 e), the difference first: it is exact
            // where it matters.
            let (max, log2e) = (L::splat(max), L::splat(std::f32::consts::LOG2_E));
            let mut sum = L::splat(0.0);
            for (at, count) in parts() {
                let score = L::load_part(out.add(at), count);
                exp2(score.sub(max).mul(log2e)).store_part(out.add(at), count);
                sum = sum.add(L::load_part(out.add(at), count));
            }
            let share = L::splat(1.0 / sum.sum());
            for (at, count) in parts() {
                L::load_part(out.add(at), count)
                    .mul(share)
                    .store_part(out.add(at), count);
            }
        }
    }
}
