//! The innermost product: one tile of the output, kept in registers.

/// A tile of the output and what goes into it.
///
/// The pointers are valid for the rows and columns the tile says, whatever the
/// kernel; `b` is a whole panel, `depth` rows of [`Kernel::PANEL`] numbers.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Terms of each sum.
    pub depth: usize,
    /// The left-hand matrix: `(i, k)` at `i * a_row + k * a_step`.
    pub a: *const f32,
    /// Elements from one row of `a` to the next.
    pub a_row: usize,
    /// Elements from one column of `a` to the next.
    pub a_step: usize,
    /// The panel of the right-hand matrix.
    pub b: *const f32,
    /// The output.
    pub out: *mut f32,
    /// Elements from one row of the output, and of the residual, to the next.
    pub out_row: usize,
    /// Columns of the tile, 1 to [`Kernel::PANEL`].
    pub cols: usize,
    /// Sums start from what the output holds.
    pub accumulate: bool,
    /// Added to each row; may be null.
    pub bias: *const f32,
    /// The least value that is stored: 0 for a ReLU, else -infinity. NaN stays NaN.
    pub floor: f32,
    /// Added after that; may be null.
    pub residual: *const f32,
}

/// A set of instructions to multiply with.
pub(super) trait Kernel {
    /// The most rows of a tile.
    const ROWS: usize;
    /// Columns of a panel.
    const PANEL: usize;

    /// Computes one tile of `rows` rows.
    ///
    /// Every element is the same sequence of operations whatever the tile's shape.
    ///
    /// # Safety
    /// `1 <= rows <= ROWS`, the pointers are as [`Tile`] says, and the processor has
    /// the instructions.
    unsafe fn tile(rows: usize, tile: &Tile);
}
