//! Operations on all gradients of a network together.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Euclidean norm of all gradients of `module` together; not finite when any
/// gradient is not finite.
pub(super) fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    let mut visitor = Squares {
        gradients,
        sum: 0.0,
    };
    module.visit(&mut visitor);
    visitor.sum.sqrt()
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += squares(gradient);
        }
    }
}

fn squares<const D: usize>(gradient: Tensor<D>) -> f64 {
    #[cfg(feature = "flex")]
    if crate::kernel::is_cpu(&gradient.device()) {
        return crate::kernel::adam::squares(gradient);
    }
    gradient.square().sum().into_scalar::<f64>()
}
