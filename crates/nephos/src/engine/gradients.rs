//! Gradients of parameters by name.

use std::collections::HashMap;

use nephos_kernel::conv_blocks::BlockGradients;

/// The gradients of a network's parameters; those that are missing are zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gradients(HashMap<String, Vec<f32>>);

impl Gradients {
    /// Adds the gradient of a parameter.
    pub fn add(&mut self, name: String, values: Vec<f32>) {
        add(self.0.entry(name).or_default(), values);
    }

    /// Adds the gradients of the weight and the bias of a layer.
    pub fn add_pair(&mut self, layer: &str, [weight, bias]: [Vec<f32>; 2]) {
        self.add(format!("{layer}.weight"), weight);
        self.add(format!("{layer}.bias"), bias);
    }

    /// Adds the gradients of the scale and the shift of a LayerNorm.
    pub fn add_norm(&mut self, layer: &str, [scale, shift]: [Vec<f32>; 2]) {
        self.add(format!("{layer}.gamma"), scale);
        self.add(format!("{layer}.beta"), shift);
    }

    /// Adds the gradients of a residual block's parameters.
    pub fn add_block(&mut self, block: &str, by: BlockGradients) {
        let [conv1, conv2] = by.convs;
        self.add_pair(&format!("{block}.conv1"), conv1);
        self.add_pair(&format!("{block}.conv2"), conv2);
        self.add(format!("{block}.gain"), vec![by.gain]);
    }

    /// Adds those of another part of the batch.
    pub fn merge(&mut self, other: Self) {
        for (name, values) in other.0 {
            self.add(name, values);
        }
    }

    /// The gradient of a parameter; empty where it has none.
    pub fn get(&self, name: &str) -> &[f32] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Adds `more`, or takes it where there is nothing yet.
pub(super) fn add(sum: &mut Vec<f32>, more: Vec<f32>) {
    if sum.is_empty() {
        *sum = more;
    } else {
        sum.iter_mut().zip(&more).for_each(|(sum, x)| *sum += x);
    }
}

/// A matrix of rows of `cols` numbers, transposed.
pub(super) fn transposed(matrix: &[f32], cols: usize) -> Vec<f32> {
    let of_col = |col: usize| matrix[col..].iter().step_by(cols).copied();
    (0..cols).flat_map(of_col).collect()
}
