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
use super::gelu::gelu_in_place;
use super::left::Rows;
use super::tile::{Kernel, Tile};
use super::{Act, Epilogue, Matrix, Packed};

/// The most terms of a sum that are added in one go.
const DEPTH: usize = 384;

/// Panels that are kept in a second-level cache while tiles go by.
const GROUP: usize = 8;

/// The most and the fewest tiles that are stacked in a task while there is a
/// choice: a panel is read from afar once for all of them.
const STACK: Range<usize> = 4..13;

/// Multiplications that are worth waking a thread for.
const TASK: usize = 500_000;

/// Tasks per thread, so that none waits long for the last.
const TASKS: usize = 4;

/// The same for many products at once.
const BATCH_TASKS: usize = 24;

/// The output: where it starts and how far apart its rows are.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub start: *mut f32,
    pub stride: usize,
}

impl Output {
    /// The output that starts so many elements further on.
    fn moved(self, offset: usize) -> Self {
        Self {
            start: self.start.wrapping_add(offset),
            ..self
        }
    }
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
    let threads = rayon::current_num_threads();
    let wanted = match threads {
        1 => 1,
        _ => (work(&a, b) / TASK).clamp(1, TASKS * threads),
    };
    let plan = Plan::new::<K>(&a, b, wanted);
    let task = |index: usize| {
        let (rows, panels) = plan.task(index);
        // SAFETY: the caller's promises; the tasks are disjoint.
        unsafe { run::<K>(a, b, out, epilogue, rows, panels) };
    };
    if wanted == 1 {
        (0..plan.count()).for_each(task);
    } else {
        let tasks = (0..plan.count()).into_par_iter();
        tasks.with_max_len(1).for_each(task);
    }
}

/// `out[i] = a[i] b[i]` by one kernel, for matrices of equal shapes; outputs start
/// `step` elements apart. One thread does it all unless it is to be `parallel`.
///
/// # Safety
/// As [`product`], for each output.
pub(super) unsafe fn batch<K: Kernel>(
    a: &[Matrix<'_>],
    b: &[Packed],
    out: Output,
    step: usize,
    parallel: bool,
) {
    let Some(first) = a.first() else { return };
    let threads = if parallel {
        rayon::current_num_threads()
    } else {
        1
    };
    let wanted = (work(first, &b[0]) * a.len() / TASK).min(BATCH_TASKS * threads);
    let plan = Plan::new::<K>(first, &b[0], wanted.div_ceil(a.len()).max(1));
    let task = |index: usize| {
        let (which, index) = (index / plan.count(), index % plan.count());
        let (rows, panels) = plan.task(index);
        let out = out.moved(which * step);
        // SAFETY: the caller's promises; the tasks are disjoint.
        unsafe { run::<K>(a[which], &b[which], out, &Epilogue::default(), rows, panels) };
    };
    let count = a.len() * plan.count();
    if threads == 1 || wanted <= 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Multiplications of a product, and what comes with each row.
fn work(a: &Matrix<'_>, b: &Packed) -> usize {
    a.rows() * b.cols() * (a.cols() + 16)
}

/// An output cut into tasks.
struct Plan {
    tiles: usize,
    panels: usize,
    row_parts: usize,
    col_parts: usize,
}

impl Plan {
    /// About `wanted` tasks.
    fn new<K: Kernel>(a: &Matrix<'_>, b: &Packed, wanted: usize) -> Self {
        let tiles = a.rows().div_ceil(K::ROWS);
        let panels = b.cols().div_ceil(K::PANEL);
        let row_parts = wanted
            .min(tiles.div_ceil(STACK.start))
            .max(tiles.div_ceil(STACK.end));
        let col_parts = wanted.div_ceil(row_parts).min(panels);
        Self {
            tiles,
            panels,
            row_parts,
            col_parts,
        }
    }

    fn count(&self) -> usize {
        self.row_parts * self.col_parts
    }

    /// The tiles, from top to bottom, and the panels of a task.
    fn task(&self, index: usize) -> (Range<usize>, Range<usize>) {
        (
            part(self.tiles, self.row_parts, index / self.col_parts),
            part(self.panels, self.col_parts, index % self.col_parts),
        )
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
    for (block, start) in
        (0..blocks).flat_map(|b| panels.clone().step_by(GROUP).map(move |p| (b, p)))
    {
        let terms = part(depth, blocks, block);
        let (first, last) = (block == 0, block + 1 == blocks);
        let finish = if last { epilogue.activation } else { Act::None };
        for index in stack.clone() {
            let rows = part(a.rows(), tiles, index);
            let left = Rows::of::<K>(a, rows.clone(), terms.clone(), &mut scratch);
            for panel in start..panels.end.min(start + GROUP) {
                let col = panel * K::PANEL;
                let corner = rows.start * out.stride + col;
                let residual = match epilogue.residual {
                    Some(residual) if last => residual.as_ptr().wrapping_add(corner),
                    _ => null(),
                };
                let tile = Tile {
                    depth: terms.len(),
                    a: left.start,
                    a_row: left.row,
                    a_step: left.step,
                    b: b.panel(panel)[terms.start * K::PANEL..].as_ptr(),
                    out: out.start.wrapping_add(corner),
                    out_row: out.stride,
                    cols: K::PANEL.min(b.cols() - col),
                    accumulate: epilogue.accumulate || !first,
                    bias: match epilogue.bias {
                        Some(bias) if first => bias[col..].as_ptr(),
                        _ => null(),
                    },
                    floor: match finish {
                        Act::Relu => 0.0,
                        _ => f32::NEG_INFINITY,
                    },
                    residual: match finish {
                        Act::Gelu => null(),
                        _ => residual,
                    },
                };
                // SAFETY: the tile lies within the output, the residual and the bias,
                // its rows and terms within the left-hand matrix or its copy, and its
                // terms within the panel.
                unsafe { K::tile(rows.len(), &tile) };
                if finish == Act::Gelu {
                    // SAFETY: as above; only this task touches the tile.
                    unsafe { gelu_tile(rows.len(), &tile, residual) };
                }
            }
        }
    }
    SCRATCH.set(scratch);
}

/// The GELU of a tile, and the residual after it.
///
/// # Safety
/// The tile and the residual, unless null, are valid for its rows and columns.
unsafe fn gelu_tile(rows: usize, tile: &Tile, residual: *const f32) {
    for i in 0..rows {
        let row = i * tile.out_row;
        // SAFETY: row `i` lies within the output.
        let out = unsafe { std::slice::from_raw_parts_mut(tile.out.wrapping_add(row), tile.cols) };
        gelu_in_place(out);
        if !residual.is_null() {
            // SAFETY: the residual has the layout of the output.
            let residual =
                unsafe { std::slice::from_raw_parts(residual.wrapping_add(row), tile.cols) };
            for (x, residual) in out.iter_mut().zip(residual) {
                *x += residual;
            }
        }
    }
}
