//! Windows that are sampled of a scene.

use crate::raster::Window;

/// Most sampled windows.
const PLACES: usize = 64;
/// Fewest, in scenes with large blocks.
const FEWEST_PLACES: usize = 4;
/// Pixels of a band that are decoded for it, about.
const DECODED: usize = 1 << 23;
/// Largest side of a sampled window.
const SIDE: usize = 128;

/// Windows of at most [`SIDE`] pixels a side in the middle of blocks that are spread
/// evenly over the scene.
pub(crate) fn places(size: [usize; 2], block: [usize; 2]) -> Vec<Window> {
    let block = [0, 1].map(|axis| block[axis].clamp(1, size[axis].max(1)));
    // Very small blocks are taken several together.
    let block = [0, 1].map(|axis| {
        block[axis]
            .max(SIDE)
            .min(size[axis].max(1))
            .max(block[axis])
    });
    let blocks = [0, 1].map(|axis| size[axis].div_ceil(block[axis]));
    let budget = (DECODED / (block[0].saturating_mul(block[1]))).clamp(FEWEST_PLACES, PLACES);
    // As many in both directions, and more down where there are fewer across.
    let across = budget.isqrt().min(blocks[1]).max(1);
    let down = (budget / across).min(blocks[0]).max(1);
    let across = (budget / down).min(blocks[1]);
    let spread = |axis: usize, count: usize| {
        (0..count).map(move |place| {
            let first = (2 * place + 1) * blocks[axis] / (2 * count) * block[axis];
            let length = block[axis].min(size[axis] - first);
            let side = length.min(SIDE);
            (first + (length - side) / 2, side)
        })
    };
    spread(0, down)
        .flat_map(|(row, rows)| {
            spread(1, across).map(move |(col, cols)| Window {
                row,
                col,
                rows,
                cols,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampled_windows_are_few_and_spread_over_the_scene() {
        for (size, block, count) in [
            ([10_980, 10_980], [512, 512], 30),
            ([10_980, 10_980], [1024, 1024], 8),
            ([10_980, 10_980], [1, 10_980], 5),
            ([10_980, 10_980], [256, 256], 64),
            ([603, 627], [1, 627], 5),
            ([10_980, 10_980], [10_980, 10_980], 1),
            ([1, 1], [1, 1], 1),
        ] {
            let places = places(size, block);
            assert_eq!(places.len(), count, "{size:?} {block:?}");
            for window in &places {
                assert!(window.row + window.rows <= size[0] && window.rows >= 1);
                assert!(window.col + window.cols <= size[1] && window.cols >= 1);
                assert!(window.rows <= SIDE && window.cols <= SIDE);
            }
        }
        assert!(places([0, 0], [0, 0]).is_empty());
    }
}
