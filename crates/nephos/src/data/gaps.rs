//! Optional bands that have no data in some pixels.

use ndarray::{Array2, Array3, Axis, s};

/// Which pixels have data, `[height, width]`: those where every band that is there and
/// not optional has, or, where all are optional, any.
///
/// - bands: `[bands, height, width]`, not finite where a band has no data
/// - absent: of each band, whether it is absent from all pixels
/// - optional: positions of the optional bands
pub(crate) fn valid(bands: &Array3<f32>, absent: &[bool], optional: &[usize]) -> Array2<bool> {
    let (count, height, width) = bands.dim();
    let there = |band: &usize| !absent[*band];
    let required: Vec<usize> = (0..count)
        .filter(|band| there(band) && !optional.contains(band))
        .collect();
    if required.is_empty() && (0..count).any(|band| there(&band)) {
        let mut valid = Array2::from_elem((height, width), false);
        for band in (0..count).filter(there) {
            let plane = bands.index_axis(Axis(0), band);
            valid.zip_mut_with(&plane, |valid, value| *valid |= value.is_finite());
        }
        return valid;
    }
    let mut valid = Array2::from_elem((height, width), true);
    for band in required {
        let plane = bands.index_axis(Axis(0), band);
        valid.zip_mut_with(&plane, |valid, value| *valid &= value.is_finite());
    }
    valid
}

/// Makes gaps of optional bands 0 and declares them in the bands' channels, where a pixel
/// has data otherwise.
///
/// - input: `[bands + optional bands, height, width]`
pub(crate) fn declare(
    input: &mut Array3<f32>,
    valid: &Array2<bool>,
    absent: &[bool],
    optional: &[usize],
) {
    let count = absent.len();
    for (flag, band) in optional.iter().enumerate().filter(|(_, b)| !absent[**b]) {
        let (mut plane, mut flags) =
            input.multi_slice_mut((s![*band, .., ..], s![count + flag, .., ..]));
        for ((value, flag), valid) in plane.iter_mut().zip(&mut flags).zip(valid) {
            if *valid && !value.is_finite() {
                *value = 0.0;
                *flag = 1.0;
            }
        }
    }
}
