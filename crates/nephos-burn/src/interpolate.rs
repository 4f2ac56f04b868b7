//! Bilinear resampling as two small matrix products.
//!
//! Bilinear resampling is separable and linear: `Y = R X Cᵀ`, where each row of
//! `R` and of `C` holds at most two weights that sum to one. Written so, it is
//! exact for both conventions of the corners, has an exact gradient, and runs at
//! the speed of a matrix product on every backend.

use burn::tensor::{Device, Tensor, TensorData};

/// Resamples each channel of a grid to `size = [height, width]`.
///
/// With `align_corners` the centres of the corner cells fall onto each other;
/// without, the outer edges do, and samples beyond the first and last centre
/// take that cell's value. Both are PyTorch's `interpolate(mode="bilinear")`.
///
/// # Shapes
/// - grid: `[B, channels, rows, cols]`
/// - output: `[B, channels, height, width]`
pub(crate) fn bilinear(grid: Tensor<4>, size: [usize; 2], align_corners: bool) -> Tensor<4> {
    let [_, _, rows, cols] = grid.dims();
    if [rows, cols] == size {
        return grid;
    }
    let device = grid.device();
    let down = weights(rows, size[0], align_corners, &device).unsqueeze::<4>(); // [1, 1, height, rows]
    let across = weights(cols, size[1], align_corners, &device).transpose();
    down.matmul(grid) // [B, channels, height, cols]
        .matmul(across.unsqueeze::<4>()) // [B, channels, height, width]
}

/// The weights of `from` cells in each of `to` samples, `[to, from]`.
fn weights(from: usize, to: usize, align_corners: bool, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0f32; to * from];
    for (sample, row) in values.chunks_exact_mut(from).enumerate() {
        let position = if align_corners {
            // One sample alone has no far corner to align: it takes the first cell.
            sample as f64 * (from - 1) as f64 / (to.max(2) - 1) as f64
        } else {
            ((sample as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0)
        };
        let low = (position as usize).min(from - 1);
        let share = position - low as f64;
        row[low] += (1.0 - share) as f32;
        row[(low + 1).min(from - 1)] += share as f32;
    }
    Tensor::from_data(TensorData::new(values, [to, from]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resample(values: Vec<f32>, to: usize, align_corners: bool) -> Vec<f32> {
        let device = Device::flex();
        let from = values.len();
        let grid = Tensor::from_data(TensorData::new(values, [1, 1, 1, from]), &device);
        let output = bilinear(grid, [1, to], align_corners);
        output.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn both_conventions_of_the_corners() {
        assert_eq!(resample(vec![0.0, 4.0], 5, true), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            resample(vec![0.0, 4.0], 4, false),
            [0.0, 1.0, 3.0, 4.0],
            "edges align: quarter points, clamped"
        );
        assert_eq!(resample(vec![3.0, 9.0], 1, true), [3.0]);
    }

    #[test]
    fn weights_of_a_sample_sum_to_one() {
        for (from, to) in [(27, 509), (1, 7), (5, 3), (9, 9)] {
            for align_corners in [false, true] {
                let sums = weights(from, to, align_corners, &Device::flex()).sum_dim(1);
                let sums: Vec<f32> = sums.into_data().try_into_vec().unwrap();
                assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-6), "{from} {to}");
            }
        }
    }
}
