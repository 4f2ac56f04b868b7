//! From the gradient by a row of outputs to that by the row's scores.

use crate::dropout::Dropout;
use crate::versions::versions;

/// One row of one head.
pub(super) struct Row<'a> {
    pub dropout: &'a Dropout,
    /// The number of its first pair.
    pub pair: u64,
    pub s: f32,
    pub t: &'a [f32],
    pub slope: f32,
    /// The attention, summing to one; becomes what dropout leaves of it.
    pub attention: &'a mut [f32],
    /// `G_i · Wh_j`; becomes the gradient by `s_i + t_j`.
    pub products: &'a mut [f32],
    /// `z_i · z_j` of a bias; empty without one.
    pub cosines: &'a [f32],
    /// The gradient by the pair's bias is added to it; empty without one.
    pub by_cosines: &'a mut [f32],
}

/// What a row adds to gradients that are not its own.
pub(super) struct Sums {
    /// By its `s`.
    pub s: f32,
    /// By the scale of the bias.
    pub scale: f64,
}

/// With `m` the factors of dropout, `a` the attention and `g_j = m_j G_i · Wh_j`, the
/// gradient by the score of pair `j` is `a_j (g_j - Σ a g)`.
pub(super) fn backward_row(row: Row<'_>) -> Sums {
    row.dropout.apply(row.pair, row.products);
    let mean = dot(row.attention, row.products);
    by_scores(row.attention, mean, row.products);
    for (sum, by) in row.by_cosines.iter_mut().zip(&*row.products) {
        *sum += by;
    }
    let scale = f64::from(dot(row.cosines, row.products));
    let s = by_sums(row.s, row.t, row.slope, row.products);
    row.dropout.apply(row.pair, row.attention);
    Sums { s, scale }
}

const LANES: usize = 16;

versions! {
    /// `Σ a b`, in [`LANES`] sums of fixed order.
    fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                sums[lane] += a[lane] * b[lane];
            }
        }
        for (sum, (a, b)) in sums.iter_mut().zip(rest_a.iter().zip(rest_b)) {
            *sum += a * b;
        }
        total(sums)
    }
}

versions! {
    /// `products = attention (products - mean)`.
    fn by_scores(attention: &[f32], mean: f32, products: &mut [f32]) {
        for (product, weight) in products.iter_mut().zip(attention) {
            *product = weight * (*product - mean);
        }
    }
}

versions! {
    /// Takes gradients through the LeakyReLU; returns their sum.
    fn by_sums(s: f32, t: &[f32], slope: f32, by: &mut [f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        let ((t, rest_t), (by, rest)) = (t.as_chunks::<LANES>(), by.as_chunks_mut::<LANES>());
        for (t, by) in t.iter().zip(by) {
            for lane in 0..LANES {
                by[lane] *= if s + t[lane] > 0.0 { 1.0 } else { slope };
                sums[lane] += by[lane];
            }
        }
        for (sum, (t, by)) in sums.iter_mut().zip(rest_t.iter().zip(rest)) {
            *by *= if s + t > 0.0 { 1.0 } else { slope };
            *sum += *by;
        }
        total(sums)
    }
}

/// The sum of the lanes, halves onto halves.
#[inline(always)]
fn total(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}
