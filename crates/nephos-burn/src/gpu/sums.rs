//! Tables of all prefix sums of sorted, weighted features.
//!
//! The table of one row of [`Sizes`] has for each side and each length `0..=nodes` the sum
//! of the first so many sources, from the lowest score up on the first side, from the
//! highest down on the second. Blocks are summed first, then blocks of blocks, as many
//! times as it takes; the last pass walks each block once more, from the sum of all
//! before it.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::ops::numeric::{ones_client, zeros_client};
use burn_cubecl::tensor::CubeTensor;

use super::factors::Factors;
use super::sort::Order;
use super::{Gpu, Layer, SIDES, Sizes, arg};

/// Places of a block: few enough for many units at work, enough for few sums of blocks.
const BLOCK: usize = 32;

/// Lists of numbers side by side: number `at` of list `f` of line `l` is element
/// `(l * count + at) * head + f`.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Lines {
    lines: usize,
    count: usize,
    head: usize,
}

/// A one for each node.
pub(super) fn ones(gpu: &Gpu, layer: Layer) -> CubeTensor {
    let (client, device) = (gpu.client.clone(), gpu.device.clone());
    ones_client(client, device, Shape::new([layer.scores()]), DType::F32)
}

/// The table of `features`, `[batch, nodes, heads * head]`, each node times its factor:
/// `[SIDES, rows, nodes + 1, head]`.
pub(super) fn table(
    gpu: &Gpu,
    layer: Layer,
    features: &CubeTensor,
    factors: &Factors,
    order: &Order,
) -> CubeTensor {
    let (lines, blocks) = (SIDES * layer.rows, layer.nodes.div_ceil(BLOCK));
    let sums = gpu.floats([lines, blocks, layer.head]);
    let (count, dim) = gpu.units(lines * blocks * layer.head);
    sum_blocks::launch(
        &gpu.client,
        count.clone(),
        dim,
        arg(features),
        arg(&factors.0),
        arg(&order.nodes),
        arg(&sums),
        layer.arg(),
        BLOCK,
    );
    let starts = before(gpu, [lines, blocks, layer.head], &sums);
    let table = gpu.floats([lines, layer.nodes + 1, layer.head]);
    fill::launch(
        &gpu.client,
        count,
        dim,
        arg(features),
        arg(&factors.0),
        arg(&order.nodes),
        arg(&starts),
        arg(&table),
        layer.arg(),
        BLOCK,
    );
    table
}

/// For each number of `[lines, count, head]` the sum of those before it in its list.
fn before(gpu: &Gpu, [lines, count, head]: [usize; 3], numbers: &CubeTensor) -> CubeTensor {
    let groups = count.div_ceil(BLOCK);
    let sizes = || LinesLaunch::new(lines, count, head);
    let (cubes, dim) = gpu.units(lines * groups * head);
    let starts = if groups == 1 {
        let (client, device) = (gpu.client.clone(), gpu.device.clone());
        zeros_client(client, device, Shape::new([lines * head]), DType::F32)
    } else {
        let sums = gpu.floats([lines, groups, head]);
        sum_groups::launch(
            &gpu.client,
            cubes.clone(),
            dim,
            arg(numbers),
            arg(&sums),
            sizes(),
            BLOCK,
        );
        before(gpu, [lines, groups, head], &sums)
    };
    let out = gpu.floats([lines, count, head]);
    sum_before::launch(
        &gpu.client,
        cubes,
        dim,
        arg(numbers),
        arg(&starts),
        arg(&out),
        sizes(),
        BLOCK,
    );
    out
}

/// The node at a place of a side.
#[cube]
fn node_at(order: &[u32], sizes: &Sizes, side: usize, row: usize, place: usize) -> usize {
    let rank = select(side == 0, place, sizes.nodes - 1 - place);
    order[row * sizes.padded + rank] as usize
}

/// A feature of a node, times the node's factor.
#[cube]
fn weighted(
    features: &[f32],
    factors: &[f32],
    sizes: &Sizes,
    line: usize,
    row: usize,
    node: usize,
    f: usize,
) -> f32 {
    let at = ((row / sizes.heads * sizes.nodes + node) * sizes.heads + row % sizes.heads)
        * sizes.head
        + f;
    features[at] * factors[line * sizes.nodes + node]
}

#[cube(launch)]
fn sum_blocks(
    features: &[f32],
    factors: &[f32],
    order: &[u32],
    sums: &mut [f32],
    sizes: Sizes,
    #[comptime] block: usize,
) {
    let blocks = sizes.nodes.div_ceil(block);
    let f = ABSOLUTE_POS % sizes.head;
    let start = ABSOLUTE_POS / sizes.head % blocks * block;
    let line = ABSOLUTE_POS / sizes.head / blocks;
    let side = line / sizes.rows;
    if side >= 2 {
        terminate!();
    }
    let row = line % sizes.rows;
    let mut sum = 0.0f32.runtime();
    for place in start..min(start + block, sizes.nodes) {
        let node = node_at(order, &sizes, side, row, place);
        sum += weighted(features, factors, &sizes, line, row, node, f);
    }
    sums[ABSOLUTE_POS] = sum;
}

#[cube(launch)]
fn fill(
    features: &[f32],
    factors: &[f32],
    order: &[u32],
    starts: &[f32],
    table: &mut [f32],
    sizes: Sizes,
    #[comptime] block: usize,
) {
    let blocks = sizes.nodes.div_ceil(block);
    let f = ABSOLUTE_POS % sizes.head;
    let start = ABSOLUTE_POS / sizes.head % blocks * block;
    let line = ABSOLUTE_POS / sizes.head / blocks;
    let side = line / sizes.rows;
    if side >= 2 {
        terminate!();
    }
    let row = line % sizes.rows;
    let own = line * (sizes.nodes + 1);
    if start == 0 {
        table[own * sizes.head + f] = 0.0f32;
    }
    let all = starts[ABSOLUTE_POS];
    let mut sum = 0.0f32.runtime();
    for place in start..min(start + block, sizes.nodes) {
        let node = node_at(order, &sizes, side, row, place);
        sum += weighted(features, factors, &sizes, line, row, node, f);
        table[(own + place + 1) * sizes.head + f] = all + sum;
    }
}

#[cube(launch)]
fn sum_groups(numbers: &[f32], sums: &mut [f32], lines: Lines, #[comptime] block: usize) {
    let groups = lines.count.div_ceil(block);
    let f = ABSOLUTE_POS % lines.head;
    let start = ABSOLUTE_POS / lines.head % groups * block;
    let line = ABSOLUTE_POS / lines.head / groups;
    if line >= lines.lines {
        terminate!();
    }
    let mut sum = 0.0f32.runtime();
    for at in start..min(start + block, lines.count) {
        sum += numbers[(line * lines.count + at) * lines.head + f];
    }
    sums[ABSOLUTE_POS] = sum;
}

#[cube(launch)]
fn sum_before(
    numbers: &[f32],
    starts: &[f32],
    out: &mut [f32],
    lines: Lines,
    #[comptime] block: usize,
) {
    let groups = lines.count.div_ceil(block);
    let f = ABSOLUTE_POS % lines.head;
    let start = ABSOLUTE_POS / lines.head % groups * block;
    let line = ABSOLUTE_POS / lines.head / groups;
    if line >= lines.lines {
        terminate!();
    }
    let all = starts[ABSOLUTE_POS];
    let mut sum = 0.0f32.runtime();
    for at in start..min(start + block, lines.count) {
        let own = (line * lines.count + at) * lines.head + f;
        out[own] = all + sum;
        sum += numbers[own];
    }
}
