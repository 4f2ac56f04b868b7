//! Every convolution against the reference.

use super::reference::{self, Window};
use super::*;
use crate::gemm::Act;
use crate::gemm::tests::noise;

const TILES: [TileSize; 3] = [TileSize::Two, TileSize::Three, TileSize::Four];

const THREE: Window = Window {
    kernel: [3, 3],
    stride: 1,
    padding: 1,
};

fn close(fast: &[f32], exact: &[f64], bound: f64) {
    assert_eq!(fast.len(), exact.len());
    for (at, (&fast, &exact)) in fast.iter().zip(exact).enumerate() {
        assert!(
            (f64::from(fast) - exact).abs() <= bound,
            "{fast}, not {exact}, at {at}"
        );
    }
}

/// Filters with the variance of a network's start.
fn filters(outputs: usize, inputs: usize, area: usize) -> Vec<f32> {
    let scale = (3.0 / (inputs * area) as f32).sqrt();
    let mut all = noise(outputs * inputs * area, 2);
    all.iter_mut().for_each(|x| *x *= scale);
    all
}

/// `[batch, height, width, inputs, outputs]`.
const SHAPES: [[usize; 5]; 9] = [
    [1, 1, 1, 1, 1],
    [1, 3, 3, 2, 3],
    [2, 7, 5, 17, 33],
    [1, 4, 13, 16, 32],
    [3, 2, 1, 5, 40],
    [1, 27, 27, 48, 31],
    [2, 9, 10, 130, 96],
    [1, 6, 130, 3, 8],
    [1, 12, 11, 300, 40],
];

#[test]
fn minimal_filtering_is_the_convolution() {
    for [batch, height, width, inputs, outputs] in SHAPES {
        let shape = Shape {
            batch,
            height,
            width,
        };
        let image = noise(batch * height * width * inputs, 1);
        let weight = filters(outputs, inputs, 9);
        let exact = reference::forward(&image, shape, &weight, [outputs, inputs], THREE);
        for tile in TILES {
            let packed = Conv3x3Packed::new(&weight, [outputs, inputs], tile);
            let mut out = vec![f32::NAN; exact.len()];
            packed.forward(&image, shape, None, Act::None, &mut out);
            close(&out, &exact, 1e-5);
        }
    }
}

#[test]
fn a_convolution_finishes_with_bias_and_activation() {
    let (shape, [outputs, inputs]) = (
        Shape {
            batch: 2,
            height: 5,
            width: 7,
        },
        [19, 6],
    );
    let image = noise(2 * 5 * 7 * inputs, 1);
    let (weight, bias) = (filters(outputs, inputs, 9), noise(outputs, 3));
    let exact = reference::forward(&image, shape, &weight, [outputs, inputs], THREE);
    let sums = (exact.iter().enumerate()).map(|(at, x)| x + f64::from(bias[at % outputs]));
    let relu: Vec<f64> = sums.clone().map(|x| x.max(0.0)).collect();
    let mut gelu: Vec<f32> = sums.map(|x| x as f32).collect();
    gelu_in_place(&mut gelu);
    let gelu: Vec<f64> = gelu.into_iter().map(f64::from).collect();
    for tile in TILES {
        let packed = Conv3x3Packed::new(&weight, [outputs, inputs], tile);
        let mut out = vec![f32::NAN; exact.len()];
        packed.forward(&image, shape, Some(&bias), Act::Relu, &mut out);
        close(&out, &relu, 1e-5);
        packed.forward(&image, shape, Some(&bias), Act::Gelu, &mut out);
        close(&out, &gelu, 1e-5);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for [batch, height, width, inputs, outputs] in [[1, 27, 27, 200, 90], [2, 40, 33, 8, 16]] {
        let shape = Shape {
            batch,
            height,
            width,
        };
        let image = noise(batch * height * width * inputs, 1);
        let weight = filters(outputs, inputs, 9);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().expect("threads").install(|| {
                let packed = Conv3x3Packed::new(&weight, [outputs, inputs], TileSize::Three);
                let mut out = vec![0.0; batch * height * width * outputs];
                packed.forward(&image, shape, None, Act::None, &mut out);
                out
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3));
    }
}
