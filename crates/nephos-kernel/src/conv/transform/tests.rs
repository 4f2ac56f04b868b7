//! Transforms against the sums they are.

use super::*;
use crate::gemm::tests::noise;

#[test]
fn every_level_transforms_as_the_sums_say() {
    let (m, channels) = ([[1.0, 0.0, -2.0], [0.5, 3.0, 0.0]], 21);
    let (size, corner) = ([4, 5, channels], [-1, 3]);
    let image = noise(size.iter().product(), 1);
    let at = |i: usize, j: usize, channel: usize| {
        let (y, x) = (i as isize - 1, j as isize + 3);
        let there = (0..4).contains(&y) && (0..5).contains(&x);
        if there {
            image[(y as usize * 5 + x as usize) * channels + channel]
        } else {
            0.0
        }
    };
    for level in Level::all() {
        let mut out = vec![9.0; 4 * channels];
        let gather = Gather {
            m: &m,
            image: &image,
            size,
            corner,
            out: &mut out,
        };
        dispatch(level, gather);
        for (place, &x) in out.iter().enumerate() {
            let (row, channel) = (place / channels, place % channels);
            let (i, j) = (row / 2, row % 2);
            let terms = (0..9).map(|k| m[i][k / 3] * m[j][k % 3] * at(k / 3, k % 3, channel));
            let sum: f32 = terms.sum();
            assert!((x - sum).abs() < 1e-5, "{level:?}: {x}, not {sum}");
        }
    }
}
