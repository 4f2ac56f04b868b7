//! The gradient of a 3 × 3 convolution by its filters, by minimal filtering.
//!
//! With `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`, the gradient by `g` is
//! `Gᵀ [(A dY Aᵀ) ⊙ (Bᵀ d B)] G`, summed over tiles: one product of matrices for each
//! of the numbers of a tile.

use std::cell::Cell;

use rayon::prelude::*;

use super::cook_toom::{CookToom, TAPS};
use super::transform::gather_tile;
use super::{Shape, check_image};
use crate::gemm::aligned::Aligned;
use crate::gemm::transpose::transpose;
use crate::gemm::{BatchLayout, Matrix, Packed, matmul_batch};
use crate::sizes::count;

/// Outputs and inputs of a tile, along each side.
const OUTPUTS: usize = 3;
const INPUTS: usize = OUTPUTS + TAPS - 1;
/// Numbers of a tile.
const AREA: usize = INPUTS * INPUTS;

/// Transformed numbers that are kept at a time.
const TILES: usize = 1 << 22;

/// Input channels of a task, four tiles of the widest kernel.
const BLOCK: usize = 56;

/// Output channels that are turned about at a time.
const COLUMNS: usize = 64;

/// Transformed inputs and gradients, and these packed.
#[derive(Default)]
struct Transformed {
    left: Aligned,
    right: Aligned,
    packed: Vec<Packed>,
}

thread_local! {
    static TRANSFORMED: Cell<Transformed> = Cell::default();
    static SCRATCH: Cell<[Aligned; 4]> = Cell::default();
}

/// Adds the gradient by the filters of a 3 × 3 convolution with stride 1 and padding 1
/// to `out`; faster than [`super::add_weight_gradient`] for many channels.
///
/// # Shapes
/// - image: `[batch, height, width, inputs]`
/// - gradient: by the output, `[batch, height, width, outputs]`
/// - out: `[outputs, inputs, 3, 3]`
///
/// # Panics
/// A shape is another.
pub fn add_weight_gradient3x3(
    image: &[f32],
    shape: Shape,
    gradient: &[f32],
    [outputs, inputs]: [usize; 2],
    out: &mut [f32],
) {
    check_image(image, shape, inputs);
    check_image(gradient, shape, outputs);
    assert_eq!(out.len(), count([outputs, inputs, TAPS, TAPS]), "filters");
    if out.is_empty() || gradient.is_empty() {
        return;
    }
    let matrices = CookToom::<OUTPUTS, INPUTS>::new();
    let (by_output, by_filter) = (transposed(&matrices.output), transposed(&matrices.filter));
    let [down, across] = [shape.height, shape.width].map(|len| len.div_ceil(OUTPUTS));
    let count = shape.batch * down * across;
    // An odd line keeps tiles out of each other's sets of a cache.
    let [from, to] = [inputs, outputs].map(|channels| (AREA * channels).div_ceil(16) * 16 + 16);
    let parts = (count * (from + to)).div_ceil(TILES);
    let mut transformed = TRANSFORMED.take();
    let Transformed {
        left,
        right,
        packed,
    } = &mut transformed;
    packed.resize_with(AREA, Packed::default);
    for part in 0..parts {
        let tiles = count * part / parts..count * (part + 1) / parts;
        let corner = |tile: usize| {
            let (image, tile) = (tile / (down * across), tile % (down * across));
            (
                image,
                [tile / across, tile % across].map(|i| (i * OUTPUTS) as isize),
            )
        };
        left.resize(tiles.len() * from);
        left.par_chunks_exact_mut(from)
            .zip(tiles.clone())
            .for_each(|(to, tile)| {
                let (index, corner) = corner(tile);
                let size = [shape.height, shape.width, inputs];
                let image = &image[index * size.iter().product::<usize>()..];
                let corner = corner.map(|x| x - 1);
                gather_tile(
                    &matrices.input,
                    image,
                    size,
                    corner,
                    &mut to[..AREA * inputs],
                );
            });
        right.resize(tiles.len() * to);
        right
            .par_chunks_exact_mut(to)
            .zip(tiles.clone())
            .for_each(|(to, tile)| {
                let (index, corner) = corner(tile);
                let size = [shape.height, shape.width, outputs];
                let gradient = &gradient[index * size.iter().product::<usize>()..];
                gather_tile(
                    &by_output,
                    gradient,
                    size,
                    corner,
                    &mut to[..AREA * outputs],
                );
            });

        packed.par_iter_mut().enumerate().for_each(|(i, packed)| {
            let right = &right[i * outputs..];
            packed.repack(Matrix::strided(right, [tiles.len(), outputs], [to, 1]));
        });
        // Of each output's filter, the numbers of some input channels.
        let mut blocks: Vec<Vec<&mut [f32]>> = vec![];
        blocks.resize_with(inputs.div_ceil(BLOCK), Vec::new);
        for filter in out.chunks_exact_mut(inputs * TAPS * TAPS) {
            for (block, part) in blocks
                .iter_mut()
                .zip(filter.chunks_mut(BLOCK * TAPS * TAPS))
            {
                block.push(part);
            }
        }
        let blocks = blocks.into_par_iter().enumerate().with_max_len(1);
        blocks.for_each(|(index, mut filters)| {
            let start = index * BLOCK;
            let rows = BLOCK.min(inputs - start);
            let [mut block, mut sums, mut taps, mut turned] = SCRATCH.take();
            block.resize(AREA * tiles.len() * rows);
            for (i, to) in block.chunks_exact_mut(tiles.len() * rows).enumerate() {
                let left = left
                    .chunks_exact(from)
                    .map(|tile| &tile[i * inputs + start..][..rows]);
                for (to, left) in to.chunks_exact_mut(rows).zip(left) {
                    to.copy_from_slice(left);
                }
            }
            let left: Vec<Matrix<'_>> = block
                .chunks_exact(tiles.len() * rows)
                .map(|block| Matrix::new(block, tiles.len(), rows).transposed())
                .collect();
            sums.resize(rows * AREA * outputs);
            let layout = BatchLayout {
                product: outputs,
                row: AREA * outputs,
            };
            matmul_batch(&left, packed, &mut sums, layout, false);
            let line = rows * TAPS * TAPS;
            taps.resize(line * outputs);
            let size = TAPS * TAPS * outputs;
            let channels = sums.chunks_exact(AREA * outputs);
            for (sums, taps) in channels.zip(taps.chunks_exact_mut(size)) {
                gather_tile(&by_filter, sums, [INPUTS, INPUTS, outputs], [0, 0], taps);
            }
            turned.resize(line * COLUMNS);
            for (first, filters) in filters.chunks_mut(COLUMNS).enumerate() {
                let turned = &mut turned[..line * filters.len()];
                let taps = &taps[first * COLUMNS..];
                transpose(taps, outputs, turned, line, [filters.len(), line]);
                for (filter, turned) in filters.iter_mut().zip(turned.chunks_exact(line)) {
                    for (x, turned) in filter.iter_mut().zip(turned) {
                        *x += turned;
                    }
                }
            }
            SCRATCH.set([block, sums, taps, turned]);
        });
    }
    TRANSFORMED.set(transformed);
}

fn transposed<const ROWS: usize, const COLS: usize>(
    m: &[[f32; COLS]; ROWS],
) -> [[f32; ROWS]; COLS] {
    std::array::from_fn(|j| std::array::from_fn(|i| m[i][j]))
}
