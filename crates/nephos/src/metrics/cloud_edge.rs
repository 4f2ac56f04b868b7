//! Finding the edge of a cloud in an image.

use ndarray::{Array2, Array3, s};

use crate::class::Class;

/// Least change of the probability, from the patch before to the patch after, that is an
/// edge: less is a nearly constant probability.
const LEAST_CHANGE: f32 = 0.1;

/// A patch at a cloud's edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CloudEdge {
    /// Row and column of a pixel near the middle of the patch.
    pub pixel: (usize, usize),
    /// By how much the probability of cloud, in the mean of a patch, changes from the patch
    /// before to the patch after it.
    pub change: f32,
}

impl CloudEdge {
    /// The patch of `side` × `side` pixels across which the probability of cloud, thick or
    /// thin, changes most; `None` where it changes hardly anywhere. What is smaller than a
    /// patch is no cloud here.
    ///
    /// # Shapes
    /// - probabilities: `[classes, height, width]`, NaN where there is no data
    pub fn steepest(probabilities: &Array3<f32>, side: usize) -> Option<Self> {
        let (classes, height, width) = probabilities.dim();
        let cloud = [Class::Thick, Class::Thin].map(|class| class as usize);
        let mut p = Array2::<f32>::zeros((height, width));
        for class in cloud.into_iter().filter(|class| *class < classes) {
            p += &probabilities.slice(s![class, .., ..]);
        }
        let side = side.clamp(1, height.min(width).max(1));
        let patches = Array2::from_shape_fn((height / side, width / side), |(row, col)| {
            let pixels = s![row * side..(row + 1) * side, col * side..(col + 1) * side];
            p.slice(pixels).mean().unwrap_or(f32::NAN)
        });
        let mut best: Option<Self> = None;
        for ((row, col), own) in patches.indexed_iter().filter(|(_, own)| own.is_finite()) {
            // Pixels beyond the edge and without data repeat this one.
            let at = |row: usize, col: usize| match patches.get([row, col]) {
                Some(p) if p.is_finite() => *p,
                _ => *own,
            };
            let across = at(row, col + 1) - at(row, col.wrapping_sub(1));
            let down = at(row + 1, col) - at(row.wrapping_sub(1), col);
            let change = across.hypot(down);
            if change >= LEAST_CHANGE && best.is_none_or(|best| change > best.change) {
                let pixel = (row * side + side / 2, col * side + side / 2);
                best = Some(Self { pixel, change });
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cloud to the right of column `from`, of probability 0.9, thick above row 8 and
    /// thin below.
    fn cloud(from: usize) -> Array3<f32> {
        Array3::from_shape_fn((4, 16, 32), |(class, row, col)| {
            let of_cloud = if row < 8 { 1 } else { 2 };
            match (class, col >= from) {
                (0, true) => 0.1,
                (0, false) => 1.0,
                (class, true) if class == of_cloud => 0.9,
                _ => 0.0,
            }
        })
    }

    #[test]
    fn the_patch_on_the_edge_is_found_if_there_is_one() {
        let edge = CloudEdge::steepest(&cloud(19), 8).unwrap();
        // Columns 16 to 23; where thick cloud becomes thin there is no edge of cloud.
        assert_eq!(edge.pixel, (4, 20));
        assert!((edge.change - 0.9).abs() < 1e-5, "{}", edge.change);
        assert_eq!(CloudEdge::steepest(&cloud(0), 8), None);
        assert_eq!(CloudEdge::steepest(&cloud(99), 8), None);
        assert_eq!(CloudEdge::steepest(&Array3::zeros((4, 0, 0)), 8), None);
    }

    #[test]
    fn a_spot_is_no_edge_beside_a_cloud() {
        let mut cloud = cloud(24);
        // One pixel that is surely cloud.
        cloud
            .slice_mut(s![.., 12, 4])
            .assign(&ndarray::aview1(&[0.0, 1.0, 0.0, 0.0]));
        assert_eq!(CloudEdge::steepest(&cloud, 8).unwrap().pixel, (4, 20));
    }

    #[test]
    fn patches_without_data_are_not_chosen() {
        let mut cloud = cloud(19);
        cloud.slice_mut(s![.., ..4, ..]).fill(f32::NAN);
        assert_eq!(CloudEdge::steepest(&cloud, 8).unwrap().pixel, (12, 20));
        // A patch larger than the image is the image.
        assert!(CloudEdge::steepest(&cloud, 99).is_none());
    }
}
