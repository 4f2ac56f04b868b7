//! Operations on all gradients of a network together.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Euclidean norm of all gradients of `module` together; not finite when any
/// gradient is not finite.
pub(super) fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    let mut visitor = Squares {
        gradients,
        known: 0.0,
        pending: Vec::new(),
    };
    module.visit(&mut visitor);
    let mut sum = visitor.known;
    if !visitor.pending.is_empty() {
        // A device is waited for once, not for each gradient.
        let pending = Tensor::cat(visitor.pending, 0).into_data();
        sum += pending.iter::<f64>().sum::<f64>();
    }
    sum.sqrt()
}

/// The sums of squares of gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    /// Of those on the CPU.
    known: f64,
    /// Of each of the others, one number on its device.
    pending: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else {
            return;
        };
        if crate::kernel::is_cpu(&gradient.device()) {
            self.known += crate::kernel::adam::squares(gradient);
            return;
        }
        self.pending.push(gradient.square().sum());
    }
}
