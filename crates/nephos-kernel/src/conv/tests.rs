//! Every convolution against the reference.

use super::reference;
use super::*;
use crate::gemm::tests::noise;
use crate::gemm::{Act, Epilogue};

const THREE: Window = Window {
    kernel: [3, 3],
    stride: 1,
    padding: [1, 1],
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
        let packed = Conv3x3Packed::new(&weight, [outputs, inputs]);
        let mut out = vec![f32::NAN; exact.len()];
        packed.forward(&image, shape, None, Act::None, &mut out);
        close(&out, &exact, 1e-5);
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
    let packed = Conv3x3Packed::new(&weight, [outputs, inputs]);
    let mut out = vec![f32::NAN; exact.len()];
    packed.forward(&image, shape, Some(&bias), Act::Relu, &mut out);
    close(&out, &relu, 1e-5);
    packed.forward(&image, shape, Some(&bias), Act::Gelu, &mut out);
    close(&out, &gelu, 1e-5);
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
                let packed = Conv3x3Packed::new(&weight, [outputs, inputs]);
                let mut out = vec![0.0; batch * height * width * outputs];
                packed.forward(&image, shape, None, Act::None, &mut out);
                out
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3));
    }
}

const fn window(kernel: [usize; 2], stride: usize, padding: [usize; 2]) -> Window {
    Window {
        kernel,
        stride,
        padding,
    }
}

/// A window; then `[batch, height, width, inputs, outputs]`.
const WINDOWS: [(Window, [usize; 5]); 9] = [
    (window([3, 3], 1, [1, 1]), [2, 9, 40, 3, 33]),
    (window([3, 3], 2, [1, 1]), [1, 10, 31, 16, 20]),
    (window([3, 3], 2, [1, 1]), [1, 1, 1, 2, 1]),
    (window([19, 19], 19, [5, 5]), [1, 50, 69, 3, 40]),
    (window([1, 1], 1, [0, 0]), [2, 5, 6, 7, 8]),
    (window([2, 5], 3, [0, 2]), [1, 8, 12, 4, 5]),
    (window([3, 3], 1, [1, 1]), [1, 4, 5, 200, 9]),
    (window([4, 4], 4, [0, 0]), [1, 17, 18, 3, 12]),
    (window([3, 1], 1, [2, 0]), [1, 3, 3, 500, 3]),
];

#[test]
fn windows_of_any_kind_are_the_convolution() {
    for (window, [batch, height, width, inputs, outputs]) in WINDOWS {
        let shape = Shape {
            batch,
            height,
            width,
        };
        let image = noise(batch * height * width * inputs, 1);
        let weight = filters(outputs, inputs, window.area());
        let bias = noise(outputs, 3);
        let exact = reference::forward(&image, shape, &weight, [outputs, inputs], window);
        let packed = ConvPacked::new(&weight, [outputs, inputs], window);
        let mut out = vec![f32::NAN; exact.len()];
        packed.forward(&image, shape, &Epilogue::default(), &mut out);
        close(&out, &exact, 1e-5);

        let relu: Vec<f64> = (exact.iter().enumerate())
            .map(|(at, x)| (x + f64::from(bias[at % outputs])).max(0.0))
            .collect();
        let epilogue = Epilogue {
            bias: Some(&bias),
            activation: Act::Relu,
            ..Epilogue::default()
        };
        packed.forward(&image, shape, &epilogue, &mut out);
        close(&out, &relu, 1e-5);

        let positive: Vec<f32> = image.iter().map(|x| x.max(0.0)).collect();
        let residual = noise(out.len(), 4);
        let exact = reference::forward(&positive, shape, &weight, [outputs, inputs], window);
        let terms = exact.iter().zip(&residual);
        let sums: Vec<f64> = terms.map(|(x, r)| x + f64::from(*r)).collect();
        let epilogue = Epilogue {
            residual: Some(&residual),
            ..Epilogue::default()
        };
        let packed = packed.with_input_relu();
        packed.forward(&image, shape, &epilogue, &mut out);
        close(&out, &sums, 1e-5);
    }
}

#[test]
fn gradients_of_any_window_are_those_of_the_reference() {
    for (window, [batch, height, width, inputs, outputs]) in WINDOWS {
        let shape = Shape {
            batch,
            height,
            width,
        };
        let size = window.output(shape);
        let image = noise(batch * height * width * inputs, 1);
        let weight = filters(outputs, inputs, window.area());
        let gradient = noise(size.batch * size.height * size.width * outputs, 4);
        let channels = [outputs, inputs];
        let (by_image, mut by_weight) =
            reference::backward(&image, shape, &weight, channels, window, &gradient);

        let mut out = vec![f32::NAN; image.len()];
        ConvInputGradient::new(&weight, channels, window).backward(&gradient, shape, &mut out);
        close(&out, &by_image, 1e-5);

        let mut out = noise(weight.len(), 5);
        by_weight
            .iter_mut()
            .zip(&out)
            .for_each(|(x, &before)| *x += f64::from(before));
        add_weight_gradient(&image, shape, &gradient, channels, window, false, &mut out);
        close(&out, &by_weight, 1e-4);
    }
}

#[test]
fn the_gradient_by_the_bias_sums_columns() {
    let gradient = noise(1000 * 7, 1);
    let mut out = vec![1.0; 7];
    add_bias_gradient(&gradient, &mut out);
    let exact: Vec<f64> = (0..7)
        .map(|j| {
            1.0 + (0..1000)
                .map(|i| f64::from(gradient[i * 7 + j]))
                .sum::<f64>()
        })
        .collect();
    close(&out, &exact, 1e-4);
}
