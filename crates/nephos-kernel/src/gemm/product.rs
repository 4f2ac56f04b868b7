//! Blocks of a product, and who computes them.
//!
//! The output is cut into tasks, rows times columns; a task goes through the terms
//! of its sums in blocks of at most [`DEPTH`], and through each block panel by
//! panel. Where the terms are cut depends on the shapes alone, so the result does
//! not depend on the number of threads.

use std::cell::Cell;
use std::ops::Range;
use std::ptr::null;

use rayon::prelude::*;

use super::aligned::Aligned;
use super::left::Left;
use super::tile::{Kernel, Tile};
use super::{Act, Epilogue, Matrix, Packed, gelu};

/// The most terms of a sum that are added in one go.
const DEPTH: usize = 512;

/// The most and the fewest tiles that are stacked in a task while there is a
/// choice: a panel is read from afar once for all of them.
const STACK: Range<usize> = 4..13;

/// Multiplications that are worth waking a thread for.
const TASK: usize = 500_000;

/// Tasks per thread, so that none waits long for the last.
const TASKS: usize = 4;

/// The output: where it starts and how far apart its rows are.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub start: *mut f32,
    pub stride: usize,
}

// SAFETY: tasks write disjoint tiles of the output.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

thread_local! {
    static SCRATCH: Cell<Aligned> = Cell::default();
}

/// Part `index` of `count` nearly equal parts of `0..len`.
fn part(len: usize, count: usize, index: usize) -> Range<usize> {
    len * index / count..len * (index + 1) / count
}

/// `out = epilogue(a b)` by one kernel.
///
/// # Safety
/// The processor has the kernel's instructions, and `b` is packed for them. The
/// shapes fit, and `out` is writable for the rows of `a` and the columns of `b`.
pub(super) unsafe fn product<K: Kernel>(
    a: Matrix<'_>,
    b: &Packed,
    out: Output,
    epilogue: &Epilogue<'_>,
) {
    let tiles = a.rows().div_ceil(K::ROWS);
    let panels = b.cols().div_ceil(K::PANEL);
    let threads = rayon::current_num_threads();
    let work = a.rows() * b.cols() * (a.cols() + 16);
    let wanted = match threads {
        1 => 1,
        _ => (work / TASK).clamp(1, TASKS * threads),
    };
    let row_parts = wanted
        .min(tiles.div_ceil(STACK.start))
        .max(tiles.div_ceil(STACK.end));
    let col_parts = wanted.div_ceil(row_parts).min(panels);
    let task = |index: usize| {
        let rows = part(tiles, row_parts, index / col_parts);
        let panels = part(panels, col_parts, index % col_parts);
        // SAFETY: the caller's promises; the tasks are disjoint.
        unsafe { run::<K>(a, b, out, epilogue, rows, panels) };
    };
    let count = row_parts * col_parts;
    if wanted == 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Computes the tiles `stack` high and `panels` wide.
///
/// # Safety
/// As [`product`].
unsafe fn run<K: Kernel>(
    a: Matrix<'_>,
    b: &Packed,
    out: Output,
    epilogue: &Epilogue<'_>,
    stack: Range<usize>,
    panels: Range<usize>,
) {
    let depth = a.cols();
    let blocks = depth.div_ceil(DEPTH).max(1);
    let tiles = a.rows().div_ceil(K::ROWS);
    let mut scratch = SCRATCH.take();
    for block in 0..blocks {
        let terms = part(depth, blocks, block);
        let (first, last) = (block == 0, block + 1 == blocks);
        let cuts = (stack.start..=stack.end).map(|tile| a.rows() * tile / tiles);
        let left = Left::new::<K>(a.col_range(terms.clone()), cuts, &mut scratch);
        for index in panels.clone() {
            let col = index * K::PANEL;
            for (rows, a) in left.tiles() {
                let corner = rows.start * out.stride + col;
                let residual =
                    (epilogue.residual).map_or(null(), |all| all.as_ptr().wrapping_add(corner));
                let gelu = last && epilogue.activation == Act::Gelu;
                let relu = last && epilogue.activation == Act::Relu;
                let tile = Tile {
                    depth: terms.len(),
                    a,
                    a_row: left.row(),
                    a_step: left.step(),
                    b: b.panel(index)[terms.start * K::PANEL..].as_ptr(),
                    out: out.start.wrapping_add(corner),
                    out_row: out.stride,
                    cols: K::PANEL.min(b.cols() - col),
                    accumulate: epilogue.accumulate || !first,
                    bias: match epilogue.bias {
                        Some(bias) if first => bias[col..].as_ptr(),
                        _ => null(),
                    },
                    floor: if relu { 0.0 } else { f32::NEG_INFINITY },
                    residual: if last && !gelu { residual } else { null() },
                };
                // SAFETY: the tile lies within the output, the residual and the bias,
                // its rows and terms within the left-hand matrix, and its terms
                // within the panel.
                unsafe { K::tile(rows.len(), &tile) };
                if gelu {
                    for i in 0..rows.len() {
                        // SAFETY: row `i` of the tile, which this task alone touches.
                        unsafe {
                            let at = tile.out.wrapping_add(i * out.stride);
                            let row = std::slice::from_raw_parts_mut(at, tile.cols);
                            gelu::gelu_in_place(row);
                            if !residual.is_null() {
                                let residual = residual.wrapping_add(i * out.stride);
                                let residual = std::slice::from_raw_parts(residual, tile.cols);
                                for (x, residual) in row.iter_mut().zip(residual) {
                                    *x += residual;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    SCRATCH.set(scratch);
}
