//! What becomes of the two sums that a row or a node finds in a [`table`](super::sums).

use burn::tensor::Shape;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::factors::Factors;
use super::{Attention, Gpu, Layer, SIDES, Sizes, arg};

/// Units that add up the products of one row.
const UNITS: usize = 64;

/// The two sums, each times its factor, then ReLU where asked for, as features.
pub(super) fn combine(
    gpu: &Gpu,
    layer: Layer,
    table: &CubeTensor,
    split: &CubeTensor,
    factors: &Factors,
    shape: Shape,
    relu: bool,
) -> CubeTensor {
    let out = gpu.floats(shape);
    let (count, dim) = gpu.units(layer.features());
    combine_sides::launch(
        &gpu.client,
        count,
        dim,
        arg(table),
        arg(split),
        arg(&factors.0),
        arg(&out),
        layer.arg(),
        relu,
    );
    out
}

/// The products of either sum with `features` of the same row: `[SIDES, rows, nodes]`.
pub(super) fn dots(
    gpu: &Gpu,
    layer: Layer,
    table: &CubeTensor,
    split: &CubeTensor,
    features: &CubeTensor,
) -> CubeTensor {
    let out = gpu.floats([SIDES, layer.rows, layer.nodes]);
    let (count, dim) = gpu.cubes(layer.scores(), UNITS as u32);
    let units = dim.num_elems() as usize;
    dot_sides::launch(
        &gpu.client,
        count,
        dim,
        arg(table),
        arg(split),
        arg(features),
        arg(&out),
        layer.arg(),
        units,
    );
    out
}

/// The gradient before the ReLU that gave `out`.
pub(super) fn before_relu(
    gpu: &Gpu,
    layer: Layer,
    grad: &CubeTensor,
    out: &CubeTensor,
) -> CubeTensor {
    let by = gpu.floats(grad.meta.shape().clone());
    let (count, dim) = gpu.units(layer.features());
    mask::launch(&gpu.client, count, dim, arg(grad), arg(out), arg(&by));
    by
}

/// The gradient by `s`, from `dots`, for each row the products of its gradient with its
/// unscaled sums; and the product of its gradient with its output, what a change common
/// to all scores of a row would do.
pub(super) fn by_rows(
    gpu: &Gpu,
    attention: &Attention,
    dots: &CubeTensor,
    shape: Shape,
) -> (CubeTensor, CubeTensor) {
    let layer = attention.layer;
    let (by_s, along) = (gpu.floats(shape.clone()), gpu.floats(shape));
    let (count, dim) = gpu.units(layer.scores());
    row_gradients::launch(
        &gpu.client,
        count,
        dim,
        arg(dots),
        arg(&attention.rows.0),
        arg(&attention.split),
        arg(&attention.totals),
        arg(&by_s),
        arg(&along),
        layer.arg(),
        attention.slope,
    );
    (by_s, along)
}

/// The gradient by `t`, from `dots`, for each node the products of its features with its
/// unscaled sums of gradients, and from the table of what [`by_rows`] returned second.
pub(super) fn by_nodes(
    gpu: &Gpu,
    attention: &Attention,
    dots: &CubeTensor,
    along: &CubeTensor,
    split: &CubeTensor,
    shape: Shape,
) -> CubeTensor {
    let layer = attention.layer;
    let by_t = gpu.floats(shape);
    let (count, dim) = gpu.units(layer.scores());
    node_gradients::launch(
        &gpu.client,
        count,
        dim,
        arg(dots),
        arg(&attention.nodes.0),
        arg(split),
        arg(along),
        arg(&by_t),
        layer.arg(),
        attention.slope,
    );
    by_t
}

/// Where the sums of a row's two sides are in a table, for a table of one number a node.
#[cube]
fn below_at(sizes: &Sizes, row: usize, split: usize) -> usize {
    row * (sizes.nodes + 1) + split
}

#[cube]
fn above_at(sizes: &Sizes, row: usize, split: usize) -> usize {
    (sizes.rows + row) * (sizes.nodes + 1) + sizes.nodes - split
}

#[cube(launch)]
fn combine_sides(
    table: &[f32],
    split: &[u32],
    factors: &[f32],
    out: &mut [f32],
    sizes: Sizes,
    #[comptime] relu: bool,
) {
    let count = sizes.rows * sizes.nodes;
    if ABSOLUTE_POS >= count * sizes.head {
        terminate!();
    }
    let f = ABSOLUTE_POS % sizes.head;
    let head = ABSOLUTE_POS / sizes.head % sizes.heads;
    let node = ABSOLUTE_POS / sizes.head / sizes.heads % sizes.nodes;
    let graph = ABSOLUTE_POS / sizes.head / sizes.heads / sizes.nodes;
    let row = graph * sizes.heads + head;
    let own = row * sizes.nodes + node;
    let first = split[own] as usize;
    let below = table[below_at(&sizes, row, first) * sizes.head + f];
    let above = table[above_at(&sizes, row, first) * sizes.head + f];
    let mut sum = factors[own] * below + factors[count + own] * above;
    if comptime!(relu) {
        sum = max(sum, 0.0f32);
    }
    out[ABSOLUTE_POS] = sum;
}

/// A cube has a row of one head; `units` is a power of two.
#[cube(launch)]
fn dot_sides(
    table: &[f32],
    split: &[u32],
    features: &[f32],
    out: &mut [f32],
    sizes: Sizes,
    #[comptime] units: usize,
) {
    let mut below = Shared::<[f32]>::new_slice(units);
    let mut above = Shared::<[f32]>::new_slice(units);
    let count = sizes.rows * sizes.nodes;
    let unit = UNIT_POS as usize;
    let mut below_sum = 0.0f32.runtime();
    let mut above_sum = 0.0f32.runtime();
    if CUBE_POS < count {
        let row = CUBE_POS / sizes.nodes;
        let node = CUBE_POS % sizes.nodes;
        let first = split[CUBE_POS] as usize;
        let below_start = below_at(&sizes, row, first) * sizes.head;
        let above_start = above_at(&sizes, row, first) * sizes.head;
        let start = ((row / sizes.heads * sizes.nodes + node) * sizes.heads + row % sizes.heads)
            * sizes.head;
        let mut f = unit;
        while f < sizes.head {
            let feature = features[start + f];
            below_sum += feature * table[below_start + f];
            above_sum += feature * table[above_start + f];
            f += units;
        }
    }
    below[unit] = below_sum;
    above[unit] = above_sum;
    sync_cube();
    let mut half = (units / 2).runtime();
    while half > 0 {
        if unit < half {
            let below_other = below[unit + half];
            let above_other = above[unit + half];
            below[unit] += below_other;
            above[unit] += above_other;
        }
        sync_cube();
        half /= 2;
    }
    if unit == 0 && CUBE_POS < count {
        out[CUBE_POS] = below[0];
        out[count + CUBE_POS] = above[0];
    }
}

#[cube(launch)]
fn mask(grad: &[f32], out: &[f32], by: &mut [f32]) {
    if ABSOLUTE_POS < by.len() {
        by[ABSOLUTE_POS] = select(out[ABSOLUTE_POS] > 0.0f32, grad[ABSOLUTE_POS], 0.0f32);
    }
}

#[cube(launch)]
fn row_gradients(
    dots: &[f32],
    factors: &[f32],
    split: &[u32],
    totals: &[f32],
    by_s: &mut [f32],
    along: &mut [f32],
    sizes: Sizes,
    slope: f32,
) {
    let count = sizes.rows * sizes.nodes;
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let row = ABSOLUTE_POS / sizes.nodes;
    let first = split[ABSOLUTE_POS] as usize;
    let below_factor = factors[ABSOLUTE_POS];
    let above_factor = factors[count + ABSOLUTE_POS];
    let below_share = below_factor * totals[below_at(&sizes, row, first)];
    let above_share = above_factor * totals[above_at(&sizes, row, first)];
    let below = below_factor * dots[ABSOLUTE_POS];
    let above = above_factor * dots[count + ABSOLUTE_POS];
    by_s[ABSOLUTE_POS] = (1.0f32 - slope) * (below_share * above - above_share * below);
    along[ABSOLUTE_POS] = below + above;
}

#[cube(launch)]
fn node_gradients(
    dots: &[f32],
    factors: &[f32],
    split: &[u32],
    along: &[f32],
    by_t: &mut [f32],
    sizes: Sizes,
    slope: f32,
) {
    let count = sizes.rows * sizes.nodes;
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let row = ABSOLUTE_POS / sizes.nodes;
    let first = split[ABSOLUTE_POS] as usize;
    let below = dots[ABSOLUTE_POS] - along[below_at(&sizes, row, first)];
    let above = dots[count + ABSOLUTE_POS] - along[above_at(&sizes, row, first)];
    by_t[ABSOLUTE_POS] =
        factors[count + ABSOLUTE_POS] * above + slope * factors[ABSOLUTE_POS] * below;
}
