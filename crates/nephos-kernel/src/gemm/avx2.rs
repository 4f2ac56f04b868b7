//! The kernel for processors with AVX2 and FMA: 6 rows of two registers.

use std::arch::x86_64::*;

use super::tile::{Kernel, Tile};

/// AVX2 and FMA.
pub(super) struct Avx2;

/// Columns of a register.
const LANES: usize = 8;
/// Registers of a row.
const REGISTERS: usize = 2;

impl Kernel for Avx2 {
    const ROWS: usize = 6;
    const PANEL: usize = REGISTERS * LANES;

    #[inline]
    unsafe fn tile(rows: usize, tile: &Tile) {
        macro_rules! rows {
            ($($count:literal)*) => {
                match rows {
                    // SAFETY: the caller's promises are the same.
                    $($count => unsafe { multiply::<$count>(tile) },)*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        rows!(1 2 3 4 5 6);
    }
}

/// # Safety
/// As [`Kernel::tile`].
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply<const ROWS: usize>(tile: &Tile) {
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let mut mask = [_mm256_setzero_si256(); REGISTERS];
    for (register, mask) in mask.iter_mut().enumerate() {
        let columns = tile.cols.saturating_sub(register * LANES).min(LANES);
        *mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(columns as i32), lane);
    }
    let mut sum = [[_mm256_setzero_ps(); REGISTERS]; ROWS];
    // SAFETY: rows below ROWS, terms below the depth, and columns within the masks
    // are all inside what the tile's pointers are valid for; panels are whole. A
    // masked load or store touches no other column; pointers to a register without
    // columns are formed by wrapping arithmetic and not read.
    unsafe {
        let at = |i: usize, register: usize| i * tile.out_row + register * LANES;
        for register in 0..REGISTERS {
            let bias = if tile.bias.is_null() {
                _mm256_setzero_ps()
            } else {
                _mm256_maskload_ps(tile.bias.wrapping_add(register * LANES), mask[register])
            };
            for (i, sum) in sum.iter_mut().enumerate() {
                sum[register] = bias;
                if tile.accumulate {
                    let old = tile.out.wrapping_add(at(i, register));
                    sum[register] = _mm256_add_ps(bias, _mm256_maskload_ps(old, mask[register]));
                }
            }
        }
        let (mut a, mut b) = (tile.a, tile.b);
        for _ in 0..tile.segments {
            for _ in 0..tile.depth {
                let first = _mm256_loadu_ps(b);
                let second = _mm256_loadu_ps(b.add(LANES));
                for (i, sum) in sum.iter_mut().enumerate() {
                    let a = _mm256_broadcast_ss(&*a.wrapping_add(i * tile.a_row));
                    sum[0] = _mm256_fmadd_ps(a, first, sum[0]);
                    sum[1] = _mm256_fmadd_ps(a, second, sum[1]);
                }
                a = a.wrapping_add(tile.a_step);
                b = b.add(Avx2::PANEL);
            }
            // On to the next segment.
            a = a.wrapping_add(tile.a_segment.wrapping_sub(tile.depth * tile.a_step));
        }
        let floor = _mm256_set1_ps(tile.floor);
        for (i, sum) in sum.iter().enumerate() {
            for register in 0..REGISTERS {
                let mut x = _mm256_max_ps(floor, sum[register]);
                if !tile.residual.is_null() {
                    let residual = tile.residual.wrapping_add(at(i, register));
                    x = _mm256_add_ps(x, _mm256_maskload_ps(residual, mask[register]));
                }
                let out = tile.out.wrapping_add(at(i, register));
                _mm256_maskstore_ps(out, mask[register], x);
            }
        }
    }
}
