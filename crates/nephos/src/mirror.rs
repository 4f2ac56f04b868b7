//! Reflection padding.

/// The position in `0..length` for position `at` of an axis that is continued beyond its ends
/// by reflection: …, 2, 1, 0, 1, 2, … The end itself is not
/// repeated.
///
/// All padding of images uses it, in training, prediction and
/// explanation. Zeros are not used: to a network they are very dark
/// pixels, and it predicts cloud or shadow in and beside them.
///
/// # Panics
/// `length` is 0.
pub fn mirrored(at: isize, length: usize) -> usize {
    let last = length
        .checked_sub(1)
        .expect("an axis with at least one place");
    if last == 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * last as isize) as usize;
    at.min(2 * last - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_reflected_repeatedly() {
        let shown = |length, range: std::ops::Range<isize>| -> Vec<usize> {
            range.map(|at| mirrored(at, length)).collect()
        };
        assert_eq!(shown(4, -4..9), [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(shown(2, -2..4), [0, 1, 0, 1, 0, 1]);
        assert_eq!(shown(1, -3..3), [0; 6]);
    }
}
