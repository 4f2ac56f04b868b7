//! Between grids of features and sequences of tokens.

use burn::tensor::Tensor;

/// `[B, width, rows, cols]` as `[B, rows · cols, width]`.
pub(super) fn from_grid(x: Tensor<4>) -> Tensor<3> {
    x.flatten::<3>(2, 3).swap_dims(1, 2)
}

/// `[B, rows · cols, width]` as `[B, width, rows, cols]`.
pub(super) fn to_grid(x: Tensor<3>, [rows, cols]: [usize; 2]) -> Tensor<4> {
    let [batch, _, width] = x.dims();
    x.swap_dims(1, 2).reshape([batch, width, rows, cols])
}
