//! Upsampling and loss together, as one step of autodiff.

use std::sync::Arc;

use burn::tensor::Tensor;
use nephos_kernel::loss::{Evaluation, Objective, Target};

use super::record::{Operation, input, record};

/// The labels of a batch and how scores are brought to their size.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    /// `[B, height, width]`, class codes or 255.
    pub codes: Arc<[u8]>,
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Whether corners are aligned in upsampling.
    pub align_corners: bool,
}

impl Labels {
    /// The labels with the scores they are compared with.
    ///
    /// # Shapes
    /// - coarse: `[B, classes, rows, cols]`
    ///
    /// # Panics
    /// The shapes don't agree.
    pub(crate) fn target<'a>(
        &'a self,
        coarse: &'a [f32],
        [_, classes, rows, cols]: [usize; 4],
    ) -> Target<'a> {
        let (grid, size) = ([rows, cols], self.size);
        Target::new(coarse, &self.codes, classes, grid, size, self.align_corners)
    }
}

/// The loss of upsampled scores, one number.
///
/// # Shapes
/// - coarse: `[B, classes, rows, cols]`
///
/// # Panics
/// The shapes don't agree, or the device is not one that
/// [`is_recorded`](super::is_recorded).
pub(crate) fn loss(coarse: Tensor<4>, labels: Labels, objective: Objective) -> Tensor<1> {
    let shape = coarse.dims();
    let operation = UpsampledLoss {
        shape,
        labels,
        objective,
    };
    record(operation, [input(coarse)], [1])
}

#[derive(Debug)]
struct UpsampledLoss {
    shape: [usize; 4],
    labels: Labels,
    objective: Objective,
}

impl Operation<1> for UpsampledLoss {
    type Saved = Evaluation;

    fn forward(&self, [coarse]: [&[f32]; 1]) -> (Vec<f32>, Evaluation) {
        let target = self.labels.target(coarse, self.shape);
        let evaluation = self.objective.evaluate(&target);
        (vec![evaluation.loss as f32], evaluation)
    }

    fn backward(
        &self,
        [coarse]: [&[f32]; 1],
        saved: &Evaluation,
        gradient: &[f32],
        _wanted: [bool; 1],
    ) -> [Vec<f32>; 1] {
        let target = self.labels.target(coarse, self.shape);
        let mut of_coarse = vec![0.0; coarse.len()];
        (self.objective).gradient(&target, saved, gradient[0], &mut of_coarse);
        [of_coarse]
    }
}
