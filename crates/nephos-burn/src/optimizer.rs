//! Adam and AdamW over the named parameters of a network.
//!
//! The update is Burn's, which is PyTorch's: bias-corrected moments, epsilon
//! added to the corrected root, L2 decay added to Adam's gradient, decay apart
//! from the gradient in AdamW. Moments are kept by the name of the parameter and
//! not, as Burn's own `ModuleOptimizer` does, by an identity drawn anew in every
//! process: so they are restored into any network of the same names.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState,
    GradientsParams, Optimizer as Rule,
};
use burn::tensor::{Device, Tensor, TensorData};
use nephos::Result;
use nephos::config::{OptimizerConfig, OptimizerKind};
use nephos::engine::layer_share;
use nephos::network;

use crate::arrays::values;
use crate::module_path::{ModulePath, keep_path};

/// Moments of one parameter, flattened.
pub(crate) type Moments = AdaptiveMomentumState<1>;

/// The same on the host.
///
/// # Errors
/// Numbers that the device does not give back.
pub(crate) fn on_host(moments: &Moments) -> Result<network::Moments> {
    Ok(network::Moments {
        updates: moments.time,
        first: values(moments.moment_1.clone())?,
        second: values(moments.moment_2.clone())?,
    })
}

/// The same on `device`, without autodiff.
pub(crate) fn on_device(moments: network::Moments, device: &Device) -> Moments {
    let tensor = |values: Vec<f32>| {
        let shape = [values.len()];
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    Moments::new(
        moments.updates,
        tensor(moments.first),
        tensor(moments.second),
    )
}

#[derive(Clone)]
enum Update {
    Adam(Adam),
    AdamW(AdamW),
}

/// An optimiser with its state.
pub struct Optimizer {
    update: Update,
    config: OptimizerConfig,
    /// Layers of the encoder.
    depth: usize,
    /// Only parameters that ever had a gradient.
    pub(crate) moments: BTreeMap<String, Moments>,
}

impl Optimizer {
    /// The optimiser of a network whose encoder has `depth` layers.
    pub fn new(config: &OptimizerConfig, depth: usize) -> Self {
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
            config: config.clone(),
            depth,
            moments: BTreeMap::new(),
        }
    }

    /// `module` after one step along `gradients` times `factor`; parameters without a
    /// gradient stay as they are. Weights without another reference are changed in place.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        factor: f64,
        lr: f64,
    ) -> M {
        module.map(&mut Step {
            optimizer: self,
            gradients,
            factor,
            lr,
            path: ModulePath::default(),
        })
    }
}

struct Step<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    factor: f64,
    lr: f64,
    path: ModulePath,
}

impl ModuleMapper for Step<'_> {
    keep_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove::<D>(id) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.dims();
        let path = self.path.dotted();
        let config = &self.optimizer.config;
        let lr = self.lr * layer_share(&path, self.optimizer.depth, config.layer_decay);
        let moments = self.optimizer.moments.remove(&path);
        let tensor = tensor.inner();
        let gradient = match self.factor {
            1.0 => gradient,
            factor => gradient.mul_scalar(factor),
        };
        // The update goes number by number: the rank does not matter.
        let (flat, gradient) = (tensor.reshape([-1]), gradient.reshape([-1]));
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Golden values of PyTorch; see the script beside the file.
    #[derive(Deserialize)]
    struct Golden {
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        optimizers: Vec<GoldenPath>,
    }

    #[derive(Deserialize)]
    struct GoldenPath {
        config: OptimizerConfig,
        path: Vec<Vec<f32>>,
    }

    #[derive(Module, Debug)]
    struct OneWeight {
        weight: Param<Tensor<2>>,
    }

    #[test]
    fn ten_steps_are_pytorchs() {
        let golden: Golden = serde_json::from_str(include_str!(
            "../../nephos/tests/parity/training/golden.json"
        ))
        .unwrap();
        let device = Device::flex().autodiff();
        let inner = Device::flex();
        for case in golden.optimizers {
            let mut optimizer = Optimizer::new(&case.config, 0);
            let data = TensorData::new(golden.start.clone(), [2, 3]);
            let mut module = OneWeight {
                weight: Param::from_tensor(Tensor::<2>::from_data(data, &device)),
            };
            for (gradient, torchs) in golden.gradients.iter().zip(&case.path) {
                let mut gradients = GradientsParams::new();
                let data = TensorData::new(gradient.clone(), [2, 3]);
                let gradient = Tensor::<2>::from_data(data, &inner);
                gradients.register(module.weight.id, gradient);
                module = optimizer.step(module, gradients, 1.0, case.config.lr);
                let ours = module.weight.val().try_into_vec_as::<f32>().unwrap();
                for (ours, torchs) in ours.iter().zip(torchs) {
                    assert!(
                        (ours - torchs).abs() < 2e-6,
                        "{:?}: {ours} {torchs}",
                        case.config
                    );
                }
            }
            assert_eq!(optimizer.moments["weight"].time, 10);
        }
    }

    #[test]
    fn a_parameter_without_a_gradient_stays() {
        let device = Device::flex().autodiff();
        let mut optimizer = Optimizer::new(
            &OptimizerConfig {
                weight_decay: 0.1,
                ..OptimizerConfig::default()
            },
            0,
        );
        let module = OneWeight {
            weight: Param::from_tensor(Tensor::<2>::ones([2, 3], &device)),
        };
        let module = optimizer.step(module, GradientsParams::new(), 1.0, 0.1);
        assert_eq!(module.weight.val().sum().into_scalar::<f32>(), 6.0);
        assert!(optimizer.moments.is_empty());
    }
}
