//! The labels of a batch as tensors.

use burn::tensor::{Bool, Int, Tensor};
use nephos_kernel::loss::SETS;

use nephos::class::IGNORE;

/// The logarithm of a probability of next to nothing.
const NEVER: f32 = -1e4;

/// What is known of the pixels.
pub(super) struct Truth {
    /// `[B, H, W]`: the class, or the first of those it may be.
    pub(super) first: Tensor<3, Int>,
    /// `[B, classes, H, W]`: whether a pixel may have the class.
    may: Tensor<4, Bool>,
    /// `[B, H, W]`: 1 where anything is known.
    pub(super) valid: Tensor<3>,
}

impl Truth {
    /// Of codes as [`Label::of`](nephos_kernel::loss::Label::of) reads them.
    pub(super) fn new(codes: Tensor<3, Int>, classes: usize) -> Self {
        // Of an empty set nothing is known either.
        let ignored = (codes.clone().equal_elem(i32::from(IGNORE)))
            .bool_or(codes.clone().equal_elem(i32::from(SETS))); // [B, H, W]
        let set = codes.clone().greater_equal_elem(i32::from(SETS));
        let mut first = codes.zeros_like();
        let mut may = Vec::with_capacity(classes);
        for class in 0..classes as i32 {
            // Bit `class` of a set.
            let bits = codes.clone().div_scalar(1 << class.min(7));
            let odd = bits.remainder_scalar(2).equal_elem(1);
            let only = codes.clone().equal_elem(class);
            may.push(set.clone().bool_and(odd).bool_or(only));
        }
        for (class, has) in may.iter().enumerate().rev() {
            first = first.mask_fill(has.clone(), class as i32);
        }
        let may = may.into_iter().map(|has| has.unsqueeze_dim::<4>(1));
        Self {
            first,
            may: Tensor::cat(may.collect(), 1),
            valid: ignored.bool_not().float(),
        }
    }

    /// `[B, H, W]`: 1 where the class is known.
    pub(super) fn sure(&self) -> Tensor<3> {
        let members = self.may.clone().int().sum_dim(1).squeeze_dim::<3>(1);
        members.equal_elem(1).float() * self.valid.clone()
    }

    /// `[B, H, W]`: the logarithm of the probability of the classes that each pixel may
    /// have.
    pub(super) fn label_log_likelihood(&self, log_p: Tensor<4>) -> Tensor<3> {
        let log_p = log_p.mask_fill(self.may.clone().bool_not(), NEVER);
        let largest = log_p.clone().detach().max_dim(1);
        let sum = (log_p - largest.clone()).exp().sum_dim(1).log();
        (sum + largest).squeeze_dim::<3>(1)
    }
}
