//! The loss on a GPU where only the probabilities of the labels count.

use burn::tensor::{Int, Tensor};

use super::{Loss, TINY};
use crate::class::IGNORE;
use crate::config::LossKind;

impl Loss {
    /// [`Loss::forward`] where only the probabilities of the labels count, on a GPU; `None`
    /// elsewhere.
    pub(super) fn of_shares(
        &self,
        logits: &Tensor<4>,
        labels: &Tensor<3, Int>,
    ) -> Option<Tensor<1>> {
        let smooth = self.config.label_smoothing > 0.0;
        let simple = match self.config.kind {
            LossKind::CrossEntropy => !smooth,
            LossKind::Focal => true,
            LossKind::Dice | LossKind::CrossEntropyDice => false,
        };
        if !simple || self.weights.is_some() || !crate::kernel::is_gpu(&logits.device()) {
            return None;
        }
        let hit = crate::kernel::share::log_share(logits.clone(), labels.clone());
        let known = labels.clone().not_equal_elem(i32::from(IGNORE)).float();
        let total = known.sum().clamp_min(TINY);
        // Where nothing is known the logarithm is 0, and so is its share in the sum.
        let sum = match self.config.kind {
            LossKind::Focal => (self.focal_factor(&hit) * hit).sum(),
            _ => hit.sum(),
        };
        Some(sum.neg() / total)
    }
}
