//! Weights out of a network and into one.

use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use nephos::Result;
use nephos::weights::NamedTensor;
use nephos::weights::exchange::{TorchTensors, export};

use crate::arrays::values;
use crate::module_path::{ModulePath, keep_path};

/// All weights of a network, or of a part of one, under PyTorch's names and in
/// its layouts, in the order of the fields.
///
/// # Errors
/// Numbers that the device does not give back.
pub fn collect<M: Module>(module: &M) -> Result<Vec<NamedTensor>> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.tensors
}

/// The gradients of all weights that have one, named and laid out as by
/// [`collect`].
///
/// # Errors
/// As there.
pub fn collect_gradients<M: Module>(
    module: &M,
    gradients: &GradientsParams,
) -> Result<Vec<NamedTensor>> {
    let mut collector = Collector {
        gradients: Some(gradients),
        ..Collector::default()
    };
    module.visit(&mut collector);
    collector.tensors
}

/// Puts `tensors` into a network, or a part of one, in any order, with or without
/// the prefix `module.`; errors call their file `origin`.
///
/// # Errors
/// Everything that does not fit, in one message: tensors that are missing,
/// unexpected, there twice, of another shape, or hold a number that is not finite.
pub fn apply<M: Module>(module: M, tensors: Vec<NamedTensor>, origin: &Path) -> Result<M> {
    let mut loader = Loader {
        path: ModulePath::default(),
        file: TorchTensors::new(tensors),
    };
    let module = module.map(&mut loader);
    loader.file.finish(origin)?;
    Ok(module)
}

/// Gathers every parameter, or its gradient.
struct Collector<'a> {
    path: ModulePath,
    gradients: Option<&'a GradientsParams>,
    tensors: Result<Vec<NamedTensor>>,
}

impl Default for Collector<'_> {
    fn default() -> Self {
        Self {
            path: ModulePath::default(),
            gradients: None,
            tensors: Ok(Vec::new()),
        }
    }
}

impl ModuleVisitor for Collector<'_> {
    keep_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(tensors) = &mut self.tensors else {
            return;
        };
        let path = self.path.dotted();
        let tensor = match self.gradients {
            None => param.val(),
            Some(gradients) => match gradients.get::<D>(param.id) {
                Some(gradient) => gradient,
                None => return,
            },
        };
        let shape = tensor.dims();
        match values(tensor) {
            Ok(values) => tensors.push(export(&path, &shape, values)),
            Err(error) => self.tensors = Err(error),
        }
    }
}

/// Replaces every parameter and notes what does not fit.
struct Loader {
    path: ModulePath,
    file: TorchTensors,
}

impl ModuleMapper for Loader {
    keep_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Neither shape nor device draws the weights of a fresh network.
        let shape: [usize; D] = param.lazy_shape().dims();
        let Some(values) = self.file.take(&self.path.dotted(), &shape) else {
            return param;
        };
        let data = TensorData::new(values, shape);
        let tensor = Tensor::from_data(data, &param.lazy_device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}
