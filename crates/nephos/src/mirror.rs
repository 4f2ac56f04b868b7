//! What lies beyond the edge of an image.

/// The place in `0..length` that place `at` shows of an axis that goes on beyond its ends
/// as its own reflection, again and again: …, 2, 1, 0, 1, 2, … The end itself does not
/// come twice.
///
/// All that nephos adds around an image is filled so, in training, prediction and
/// explanation alike. Zeros are not: to a network they are pixels like others, as dark as
/// no ground is, and it finds cloud or shadow in them and beside them.
///
/// # Panics
/// `length` is 0.
pub(crate) fn mirrored(at: isize, length: usize) -> usize {
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
    fn an_axis_goes_on_as_its_reflection_again_and_again() {
        let shown = |length, range: std::ops::Range<isize>| -> Vec<usize> {
            range.map(|at| mirrored(at, length)).collect()
        };
        assert_eq!(shown(4, -4..9), [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(shown(2, -2..4), [0, 1, 0, 1, 0, 1]);
        assert_eq!(shown(1, -3..3), [0; 6]);
    }
}
