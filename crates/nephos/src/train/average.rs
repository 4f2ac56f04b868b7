//! The running mean of the weights, which often scores better than the weights
//! themselves (Polyak & Juditsky 1992; with a decay, Tarvainen & Valpola 2017).

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::model::{ModulePath, keep_path};

/// Decay of the mean at update `updates` (from 0): the first weights are forgotten
/// faster, so that a short run does not average its start.
pub(super) fn decay(most: f64, updates: usize) -> f64 {
    let updates = updates as f64;
    most.min((1.0 + updates) / (10.0 + updates))
}

/// `average` moved towards the weights of `module`, a network of the same parameters:
/// `decay` times the first and the rest of the second.
///
/// Numbers are those of f32 arithmetic in a fixed order, on any device.
pub(super) fn moved<M: Module, N: Module>(average: M, module: &N, decay: f64) -> M {
    let mut weights = Weights::default();
    module.visit(&mut weights);
    average.map(&mut Towards {
        weights: weights.found,
        decay: decay as f32,
        path: ModulePath::default(),
    })
}

/// The numbers of each parameter, by name.
#[derive(Default)]
struct Weights {
    path: ModulePath,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Weights {
    keep_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Ok(values) = param.val().try_into_vec_as::<f32>() {
            self.found.insert(self.path.dotted(), values);
        }
    }
}

struct Towards {
    weights: BTreeMap<String, Vec<f32>>,
    decay: f32,
    path: ModulePath,
}

impl ModuleMapper for Towards {
    keep_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let weights = self.weights.remove(&self.path.dotted());
        let (shape, device) = (tensor.dims(), tensor.device());
        let moved = match (weights, tensor.clone().try_into_vec_as::<f32>()) {
            (Some(weights), Ok(mut values)) if weights.len() == values.len() => {
                for (value, weight) in values.iter_mut().zip(&weights) {
                    *value = weight + self.decay * (*value - weight);
                }
                Tensor::from_data(TensorData::new(values, shape), &device)
            }
            _ => tensor,
        };
        Param::from_mapped_value(id, moved, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct OneWeight {
        weight: Param<Tensor<2>>,
    }

    fn of(values: [f32; 2], device: &Device) -> OneWeight {
        let data = TensorData::new(values.to_vec(), [1, 2]);
        OneWeight {
            weight: Param::from_tensor(Tensor::<2>::from_data(data, device)),
        }
    }

    #[test]
    fn the_mean_moves_by_the_rest_of_the_decay() {
        let device = Device::flex();
        let average = of([1.0, -2.0], &device);
        let module = of([3.0, 2.0], &device.clone().autodiff());
        let average = moved(average, &module, 0.75);
        let values = average.weight.val().try_into_vec_as::<f32>().unwrap();
        assert_eq!(values, [1.5, -1.0]);
    }

    #[test]
    fn the_start_is_forgotten_fast() {
        assert_eq!(decay(0.999, 0), 0.1);
        assert_eq!(decay(0.5, 10_000), 0.5);
        assert!(decay(0.999, 100) > 0.9 && decay(0.999, 100) < 0.999);
    }
}
