//! What happens to a product before it is stored.

use crate::sizes::reach;

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Act {
    /// The identity.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x Φ(x)` with the exact normal distribution function, as PyTorch's default.
    Gelu,
}

/// What happens to a product before it is stored:
/// `out = activation(a b + bias + (out if accumulate)) + residual`.
///
/// The default stores the product as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// One number per column.
    pub bias: Option<&'a [f32]>,
    /// A matrix with the layout of the output, row stride included.
    pub residual: Option<&'a [f32]>,
    /// Whether what the output holds is added to the product.
    pub accumulate: bool,
    /// Applied to the sum of product, bias and old output.
    pub activation: Act,
}

impl Epilogue<'_> {
    /// # Panics
    /// A slice is too short for an output of this shape.
    pub(super) fn check(&self, rows: usize, cols: usize, out_stride: usize) {
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), cols, "one bias per column");
        }
        if let Some(residual) = self.residual
            && rows > 0
        {
            let least = reach(rows, out_stride, cols);
            assert!(
                residual.len() >= least,
                "a residual of {} numbers for an output of {least}",
                residual.len()
            );
        }
    }
}
