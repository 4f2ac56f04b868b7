//! Columns with a stride, made contiguous.

use crate::sizes::reach;

/// Copies the transpose of a block: `to[i * to_row + j] = from[i + j * from_row]`.
///
/// # Shapes
/// - from: `cols` rows of `rows` numbers, `from_row` apart
/// - to: `rows` rows of `cols` numbers, `to_row` apart
///
/// # Panics
/// A slice is too short.
pub(crate) fn transpose(
    from: &[f32],
    from_row: usize,
    to: &mut [f32],
    to_row: usize,
    [rows, cols]: [usize; 2],
) {
    if rows == 0 || cols == 0 {
        return;
    }
    assert!(from.len() >= reach(cols, from_row, rows));
    assert!(to.len() >= reach(rows, to_row, cols) && to_row >= cols);
    let (mut full_rows, mut full_cols) = (0, 0);
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") {
        (full_rows, full_cols) = (rows / 8 * 8, cols / 8 * 8);
        for i in (0..full_rows).step_by(8) {
            for j in (0..full_cols).step_by(8) {
                // SAFETY: eight rows and columns from `(i, j)` lie within both slices,
                // and the processor has AVX.
                unsafe {
                    let from = from.as_ptr().add(j * from_row + i);
                    let to = to.as_mut_ptr().add(i * to_row + j);
                    eight(from, from_row, to, to_row);
                }
            }
        }
    }
    for i in 0..rows {
        let start = if i < full_rows { full_cols } else { 0 };
        for j in start..cols {
            to[i * to_row + j] = from[i + j * from_row];
        }
    }
}

/// Transposes 8 x 8 numbers.
///
/// # Safety
/// Eight rows of eight numbers, as far apart as said, are valid at both pointers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn eight(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    use std::arch::x86_64::*;
    let mut rows = [_mm256_setzero_ps(); 8];
    for (j, row) in rows.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *row = unsafe { _mm256_loadu_ps(from.add(j * from_row)) };
    }
    // Pairs of rows, then fours: each half of a register holds four of one column.
    let mut fours = [_mm256_setzero_ps(); 8];
    for half in [0, 4] {
        let [a, b, c, d] = [0, 1, 2, 3].map(|j| rows[half + j]);
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        fours[half] = _mm256_shuffle_ps::<0x44>(ab, cd);
        fours[half + 1] = _mm256_shuffle_ps::<0xEE>(ab, cd);
        let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        fours[half + 2] = _mm256_shuffle_ps::<0x44>(ab, cd);
        fours[half + 3] = _mm256_shuffle_ps::<0xEE>(ab, cd);
    }
    for i in 0..4 {
        let (low, high) = (fours[i], fours[i + 4]);
        // SAFETY: the caller's promise.
        unsafe {
            let first = _mm256_permute2f128_ps::<0x20>(low, high);
            _mm256_storeu_ps(to.add(i * to_row), first);
            let second = _mm256_permute2f128_ps::<0x31>(low, high);
            _mm256_storeu_ps(to.add((i + 4) * to_row), second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_block_is_transposed() {
        for [rows, cols] in [[1, 1], [8, 8], [16, 24], [9, 17], [7, 33], [0, 3], [40, 5]] {
            let (from_row, to_row) = (rows + 3, cols + 1);
            let from: Vec<f32> = (0..cols * from_row).map(|x| x as f32).collect();
            let mut to = vec![-1.0; rows * to_row];
            transpose(&from, from_row, &mut to, to_row, [rows, cols]);
            for (at, &x) in to.iter().enumerate() {
                let (i, j) = (at / to_row, at % to_row);
                let expected = if j < cols {
                    from[i + j * from_row]
                } else {
                    -1.0
                };
                assert_eq!(x, expected);
            }
        }
    }
}
