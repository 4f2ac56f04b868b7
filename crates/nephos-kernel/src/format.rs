//! Number formats of the operands of matrix products and convolutions.
//!
//! Mixed-precision training (Micikevicius et al. 2018, doi:10.48550/arXiv.1710.03740): operands
//! are rounded to half precision, products are summed in f32, and everything else, the weights
//! that are trained among it, stays f32.

use std::borrow::Cow;

use half::{bf16, f16};
use rayon::prelude::*;

/// Numbers that one task rounds.
const BLOCK: usize = 1 << 14;

/// What operands are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Nothing: they stay as they are.
    #[default]
    F32,
    /// Eight bits of exponent, as f32, and seven of fraction.
    Bf16,
    /// Five bits of exponent and ten of fraction; beyond 65,504 it is infinite.
    F16,
}

impl Format {
    /// The values in this format, as f32.
    pub fn round(self, values: &[f32]) -> Cow<'_, [f32]> {
        if self == Self::F32 {
            return Cow::Borrowed(values);
        }
        let mut rounded = values.to_vec();
        self.round_in_place(&mut rounded);
        Cow::Owned(rounded)
    }

    /// As [`Format::round`], where the values are.
    pub fn round_in_place(self, values: &mut [f32]) {
        let each = |values: &mut [f32]| match self {
            Self::F32 => (),
            Self::Bf16 => values
                .iter_mut()
                .for_each(|x| *x = bf16::from_f32(*x).to_f32()),
            Self::F16 => values
                .iter_mut()
                .for_each(|x| *x = f16::from_f32(*x).to_f32()),
        };
        if self != Self::F32 {
            values.par_chunks_mut(BLOCK).for_each(each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_nearest_of_the_format() {
        let values = [1.0, 1.005, 1.0 + 1.0 / 2048.0, 70_000.0, -0.1];
        assert_eq!(*Format::F32.round(&values), values);
        let bf16 = Format::Bf16.round(&values);
        assert_eq!(bf16[..4], [1.0, 1.007_812_5, 1.0, 70_144.0]);
        let f16 = Format::F16.round(&values);
        assert_eq!(f16[..4], [1.0, 1.004_882_8, 1.0, f32::INFINITY]);
        assert!((f16[4] + 0.1).abs() < 5e-5 && f16[4] != -0.1);
    }
}
