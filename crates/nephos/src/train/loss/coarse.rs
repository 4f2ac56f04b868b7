//! The loss of coarse scores: upsampled, weighed and counted in one pass by
//! [`nephos_kernel::loss`], nothing of the size of the image stored.

use burn::tensor::Tensor;
use ndarray::Array3;

use super::Loss;
use crate::config::LossKind;
use crate::kernel;

impl Loss {
    /// What [`Loss::forward`] gives for the upsampled scores, as one step of autodiff
    /// that stores nothing of the size of the image; `None` where tensors are not
    /// recorded so, which is off the CPU and without autodiff.
    ///
    /// # Shapes
    /// - coarse: `[B, classes, rows, cols]`, f32
    /// - labels: `[B, H, W]`, class codes, sets of classes, or 255
    ///
    /// # Panics
    /// The shapes don't agree.
    pub(crate) fn of_coarse(
        &self,
        coarse: &Tensor<4>,
        labels: &Array3<u8>,
        align_corners: bool,
    ) -> Option<Tensor<1>> {
        kernel::is_recorded(&coarse.device()).then(|| {
            let labels = pixels(labels, align_corners);
            kernel::loss::loss(coarse.clone(), labels, self.objective())
        })
    }

    /// The loss of upsampled scores, and the class of each pixel's largest score, the
    /// first of equals, `[B, H, W]`; `None` off the CPU.
    ///
    /// # Shapes
    /// As [`Loss::of_coarse`].
    ///
    /// # Panics
    /// The shapes don't agree.
    pub(crate) fn evaluate_coarse(
        &self,
        coarse: &Tensor<4>,
        labels: &Array3<u8>,
        align_corners: bool,
    ) -> Option<(f64, Vec<u8>)> {
        kernel::is_cpu(&coarse.device()).then(|| {
            let shape = coarse.dims();
            let values = coarse.clone().into_data().try_into_vec::<f32>();
            let values = values.expect("scores are f32");
            let labels = pixels(labels, align_corners);
            let mut best = vec![0; labels.codes.len()];
            let target = labels.target(&values, shape);
            let evaluation = (self.objective()).evaluate_and_classify(&target, &mut best);
            (evaluation.loss, best)
        })
    }

    /// The loss for [`nephos_kernel`].
    fn objective(&self) -> nephos_kernel::loss::Objective {
        use nephos_kernel::loss::{Kind, Objective};
        let smoothing = self.config.label_smoothing;
        let (kind, weighted) = match self.config.kind {
            LossKind::CrossEntropy => (Kind::CrossEntropy(smoothing), true),
            LossKind::Focal => (Kind::Focal(self.config.focal_gamma), true),
            LossKind::Dice => (Kind::Dice, false),
            LossKind::CrossEntropyDice => (Kind::CrossEntropyDice(smoothing), true),
        };
        let weights = self.config.class_weights.clone();
        Objective {
            kind,
            class_weights: if weighted { weights } else { Vec::new() },
        }
    }
}

fn pixels(labels: &Array3<u8>, align_corners: bool) -> kernel::loss::Labels {
    let (_, height, width) = labels.dim();
    kernel::loss::Labels {
        codes: labels.iter().copied().collect(),
        size: [height, width],
        align_corners,
    }
}
