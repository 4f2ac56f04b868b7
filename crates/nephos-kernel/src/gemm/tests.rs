//! Every kernel against the reference.

use super::isa::Isa;
use super::*;

/// Numbers without a pattern, in [-1, 1).
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Sizes around the edges of tiles, panels, groups and blocks.
const SHAPES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [1, 7, 33],
    [3, 5, 2],
    [14, 16, 32],
    [15, 17, 31],
    [13, 1, 16],
    [29, 385, 17],
    [6, 770, 48],
    [57, 40, 300],
    [190, 9, 65],
    [49, 300, 96],
    [5, 0, 9],
    [0, 4, 9],
    [4, 9, 0],
];

fn packed(isa: Isa, matrix: Matrix<'_>) -> Packed {
    let mut packed = Packed::empty(isa);
    packed.repack(matrix);
    packed
}

/// Compares [`matmul`] with the reference: `a` and `b` strided or transposed.
fn check(isa: Isa, a: Matrix<'_>, b: Matrix<'_>, stride: usize, epilogue: &Epilogue<'_>) {
    let (m, k, n) = (a.rows(), a.cols(), b.cols());
    let mut fast = noise(m * stride + 3, 5);
    let mut slow = fast.clone();
    matmul(a, &packed(isa, b), &mut fast, stride, epilogue);
    reference::matmul(a, b, &mut slow, stride, epilogue);
    let bound = 2e-6 * (1.0 + (k as f32).sqrt());
    for (at, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
        if at % stride.max(1) < n && at / stride.max(1) < m {
            assert!(
                (fast - slow).abs() <= bound,
                "{isa:?} {m} x {k} x {n}, {epilogue:?}: {fast}, not {slow}, at {at}"
            );
        } else {
            assert_eq!(fast, slow, "numbers between rows are left alone");
        }
    }
}

#[test]
fn products_of_any_layout_are_those_of_the_reference() {
    for isa in Isa::available() {
        for [m, k, n] in SHAPES {
            let (a, b) = (noise(3 * m * k + 600, 1), noise(3 * k * n + 600, 2));
            let epilogue = Epilogue::default();
            for a in [
                Matrix::strided(&a, [m, k], [k, 1]),
                Matrix::strided(&a, [m, k], [1, m]),
                Matrix::strided(&a, [m, k], [k + 3, 1]),
                Matrix::strided(&a, [m, k], [2 * k + 1, 2]),
                Matrix::strided(&a, [k, m], [m + 1, 1]).transposed(),
            ] {
                for b in [
                    Matrix::strided(&b, [k, n], [n, 1]),
                    Matrix::strided(&b, [n, k], [k + 1, 1]).transposed(),
                    Matrix::strided(&b, [k, n], [2 * n, 2]),
                ] {
                    check(isa, a, b, n + 2, &epilogue);
                }
            }
        }
    }
}

#[test]
fn rows_far_apart_are_copied_right() {
    for isa in Isa::available() {
        let (m, k, n) = (17, 400, 40);
        let (a, b) = (noise(m * 1024, 1), noise(k * n, 2));
        let a = Matrix::strided(&a, [m, k], [1024, 1]);
        check(isa, a, Matrix::new(&b, k, n), n, &Epilogue::default());
    }
}

#[test]
fn epilogues_are_those_of_the_reference() {
    for isa in Isa::available() {
        for [m, k, n] in SHAPES {
            let (a, b) = (noise(m * k, 1), noise(k * n, 2));
            let (bias, residual) = (noise(n, 3), noise(m * (n + 1), 4));
            for activation in [Act::None, Act::Relu, Act::Gelu] {
                for case in 0..8 {
                    let epilogue = Epilogue {
                        bias: (case & 1 != 0).then_some(&bias),
                        residual: (case & 2 != 0).then_some(&residual),
                        accumulate: case & 4 != 0,
                        activation,
                    };
                    let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
                    check(isa, a, b, n + 1, &epilogue);
                }
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for [m, k, n] in [
        [200, 800, 300],
        [1, 900, 2000],
        [3000, 20, 7],
        [40, 9000, 30],
    ] {
        let (a, b) = (noise(m * k, 1), noise(k * n, 2));
        let product = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let mut out = vec![0.0; m * n];
            pool.build().expect("threads").install(|| {
                let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
                matmul_unpacked(a, b, &mut out, n, &Epilogue::default());
            });
            out
        };
        let one = product(1);
        assert!(one == product(2) && one == product(5), "{m} x {k} x {n}");
    }
}

#[test]
fn not_a_number_survives_a_relu() {
    for isa in Isa::available() {
        let (a, b) = ([f32::NAN], [1.0]);
        let (a, b) = (Matrix::new(&a, 1, 1), Matrix::new(&b, 1, 1));
        let mut out = [0.0];
        let epilogue = Epilogue {
            activation: Act::Relu,
            ..Epilogue::default()
        };
        matmul(a, &packed(isa, b), &mut out, 1, &epilogue);
        assert!(out[0].is_nan(), "{isa:?}");
    }
}

#[test]
#[should_panic(expected = "columns of a")]
fn shapes_that_do_not_fit_are_refused() {
    let numbers = [0.0; 6];
    let (a, b) = (Matrix::new(&numbers, 2, 3), Matrix::new(&numbers, 2, 3));
    matmul_unpacked(a, b, &mut [0.0; 6], 3, &Epilogue::default());
}

#[test]
#[should_panic(expected = "strides")]
fn a_view_beyond_its_numbers_is_refused() {
    Matrix::strided(&[0.0; 6], [2, 3], [4, 1]);
}
