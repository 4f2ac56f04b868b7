//! Nodes by ascending score: a bitonic network (Batcher 1968,
//! doi:10.1145/1468075.1468121).

use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::{Gpu, Layer, Sizes, arg};

/// Places that one cube sorts in its own memory, 8 KiB of it.
const CHUNK: usize = 1024;

/// Units of a cube that sorts a chunk, which each device has.
const UNITS: u32 = 256;

/// Indices of nodes by ascending score, equal ones by index.
pub(super) struct Order {
    /// `[rows, padded]`, u32; what is beyond the nodes is no node.
    pub nodes: CubeTensor,
}

impl Order {
    /// Sorts `scores`, `[rows, nodes]`.
    pub fn new(gpu: &Gpu, layer: Layer, scores: &CubeTensor) -> Self {
        let padded = layer.nodes.next_power_of_two();
        let chunk = padded.min(CHUNK);
        let [keys, nodes] = [(); 2].map(|()| gpu.empty([layer.rows, padded], DType::U32));
        let (inside, inside_dim) = gpu.cubes(layer.rows * (padded / chunk), UNITS);
        let (across, across_dim) = gpu.units(layer.rows * padded / 2);
        let sort = |size: usize, first: bool| {
            sort_chunks::launch(
                &gpu.client,
                inside.clone(),
                inside_dim,
                arg(scores),
                arg(&keys),
                arg(&nodes),
                layer.arg(),
                size,
                first,
                chunk,
            );
        };
        sort(chunk, true);
        let mut size = 2 * chunk;
        while size <= padded {
            let mut distance = size / 2;
            while distance >= chunk {
                exchange::launch(
                    &gpu.client,
                    across.clone(),
                    across_dim,
                    arg(&keys),
                    arg(&nodes),
                    layer.arg(),
                    size,
                    distance,
                );
                distance /= 2;
            }
            sort(size, false);
            size *= 2;
        }
        Self { nodes }
    }
}

/// Bits that compare as unsigned integers as the floats they come from do.
#[cube]
fn ordered(score: f32) -> u32 {
    let bits = u32::reinterpret(score);
    select(
        bits >= 0x8000_0000u32,
        bits ^ 0xffff_ffffu32,
        bits ^ 0x8000_0000u32,
    )
}

/// The lower place of a pair, the other being `distance` above it.
#[cube]
fn lower(pair: usize, distance: usize) -> usize {
    2 * distance * (pair / distance) + pair % distance
}

/// Whether two entries have to change places; indices settle ties.
#[cube]
fn is_wrong(low_key: u32, high_key: u32, low: u32, high: u32, ascending: bool) -> bool {
    let later = low_key > high_key || (low_key == high_key && low > high);
    (later && ascending) || (!later && !ascending)
}

/// The steps of a network that stay inside chunks: all of them up to runs of the length
/// of a chunk where `first`, else the last ones of runs of `size`.
#[cube(launch)]
fn sort_chunks(
    scores: &[f32],
    keys: &mut [u32],
    nodes: &mut [u32],
    sizes: Sizes,
    size: usize,
    #[comptime] first: bool,
    #[comptime] chunk: usize,
) {
    let mut key = Shared::<[u32]>::new_slice(chunk);
    let mut node = Shared::<[u32]>::new_slice(chunk);
    let chunks = sizes.padded / chunk;
    let row = CUBE_POS / chunks;
    let start = (CUBE_POS % chunks) * chunk;
    let units = CUBE_DIM as usize;
    if row < sizes.rows {
        let mut at = UNIT_POS as usize;
        while at < chunk {
            let place = start + at;
            if comptime!(first) {
                let mut own = 0xffff_ffffu32.runtime();
                if place < sizes.nodes {
                    own = ordered(scores[row * sizes.nodes + place]);
                }
                key[at] = own;
                node[at] = place as u32;
            } else {
                key[at] = keys[row * sizes.padded + place];
                node[at] = nodes[row * sizes.padded + place];
            }
            at += units;
        }
    }
    sync_cube();
    let mut run = size;
    if comptime!(first) {
        run = 2usize.runtime();
    }
    while run <= size {
        let mut distance = min(run, chunk) / 2;
        while distance > 0 {
            let mut pair = UNIT_POS as usize;
            while pair < chunk / 2 {
                let low = lower(pair, distance);
                let high = low + distance;
                let ascending = ((start + low) / run) % 2 == 0;
                let low_key = key[low];
                let high_key = key[high];
                let low_node = node[low];
                let high_node = node[high];
                if is_wrong(low_key, high_key, low_node, high_node, ascending) {
                    key[low] = high_key;
                    key[high] = low_key;
                    node[low] = high_node;
                    node[high] = low_node;
                }
                pair += units;
            }
            sync_cube();
            distance /= 2;
        }
        run *= 2;
    }
    if row < sizes.rows {
        let mut at = UNIT_POS as usize;
        while at < chunk {
            keys[row * sizes.padded + start + at] = key[at];
            nodes[row * sizes.padded + start + at] = node[at];
            at += units;
        }
    }
}

/// One step of a network across chunks; a unit has a pair.
#[cube(launch)]
fn exchange(keys: &mut [u32], nodes: &mut [u32], sizes: Sizes, size: usize, distance: usize) {
    let pairs = sizes.padded / 2;
    let row = ABSOLUTE_POS / pairs;
    if row >= sizes.rows {
        terminate!();
    }
    let place = lower(ABSOLUTE_POS % pairs, distance);
    let low = row * sizes.padded + place;
    let high = low + distance;
    let ascending = (place / size) % 2 == 0;
    let low_key = keys[low];
    let high_key = keys[high];
    let low_node = nodes[low];
    let high_node = nodes[high];
    if is_wrong(low_key, high_key, low_node, high_node, ascending) {
        keys[low] = high_key;
        keys[high] = low_key;
        nodes[low] = high_node;
        nodes[high] = low_node;
    }
}
