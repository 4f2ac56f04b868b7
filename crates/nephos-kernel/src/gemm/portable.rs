//! The kernel for any processor, in arrays that the compiler turns into vectors.

use super::tile::{Kernel, Tile};

/// No instructions in particular.
pub(super) struct Portable;

impl Kernel for Portable {
    const ROWS: usize = 4;
    const PANEL: usize = 8;

    unsafe fn tile(rows: usize, tile: &Tile) {
        match rows {
            // SAFETY: the caller's promises are the same.
            1 => unsafe { multiply::<1>(tile) },
            // SAFETY: as above.
            2 => unsafe { multiply::<2>(tile) },
            // SAFETY: as above.
            3 => unsafe { multiply::<3>(tile) },
            // SAFETY: as above.
            4 => unsafe { multiply::<4>(tile) },
            _ => unreachable!("a tile of {rows} rows"),
        }
    }
}

/// # Safety
/// As [`Kernel::tile`].
unsafe fn multiply<const ROWS: usize>(tile: &Tile) {
    const PANEL: usize = Portable::PANEL;
    let mut sum = [[0.0f32; PANEL]; ROWS];
    // SAFETY: rows below ROWS, terms below the depth and columns below the tile's
    // are all inside what the pointers are valid for; panels are whole.
    unsafe {
        for (i, sum) in sum.iter_mut().enumerate() {
            for (j, sum) in sum[..tile.cols].iter_mut().enumerate() {
                if !tile.bias.is_null() {
                    *sum = *tile.bias.add(j);
                }
                if tile.accumulate {
                    *sum += *tile.out.add(i * tile.out_row + j);
                }
            }
        }
        for k in 0..tile.segments * tile.depth {
            let b = &*tile.b.add(k * PANEL).cast::<[f32; PANEL]>();
            let term = k / tile.depth * tile.a_segment + k % tile.depth * tile.a_step;
            for (i, sum) in sum.iter_mut().enumerate() {
                let a = *tile.a.add(i * tile.a_row + term);
                for (sum, b) in sum.iter_mut().zip(b) {
                    *sum += a * b;
                }
            }
        }
        for (i, sum) in sum.iter().enumerate() {
            for (j, &sum) in sum[..tile.cols].iter().enumerate() {
                let mut x = if sum < tile.floor { tile.floor } else { sum };
                if !tile.residual.is_null() {
                    x += *tile.residual.add(i * tile.out_row + j);
                }
                *tile.out.add(i * tile.out_row + j) = x;
            }
        }
    }
}
