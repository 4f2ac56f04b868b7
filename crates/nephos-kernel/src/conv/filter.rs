//! The filters of a 3 × 3 convolution, transformed and packed.

use rayon::prelude::*;

use super::cook_toom::{INPUTS, TAPS};
use super::transform::gather_tile;
use crate::gemm::Packed;

/// `G g Gᵀ` of all filters, a matrix `[inputs, outputs]` for each of a tile's products.
///
/// # Shapes
/// - weight: `[outputs, inputs, 3, 3]`
pub(super) fn transform_filters(
    g: &[[f32; TAPS]; INPUTS],
    weight: &[f32],
    [outputs, inputs]: [usize; 2],
) -> Vec<Packed> {
    const AREA: usize = TAPS * TAPS;
    let mut packed = vec![Packed::default(); INPUTS * INPUTS];
    for packed in &mut packed {
        packed.reshape(inputs, outputs);
    }
    if inputs == 0 || outputs == 0 {
        return packed;
    }
    let width = packed[0].panel_width();
    // All products' panels of the same columns.
    let mut panels: Vec<Vec<&mut [f32]>> = vec![];
    panels.resize_with(outputs.div_ceil(width), Vec::new);
    for packed in &mut packed {
        for (panels, panel) in panels.iter_mut().zip(packed.panels_mut()) {
            panels.push(panel);
        }
    }
    panels
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, panels)| {
            let first = index * width;
            let count = width.min(outputs - first);
            let mut taps = vec![0.0; AREA * width];
            let mut products = vec![0.0; INPUTS * INPUTS * width];
            for input in 0..inputs {
                for j in 0..count {
                    let filter = &weight[((first + j) * inputs + input) * AREA..][..AREA];
                    for (tap, &x) in filter.iter().enumerate() {
                        taps[tap * width + j] = x;
                    }
                }
                // Columns are to a filter what channels are to a tile.
                gather_tile(g, &taps, [TAPS, TAPS, width], [0, 0], &mut products);
                for (panel, product) in panels.iter_mut().zip(products.chunks_exact(width)) {
                    panel[input * width..][..width].copy_from_slice(product);
                }
            }
        });
    packed
}
