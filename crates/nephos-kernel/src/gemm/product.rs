//! Who computes what of a product.

use std::ops::Range;

use super::left::{Left, part};
use super::run::{Output, run};
use super::tile::Kernel;
use super::{Epilogue, Matrix, Packed};
use crate::pool::parallel_for;

/// The most and the fewest tiles that are stacked in a task while there is a
/// choice: a panel is read from afar once for all of them.
const STACK: Range<usize> = 4..13;

/// Multiplications that are worth waking a thread for.
const TASK: usize = 500_000;

/// Tasks per thread, so that none waits long for the last.
const TASKS: usize = 8;

/// The same for many products at once.
const BATCH_TASKS: usize = 24;

/// `out = epilogue(a b)` by one kernel, by one thread unless it is to be `parallel`.
///
/// # Safety
/// The processor has the kernel's instructions, and `b` is packed for them. The
/// shapes fit, and `out` is writable for the rows of `a` and the columns of `b`.
pub(super) unsafe fn product<K: Kernel>(
    a: &impl Left,
    b: &Packed,
    out: Output,
    epilogue: &Epilogue<'_>,
    parallel: bool,
) {
    let threads = if parallel {
        rayon::current_num_threads()
    } else {
        1
    };
    let wanted = match threads {
        1 => 1,
        _ => (work::<K>(a, b) / TASK).clamp(1, TASKS * threads),
    };
    let plan = Plan::new::<K>(a, b, wanted);
    let task = |index: usize| {
        let (rows, panels) = plan.task(index);
        // SAFETY: the caller's promises; the tasks are disjoint.
        unsafe { run::<K>(a, b, out, epilogue, rows, panels, None) };
    };
    if wanted == 1 {
        (0..plan.count()).for_each(task);
    } else {
        parallel_for(plan.count(), task);
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
    let wanted = (work::<K>(first, &b[0]) * a.len() / TASK).min(BATCH_TASKS * threads);
    let plan = Plan::new::<K>(first, &b[0], wanted.div_ceil(a.len()).max(1));
    let task = |index: usize| {
        let which = index / plan.count();
        let (rows, panels) = plan.task(index % plan.count());
        let out = out.moved(which * step);
        let next = (index + 1) / plan.count();
        let next = (b.get(next)).map(|b| (b, plan.task((index + 1) % plan.count()).1.start));
        // SAFETY: the caller's promises; the tasks are disjoint.
        unsafe {
            run::<K>(
                &a[which],
                &b[which],
                out,
                &Epilogue::default(),
                rows,
                panels,
                next,
            )
        };
    };
    let count = a.len() * plan.count();
    if threads == 1 || wanted <= 1 {
        (0..count).for_each(task);
    } else {
        parallel_for(count, task);
    }
}

/// Multiplications of a product, and what comes with each row.
fn work<K: Kernel>(a: &impl Left, b: &Packed) -> usize {
    match a.tiles::<K>() {
        0 => 0,
        tiles => a.rows::<K>(tiles - 1).end * b.cols() * (b.rows() + 16),
    }
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
    fn new<K: Kernel>(a: &impl Left, b: &Packed, wanted: usize) -> Self {
        let tiles = a.tiles::<K>();
        let panels = b.cols().div_ceil(K::PANEL);
        let least = tiles.div_ceil(STACK.end);
        let row_parts = match least {
            // Few rows: what takes time is to read the panels, which no two tasks should.
            0 | 1 => wanted.div_ceil(panels),
            _ => wanted,
        };
        let row_parts = row_parts.min(tiles.div_ceil(STACK.start)).max(least);
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
