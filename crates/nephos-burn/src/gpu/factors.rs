//! The factors into which attention falls on either side.
//!
//! With `d_j = t_j - max t` and `x_i = s_i + max t`, the attention of row `i` on node `j`
//! is `below_i below_j` where `s_i + t_j ≤ 0`, else `above_i above_j`, with
//!
//! - `below_j = exp(slope d_j)`, `above_j = exp(d_j)`,
//! - `below_i = c_i / Z_i`, `above_i = 1 / Z_i`, `c_i = exp(-(1 - slope) max(x_i, 0))`,
//! - `Z_i = c_i Σ below_j + Σ above_j`, each over its side.
//!
//! All factors are in [0, 1] and `Z_i ≥ 1`: the node of the largest `t` adds one to it.

use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::sort::Order;
use super::{Gpu, Layer, SIDES, Sizes, arg};

/// Factors of rows or of nodes, `[SIDES, rows, nodes]`.
pub(super) struct Factors(pub CubeTensor);

impl Factors {
    pub fn of_nodes(gpu: &Gpu, layer: Layer, t: &CubeTensor, order: &Order, slope: f32) -> Self {
        let factors = gpu.floats([SIDES, layer.rows, layer.nodes]);
        let (count, dim) = gpu.units(layer.scores());
        of_nodes::launch(
            &gpu.client,
            count,
            dim,
            arg(t),
            arg(&order.nodes),
            arg(&factors),
            layer.arg(),
            slope,
        );
        Self(factors)
    }

    /// `totals` is the table of the nodes' factors.
    pub fn of_rows(
        gpu: &Gpu,
        layer: Layer,
        [s, t]: [&CubeTensor; 2],
        order: &Order,
        split: &CubeTensor,
        totals: &CubeTensor,
        slope: f32,
    ) -> Self {
        let factors = gpu.floats([SIDES, layer.rows, layer.nodes]);
        let (count, dim) = gpu.units(layer.scores());
        of_rows::launch(
            &gpu.client,
            count,
            dim,
            arg(s),
            arg(t),
            arg(&order.nodes),
            arg(split),
            arg(totals),
            arg(&factors),
            layer.arg(),
            slope,
        );
        Self(factors)
    }
}

/// For each of `own` how many of `other`, whose order is given, make a sum with it that
/// is not positive: `[rows, nodes]`, u32. They are the first in the order.
pub(super) fn split(
    gpu: &Gpu,
    layer: Layer,
    own: &CubeTensor,
    other: &CubeTensor,
    order: &Order,
) -> CubeTensor {
    let split = gpu.empty([layer.rows, layer.nodes], DType::U32);
    let (count, dim) = gpu.units(layer.scores());
    find_split::launch(
        &gpu.client,
        count,
        dim,
        arg(own),
        arg(other),
        arg(&order.nodes),
        arg(&split),
        layer.arg(),
    );
    split
}

/// A score as a number to compute with.
#[cube]
fn finite(score: f32) -> f32 {
    max(min(score, 1.0e30f32), -1.0e30f32)
}

/// The largest score of a row.
#[cube]
fn largest(scores: &[f32], order: &[u32], row: usize, nodes: usize, padded: usize) -> f32 {
    let node = order[row * padded + nodes - 1] as usize;
    finite(scores[row * nodes + node])
}

#[cube(launch)]
fn of_nodes(t: &[f32], order: &[u32], factors: &mut [f32], sizes: Sizes, slope: f32) {
    let count = sizes.rows * sizes.nodes;
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let row = ABSOLUTE_POS / sizes.nodes;
    let most = largest(t, order, row, sizes.nodes, sizes.padded);
    let below = finite(t[ABSOLUTE_POS]) - most;
    factors[ABSOLUTE_POS] = (slope * below).exp();
    factors[count + ABSOLUTE_POS] = below.exp();
}

#[cube(launch)]
fn find_split(own: &[f32], other: &[f32], order: &[u32], split: &mut [u32], sizes: Sizes) {
    if ABSOLUTE_POS >= sizes.rows * sizes.nodes {
        terminate!();
    }
    let row = ABSOLUTE_POS / sizes.nodes;
    let score = finite(own[ABSOLUTE_POS]);
    let mut low = 0usize.runtime();
    let mut high = sizes.nodes;
    while low < high {
        let middle = (low + high) / 2;
        let node = order[row * sizes.padded + middle] as usize;
        if score + finite(other[row * sizes.nodes + node]) > 0.0f32 {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    split[ABSOLUTE_POS] = low as u32;
}

#[cube(launch)]
fn of_rows(
    s: &[f32],
    t: &[f32],
    order: &[u32],
    split: &[u32],
    totals: &[f32],
    factors: &mut [f32],
    sizes: Sizes,
    slope: f32,
) {
    let count = sizes.rows * sizes.nodes;
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let row = ABSOLUTE_POS / sizes.nodes;
    let most = largest(t, order, row, sizes.nodes, sizes.padded);
    let over = max(finite(s[ABSOLUTE_POS]) + most, 0.0f32);
    let factor = ((slope - 1.0f32) * over).exp();
    let first = split[ABSOLUTE_POS] as usize;
    let below = factor * totals[row * (sizes.nodes + 1) + first];
    let above = totals[(sizes.rows + row) * (sizes.nodes + 1) + sizes.nodes - first];
    let whole = below + above;
    factors[ABSOLUTE_POS] = factor / whole;
    factors[count + ABSOLUTE_POS] = 1.0f32 / whole;
}
