//! One task of a product: some tiles high, some panels wide.
//!
//! A task goes through the terms of its sums block by block, and through each block
//! panel by panel. Where the terms are cut depends on the left-hand matrix alone, so
//! the result does not depend on how a product is cut into tasks.

use std::cell::Cell;
use std::ops::Range;
use std::ptr::null;

use super::aligned::Aligned;
use super::gelu::gelu_in_place;
use super::left::{Left, part};
use super::tile::{Kernel, Tile};
use super::{Act, Epilogue, Packed};

/// Panels that stay in a second-level cache while tiles go by.
const GROUP: usize = 8;

/// With no more tiles than this, panels come from afar faster than they are used,
/// and the next should be on its way while few are in use.
const FEW_TILES: usize = 7;

/// Panels that are in use then.
const SMALL_GROUP: usize = 2;

/// The output: where it starts and how far apart its rows are.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub start: *mut f32,
    pub stride: usize,
}

impl Output {
    /// The output that starts so many elements further on.
    pub(super) fn moved(self, offset: usize) -> Self {
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

/// Computes the tiles `stack` high and `panels` wide. What is multiplied after that
/// probably starts with panels of `next`, from the one said there on.
///
/// # Safety
/// The processor has the kernel's instructions, and `b` is packed for them and has as
/// many rows as `a` has terms. `out`, and the residual, are valid for the rows of the
/// tiles and the columns of the panels, which no one else touches.
pub(super) unsafe fn run<K: Kernel>(
    a: &impl Left,
    b: &Packed,
    out: Output,
    epilogue: &Epilogue<'_>,
    stack: Range<usize>,
    panels: Range<usize>,
    next: Option<(&Packed, usize)>,
) {
    let blocks = a.blocks();
    let group = match stack.len() <= FEW_TILES && !a.copies() {
        true => SMALL_GROUP,
        false => GROUP,
    };
    let mut scratch = SCRATCH.take();
    for (block, start) in
        (0..blocks).flat_map(|b| panels.clone().step_by(group).map(move |p| (b, p)))
    {
        let terms = a.terms(block);
        let (first, last) = (block == 0, block + 1 == blocks);
        let finish = if last { epilogue.activation } else { Act::None };
        for index in stack.clone() {
            let rows = a.rows::<K>(index);
            let left = a.read::<K>(index, block, &mut scratch);
            for panel in start..panels.end.min(start + group) {
                let col = panel * K::PANEL;
                let corner = rows.start * out.stride + col;
                let residual = match epilogue.residual {
                    Some(residual) if last => residual.as_ptr().wrapping_add(corner),
                    _ => null(),
                };
                // Each tile fetches its share of the panel a group further on: of this
                // block, of the next, or of what comes after this task.
                let wanted = if panel + group < panels.end {
                    b.terms_of_panel(panel + group, terms.clone())
                } else if !last {
                    b.terms_of_panel(panels.start + panel - start, a.terms(block + 1))
                } else if let Some((b, first)) = next
                    && first + panel - start < b.cols().div_ceil(K::PANEL)
                {
                    b.terms_of_panel(first + panel - start, a.terms(0))
                } else {
                    &[]
                };
                let share = part(wanted.len(), stack.len(), index - stack.start);
                let tile = Tile {
                    segments: left.segments,
                    depth: left.segment,
                    a: left.start,
                    a_row: left.row,
                    a_step: left.step,
                    a_segment: left.segment_step,
                    b: b.terms_of_panel(panel, terms.clone()).as_ptr(),
                    ahead: wanted[share.start..].as_ptr(),
                    ahead_step: share.len().div_ceil(terms.len().max(1)),
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
