//! Adam and AdamW over the named parameters of a network.
//!
//! The update is Burn's, which is PyTorch's: bias-corrected moments, epsilon
//! added to the corrected root, L2 decay added to Adam's gradient, decay apart
//! from the gradient in AdamW. Moments are kept by the name of the parameter and
//! not, as Burn's own `ModuleOptimizer` does, by an identity drawn anew in every
//! process: so a checkpoint is read back into any network of the same names.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState,
    GradientsParams, Optimizer as Rule,
};
use burn::tensor::Tensor;

use crate::config::{OptimizerConfig, OptimizerKind};

/// Moments of one parameter, flattened.
pub(super) type Moments = AdaptiveMomentumState<1>;

#[derive(Clone)]
enum Update {
    Adam(Adam),
    AdamW(AdamW),
}

/// An optimiser with its state.
pub(super) struct Optimizer {
    update: Update,
    /// Only parameters that ever had a gradient.
    pub(super) moments: BTreeMap<String, Moments>,
}

impl Optimizer {
    pub(super) fn new(config: &OptimizerConfig) -> Self {
        let [beta_1, beta_2] = config.betas;
        let decay = config.weight_decay;
        let update = match config.kind {
            OptimizerKind::Adam => Update::Adam(
                AdamConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(config.eps)
                    .with_weight_decay((decay > 0.0).then(|| WeightDecayConfig::new(decay)))
                    .build(),
            ),
            OptimizerKind::Adamw => Update::AdamW(
                AdamWConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(config.eps)
                    .with_weight_decay(decay)
                    .build(),
            ),
        };
        Self {
            update,
            moments: BTreeMap::new(),
        }
    }

    /// `module` after one step along `gradients`; parameters without a gradient
    /// stay as they are.
    pub(super) fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, lr: f64) -> M {
        module.map(&mut Step {
            optimizer: self,
            gradients,
            lr,
            path: Vec::new(),
        })
    }
}

struct Step<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    lr: f64,
    path: Vec<String>,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove::<D>(id) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.dims();
        let (lr, path) = (self.lr, self.path.join("."));
        let moments = self.optimizer.moments.remove(&path);
        // The update goes number by number: the rank does not matter.
        let (flat, gradient) = (tensor.inner().reshape([-1]), gradient.reshape([-1]));
        let (flat, moments) = match &self.optimizer.update {
            Update::Adam(adam) => {
                let (flat, state) = adam.step(lr, flat, gradient, moments.map(AdamState::new));
                (flat, state.map(|s| s.momentum))
            }
            Update::AdamW(adamw) => {
                let (flat, state) = adamw.step(lr, flat, gradient, moments.map(AdamWState::new));
                (flat, state.map(|s| s.momentum))
            }
        };
        if let Some(moments) = moments {
            self.optimizer.moments.insert(path, moments);
        }
        let updated = Tensor::from_inner(flat.reshape(shape)).require_grad();
        Param::from_mapped_value(id, updated, mapper)
    }
}
