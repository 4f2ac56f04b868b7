//! Sizes that come in from outside, multiplied without wrapping around.
//!
//! The crate is compiled without overflow checks. A product of sizes that wrapped around
//! could agree with the length of a slice that is far too short, and code that trusts it
//! would read and write beyond its end. So what a size check compares is computed here.

/// How many numbers there are: the product of `sizes`.
///
/// # Panics
/// The product of those that are not 0 does not fit a `usize`: then that of any of them
/// could be wrong as well.
#[inline]
#[track_caller]
pub(crate) fn count<const N: usize>(sizes: [usize; N]) -> usize {
    let mut all = Some(1usize);
    let mut empty = false;
    for size in sizes {
        empty |= size == 0;
        all = all.and_then(|all| all.checked_mul(size.max(1)));
    }
    match all {
        Some(_) if empty => 0,
        Some(all) => all,
        None => too_many(&sizes),
    }
}

/// The sum of `sizes`.
///
/// # Panics
/// It does not fit a `usize`.
#[inline]
#[track_caller]
pub(crate) fn sum<const N: usize>(sizes: [usize; N]) -> usize {
    let sum = |all: Option<usize>, size: &usize| all.and_then(|all| all.checked_add(*size));
    match sizes.iter().fold(Some(0), sum) {
        Some(all) => all,
        None => too_many(&sizes),
    }
}

/// Numbers from the first of `count` pieces that start `step` apart to the end of the
/// last, which has `last`; 0 where there is none.
///
/// # Panics
/// They do not fit a `usize`.
#[inline]
#[track_caller]
pub(crate) fn reach(pieces: usize, step: usize, last: usize) -> usize {
    match pieces.checked_sub(1) {
        None => 0,
        Some(before) => sum([count([before, step]), last]),
    }
}

#[cold]
#[track_caller]
fn too_many(sizes: &[usize]) -> ! {
    panic!("sizes of {sizes:?} are more than fit a number of this machine");
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::conv::{Conv3x3Packed, ConvPacked, Window};
    use crate::conv_blocks::{Conv, Merge};
    use crate::dropout::Dropout;
    use crate::format::Format;
    use crate::gemm::{Act, BatchLayout, Epilogue, Matrix, Packed, matmul, matmul_batch};
    use crate::linear::Linear;
    use crate::patches::Patches;
    use crate::scratch::Scratch;
    use crate::token_conv::TokenConv;
    use crate::{attention, conv, graph};

    #[test]
    fn what_fits_is_exact_and_what_does_not_panics() {
        assert_eq!(count([]), 1);
        assert_eq!(count([3, 0, 7]), 0);
        assert_eq!(count([1 << 20, 1 << 20, 3]), 3 << 40);
        assert_eq!(sum([usize::MAX, 0]), usize::MAX);
        assert_eq!(reach(0, 9, 5), 0);
        assert_eq!(reach(4, 10, 3), 33);
        assert!(catch_unwind(|| count([1 << 32, 1 << 32])).is_err());
        // The product is 0, but that of the others wraps around.
        assert!(catch_unwind(|| count([0, 1 << 32, 1 << 32])).is_err());
        assert!(catch_unwind(|| sum([usize::MAX, 1])).is_err());
        assert!(catch_unwind(|| reach(3, usize::MAX / 2, 9)).is_err());
    }

    /// 2³²: its square wraps around to 0, the length of an empty slice.
    const LARGE: usize = 1 << 32;

    /// A step whose double wraps around to 0.
    const HALF: usize = 1 << 63;

    /// Sizes that agree with their slices once they have wrapped around. Each of these
    /// was taken before sizes were multiplied with checks; some read and wrote beyond
    /// their slices then.
    #[test]
    fn no_safe_function_takes_sizes_that_wrap_around() {
        let refused = |what: &str, call: &dyn Fn()| {
            let call = std::panic::AssertUnwindSafe(call);
            assert!(catch_unwind(call).is_err(), "{what} was taken");
        };
        let packed = Packed::new(Matrix::new(&[1.0], 1, 1));
        let column = Matrix::new(&[1.0; 3], 3, 1);
        let plain = Epilogue::default();
        refused("matrix", &|| {
            Matrix::new(&[], LARGE, LARGE);
        });
        refused("rows of an output", &|| {
            matmul(column, &packed, &mut [0.0], HALF, &plain);
        });
        refused("rows that are one", &|| {
            let many = Matrix::strided(&[1.0], [1 << 40, 1], [0, 1]);
            matmul(many, &packed, &mut [0.0], 1, &plain);
        });
        refused("columns that are one", &|| {
            Packed::new(Matrix::strided(&[1.0], [LARGE, LARGE], [0, 0]));
        });
        let layout = |product, row| BatchLayout { product, row };
        refused("rows of a batch", &|| {
            let b = std::slice::from_ref(&packed);
            matmul_batch(&[column], b, &mut [0.0], layout(1, HALF), false);
        });
        refused("products of a batch", &|| {
            let b = vec![packed.clone(); 3];
            matmul_batch(&[column; 3], &b, &mut [0.0; 3], layout(HALF, 1), false);
        });
        let tokens = attention::Shape {
            batch: LARGE,
            tokens: LARGE,
            width: 1,
            heads: 1,
        };
        refused("attention", &|| {
            let off = Dropout::off();
            attention::forward(&[], tokens, &off, &mut [], None, &mut Vec::new());
        });
        refused("the gradient of attention", &|| {
            attention::backward(&[], tokens, &Dropout::off(), [&[]; 3], &mut []);
        });
        let nodes = graph::Shape {
            batch: LARGE,
            nodes: LARGE,
            heads: 1,
            head: 1,
        };
        refused("sorted graph attention", &|| {
            graph::sorted::forward(&nodes, &[], &[], &[], 0.2, false, &mut []);
        });
        refused("graph attention by pairs", &|| {
            let pairs = graph::Pairs::plain();
            graph::pairwise::forward(&nodes, &[], &[], &[], 0.2, &pairs, false, &mut []);
        });
        refused("scores of nodes", &|| {
            let scores = graph::scores::Scores::new(vec![0.0; 2].into(), [1, 1]);
            scores.forward(&nodes, &[], [&mut [], &mut []], &mut Scratch::default());
        });
        let images = |batch, height, width| conv::Shape {
            batch,
            height,
            width,
        };
        let window = |kernel, stride, padding| Window {
            kernel: [kernel; 2],
            stride,
            padding: [padding; 2],
        };
        refused("images of a 3 × 3 convolution", &|| {
            let conv = Conv3x3Packed::new(&[0.0; 9], [1, 1]);
            conv.forward(&[], images(LARGE, LARGE, 1), None, Act::None, &mut []);
        });
        refused("3 × 3 filters", &|| {
            Conv3x3Packed::new(&[], [LARGE, LARGE]);
        });
        refused("filters", &|| {
            ConvPacked::new(&[], [LARGE, LARGE], window(1, 1, 0));
        });
        refused("padding of a convolution", &|| {
            let conv = ConvPacked::new(&[1.0], [1, 1], window(1, 1, HALF));
            let one = images(1, 1, 1);
            conv.forward(&[1.0], one, &plain, &mut [0.0]);
        });
        refused("images of a gradient by filters", &|| {
            let size = images(LARGE, LARGE, 1);
            let window = window(1, 1, 0);
            conv::add_weight_gradient(&[], size, &[], [1, 1], window, false, &mut [0.0]);
        });
        let patches = |padding| Patches {
            project: Linear::packed(&[1.0], [1, 1], None),
            channels: 1,
            size: 1,
            stride: 1,
            padding,
        };
        let scratch = Scratch::default;
        refused("patches", &|| {
            patches(0).forward(&[], LARGE, [LARGE, 1], &mut scratch());
        });
        refused("padding of patches", &|| {
            patches(HALF).forward(&[1.0], 1, [1, 1], &mut scratch());
        });
        refused("a grid of tokens", &|| {
            let conv = TokenConv::plain(&[1.0], &[0.0], [1, 1], 1, Format::F32);
            conv.forward(
                &[],
                images(LARGE, LARGE, 1),
                Act::None,
                None,
                &mut scratch(),
            );
        });
        refused("a grid to be doubled", &|| {
            let conv = |kernel| {
                let window = window(kernel, 1, kernel / 2);
                let weight = vec![1.0; kernel * kernel].into();
                Conv::new(weight, vec![0.0].into(), [1, 1], window, None)
            };
            let merge = Merge {
                reduce: conv(1),
                join: conv(3),
                detail: 0,
            };
            merge.append(images(LARGE, LARGE, 1), &[], &[], false, &mut []);
        });
    }
}
