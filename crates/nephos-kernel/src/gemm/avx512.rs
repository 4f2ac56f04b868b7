//! The kernel for processors with AVX-512F: 14 rows of two registers.

use std::arch::x86_64::*;

use super::tile::{Kernel, Tile};

/// AVX-512F.
pub(super) struct Avx512;

/// Columns of a register.
const LANES: usize = 16;
/// Rows of half a tile.
const HALF: usize = 7;

impl Kernel for Avx512 {
    const ROWS: usize = 14;
    const PANEL: usize = 2 * LANES;

    #[inline]
    unsafe fn tile(rows: usize, tile: &Tile) {
        macro_rules! rows {
            ($($count:literal)*) => {
                match (rows, tile.cols > LANES) {
                    // SAFETY: the caller's promises are the same.
                    $(($count, true) => unsafe { multiply::<$count, 2>(tile) },)*
                    // SAFETY: as above; the tile has no columns for a second register.
                    $(($count, false) => unsafe { multiply::<$count, 1>(tile) },)*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// # Safety
/// As [`Kernel::tile`]; `REGISTERS` hold the tile's columns.
#[target_feature(enable = "avx512f")]
unsafe fn multiply<const ROWS: usize, const REGISTERS: usize>(tile: &Tile) {
    let mut mask = [0 as __mmask16; REGISTERS];
    for (register, mask) in mask.iter_mut().enumerate() {
        let columns = tile.cols.saturating_sub(register * LANES).min(LANES);
        *mask = ((1u32 << columns) - 1) as __mmask16;
    }
    let mut sum = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
    // SAFETY: rows below ROWS, terms below the depth, and columns within the masks
    // are all inside what the tile's pointers are valid for; panels are whole.
    unsafe {
        let at = |i: usize, register: usize| i * tile.out_row + register * LANES;
        for register in 0..REGISTERS {
            let bias = if tile.bias.is_null() {
                _mm512_setzero_ps()
            } else {
                _mm512_maskz_loadu_ps(mask[register], tile.bias.wrapping_add(register * LANES))
            };
            for (i, sum) in sum.iter_mut().enumerate() {
                sum[register] = bias;
                if tile.accumulate {
                    let old = _mm512_maskz_loadu_ps(
                        mask[register],
                        tile.out.wrapping_add(at(i, register)),
                    );
                    sum[register] = _mm512_add_ps(bias, old);
                }
            }
        }
        for i in 0..ROWS {
            for register in 0..REGISTERS {
                let out = tile.out.wrapping_add(at(i, register)).cast::<i8>();
                _mm_prefetch::<_MM_HINT_ET0>(out);
            }
        }
        let (mut b, mut ahead) = (tile.b, tile.ahead);
        // Rows of two halves of the tile: two bases, and distances from them that are
        // one register each, or a scale of one.
        let (mut low, mut high) = (tile.a, tile.a.wrapping_add(HALF * tile.a_row));
        let mut row = tile.a_row * size_of::<f32>();
        let (mut three, mut five) = (3 * row, 5 * row);
        // Written out, because the compiler would not unroll all of it.
        macro_rules! rows {
            ($at:literal, $columns:ident: $($i:literal)*) => { $(if $i < ROWS {
                let base = if $i < HALF { low } else { high };
                let distance = match $i % HALF {
                    3 => three,
                    5 => five,
                    6 => 2 * three,
                    scale => scale * row,
                };
                let a = _mm512_set1_ps(*base.wrapping_byte_add(distance).wrapping_add($at));
                for (sum, &column) in sum[$i].iter_mut().zip(&$columns) {
                    *sum = _mm512_fmadd_ps(a, column, *sum);
                }
            })* };
        }
        // All products of the term that is so many terms on, in a matrix whose terms lie
        // next to each other.
        macro_rules! term {
            ($at:literal) => {{
                let mut columns = [_mm512_setzero_ps(); REGISTERS];
                for (register, column) in columns.iter_mut().enumerate() {
                    *column = _mm512_loadu_ps(b.add($at * Avx512::PANEL + register * LANES));
                }
                rows!($at, columns: 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
            }};
        }
        // What is counted takes turns with what is multiplied: as little as possible.
        let fours = if tile.a_step == 1 { tile.depth / 4 } else { 0 };
        let two = 2 * tile.ahead_step;
        for _ in 0..tile.segments {
            for _ in 0..fours {
                keep(&mut low, &mut high, [&mut row, &mut three, &mut five]);
                term!(0);
                _mm_prefetch::<_MM_HINT_T1>(ahead.cast());
                term!(1);
                term!(2);
                _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(two).cast());
                term!(3);
                ahead = ahead.wrapping_add(2 * two);
                low = low.wrapping_add(4);
                high = high.wrapping_add(4);
                b = b.add(4 * Avx512::PANEL);
            }
            for _ in 4 * fours..tile.depth {
                keep(&mut low, &mut high, [&mut row, &mut three, &mut five]);
                term!(0);
                _mm_prefetch::<_MM_HINT_T1>(ahead.cast());
                ahead = ahead.wrapping_add(tile.ahead_step);
                low = low.wrapping_add(tile.a_step);
                high = high.wrapping_add(tile.a_step);
                b = b.add(Avx512::PANEL);
            }
            // On to the next segment.
            let gap = tile.a_segment.wrapping_sub(tile.depth * tile.a_step);
            low = low.wrapping_add(gap);
            high = high.wrapping_add(gap);
        }
        let floor = _mm512_set1_ps(tile.floor);
        for (i, sum) in sum.iter().enumerate() {
            for register in 0..REGISTERS {
                let mut x = _mm512_max_ps(floor, sum[register]);
                if !tile.residual.is_null() {
                    let residual = tile.residual.wrapping_add(at(i, register));
                    x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask[register], residual));
                }
                _mm512_mask_storeu_ps(tile.out.wrapping_add(at(i, register)), mask[register], x);
            }
        }
    }
}

/// Hides the origin of these numbers from the compiler, so that it keeps each
/// in a register and scales them in the address of a load, instead of keeping every
/// row's distance, for which there are not enough registers.
#[inline(always)]
fn keep(low: &mut *const f32, high: &mut *const f32, [row, three, five]: [&mut usize; 3]) {
    // SAFETY: there are no instructions.
    unsafe {
        std::arch::asm!(
            "/* {0} {1} {2} {3} {4} */",
            inout(reg) * low,
            inout(reg) * high,
            inout(reg) * row,
            inout(reg) * three,
            inout(reg) * five,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
}
