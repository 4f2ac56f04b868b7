//! Overlapping windows that cover an image, and how they blend.

/// Share of a window that at least overlaps the next.
const OVERLAP: f64 = 0.25;

/// First pixels of windows of `window` pixels that cover `length` pixels evenly:
/// the first starts at 0, the last ends at `length`, neighbours overlap by at
/// least a quarter.
///
/// # Panics
/// `window` is 0 or larger than `length`.
pub(super) fn starts(length: usize, window: usize) -> Vec<usize> {
    assert!(
        0 < window && window <= length,
        "a window must fit the image"
    );
    let rest = length - window;
    let stride = ((window as f64 * (1.0 - OVERLAP)) as usize).max(1);
    let steps = rest.div_ceil(stride);
    // No steps: one window that is the image.
    (0..=steps)
        .map(|step| (rest * step).checked_div(steps).unwrap_or(0))
        .collect()
}

/// Weight of each pixel along a window: 1 in the middle, falling linearly to
/// the borders, never 0.
pub(super) fn weights(window: usize) -> Vec<f32> {
    let half = (window as f32 / 2.0).max(1.0);
    (0..window)
        .map(|pixel| (pixel.min(window - 1 - pixel) as f32 + 0.5) / half)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_with_overlap() {
        assert_eq!(starts(10, 10), [0]);
        for (length, window) in [(11, 10), (100, 16), (1021, 509), (7, 1), (1000, 3)] {
            let starts = starts(length, window);
            assert_eq!(starts[0], 0);
            assert_eq!(starts[starts.len() - 1] + window, length);
            for pair in starts.windows(2) {
                assert!(pair[0] < pair[1]);
                let overlap = (pair[0] + window) as f64 - pair[1] as f64;
                assert!(
                    overlap >= (window as f64 * OVERLAP).floor() - 1e-9,
                    "{length} {window}"
                );
            }
        }
    }

    #[test]
    fn weights_are_symmetric_and_positive() {
        for window in [1, 2, 7, 16] {
            let weights = weights(window);
            assert!(weights.iter().all(|w| *w > 0.0 && *w <= 1.0));
            let reversed: Vec<f32> = weights.iter().rev().copied().collect();
            assert_eq!(weights, reversed);
        }
    }
}
