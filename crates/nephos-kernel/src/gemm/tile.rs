//! The innermost product: one tile of the output, kept in registers.

/// A tile of the output and what goes into it.
///
/// The pointers are valid for the rows and columns the tile says, whatever the
/// kernel; `b` is a whole panel, all terms' rows of [`Kernel::PANEL`] numbers.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// Segments of each sum.
    pub segments: usize,
    /// Terms of a segment.
    pub depth: usize,
    /// The left-hand matrix: `(i, k)` of segment `s` at
    /// `i * a_row + k * a_step + s * a_segment`.
    pub a: *const f32,
    /// Elements from one row of `a` to the next.
    pub a_row: usize,
    /// Elements from one column of `a` to the next.
    pub a_step: usize,
    /// Elements from one segment of `a` to the next.
    pub a_segment: usize,
    /// The panel of the right-hand matrix, one segment after the other.
    pub b: *const f32,
    /// What is wanted next from afar, a hint; any address will do.
    pub ahead: *const f32,
    /// Elements by which to move on in that with each term.
    pub ahead_step: usize,
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
pub(crate) trait Kernel {
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
