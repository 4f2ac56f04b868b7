//! How alike two patches are.

use burn::tensor::Tensor;

/// Added to the squared length of a vector before dividing by it.
const EPSILON: f64 = 1e-12;

/// `A = Z Zᵀ`: the inner products of all pairs of tokens.
///
/// # Shapes
/// - tokens: `[B, N, width]`
/// - output: `[B, N, N]`
pub fn affinity(tokens: Tensor<3>) -> Tensor<3> {
    tokens.clone().matmul(tokens.transpose())
}

/// Tokens brought to length one.
///
/// # Shapes
/// - tokens, output: `[B, N, width]`
pub fn unit(tokens: Tensor<3>) -> Tensor<3> {
    let length = (tokens.clone().square().sum_dim(2) + EPSILON).sqrt(); // [B, N, 1]
    tokens / length
}
