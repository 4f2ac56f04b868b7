//! The filters of a 3 × 3 convolution, transformed and packed.

use rayon::prelude::*;

use super::cook_toom::TAPS;
use super::transform::gather_tile;
use crate::gemm::Packed;

/// Which way a convolution goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From inputs to outputs.
    Forward,
    /// From gradients by the outputs to gradients by the inputs: inputs and outputs
    /// change places, the taps turn about the middle.
    Backward,
}

/// `G g Gᵀ` of all filters, a matrix `[inputs, outputs]` for each of the `ROWS²`
/// products.
///
/// # Shapes
/// - weight: `[outputs, inputs, 3, 3]` of the forward convolution
pub(super) fn transform_filters<const ROWS: usize>(
    g: &[[f32; TAPS]; ROWS],
    weight: &[f32],
    [outputs, inputs]: [usize; 2],
    direction: Direction,
    packed: &mut Vec<Packed>,
) {
    const AREA: usize = TAPS * TAPS;
    let [rows, cols] = match direction {
        Direction::Forward => [inputs, outputs],
        Direction::Backward => [outputs, inputs],
    };
    packed.resize_with(ROWS * ROWS, Packed::default);
    for packed in packed.iter_mut() {
        packed.reshape(rows, cols);
    }
    if rows == 0 || cols == 0 {
        return;
    }
    let width = packed[0].panel_width();
    // All products' panels of the same columns.
    let mut panels: Vec<Vec<&mut [f32]>> = vec![];
    panels.resize_with(cols.div_ceil(width), Vec::new);
    for packed in packed {
        for (panels, panel) in panels.iter_mut().zip(packed.panels_mut()) {
            panels.push(panel);
        }
    }
    panels
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, panels)| {
            let first = index * width;
            let count = width.min(cols - first);
            let mut taps = vec![0.0; AREA * width];
            let mut products = vec![0.0; ROWS * ROWS * width];
            for row in 0..rows {
                for j in 0..count {
                    let (output, input) = match direction {
                        Direction::Forward => (first + j, row),
                        Direction::Backward => (row, first + j),
                    };
                    let filter = &weight[(output * inputs + input) * AREA..][..AREA];
                    for (tap, &x) in filter.iter().enumerate() {
                        let tap = match direction {
                            Direction::Forward => tap,
                            Direction::Backward => AREA - 1 - tap,
                        };
                        taps[tap * width + j] = x;
                    }
                }
                // Columns are to a filter what channels are to a tile.
                gather_tile(g, &taps, [TAPS, TAPS, width], [0, 0], &mut products);
                for (panel, product) in panels.iter_mut().zip(products.chunks_exact(width)) {
                    panel[row * width..][..width].copy_from_slice(product);
                }
            }
        });
}
