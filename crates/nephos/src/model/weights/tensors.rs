//! Weights out of a network and into one.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use super::{Bytes, names, safetensors};
use crate::error::{Error, Result};
use crate::model::module_path::{ModulePath, keep_path};
use crate::scene::torch::{self, NamedTensor};

/// All weights of a network, or of a part of one, under PyTorch's names and in
/// its layouts, in the order of the fields.
pub fn collect<M: Module>(module: &M) -> Vec<NamedTensor> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.tensors
}

/// The gradients of all weights that have one, named and laid out as by
/// [`collect`].
pub fn collect_gradients<M: Module>(module: &M, gradients: &Gradients) -> Vec<NamedTensor> {
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
    let mut loader = Loader::default();
    for (name, shape, values) in tensors {
        let name = names::without_parallel(&name).to_owned();
        if names::is_counter(&name) {
            continue;
        }
        if loader.tensors.contains_key(&name) {
            loader.problems.push(format!("there twice: {name}"));
        }
        loader.tensors.insert(name, (shape, values));
    }
    let module = module.map(&mut loader);
    for (name, (shape, _)) in &loader.tensors {
        (loader.problems).push(format!("unexpected: {name} {shape:?}"));
    }
    if loader.problems.is_empty() {
        return Ok(module);
    }
    let problems = loader.problems.join("\n  ");
    Err(Error::format(
        origin,
        format!("the weights do not fit the model:\n  {problems}"),
    ))
}

/// Reads the tensors of a PyTorch state dict (`.pth`), a `.safetensors` file or a
/// bundle, told apart by what the file holds; or of weights that come with nephos
/// ([`Shipped`](super::Shipped)).
///
/// # Errors
/// The file can't be read, or is broken.
pub fn read(path: &Path) -> Result<Vec<NamedTensor>> {
    let bytes = Bytes::of(path)?;
    match &bytes[..bytes.len().min(9)] {
        // Eight bytes of length, then the header: the length may look like anything.
        [_, _, _, _, _, _, _, _, b'{'] => Ok(safetensors::read(path)?.0),
        // A zip archive, or a bare pickle as PyTorch wrote before 1.6.
        [b'P', b'K', ..] | [0x80, ..] => torch::read(path),
        _ => Ok(safetensors::read(path)?.0),
    }
}

/// Writes tensors: a PyTorch state dict for `.pth` and `.pt`, else safetensors.
///
/// # Errors
/// The file can't be written.
pub fn write(path: &Path, tensors: &[NamedTensor]) -> Result<()> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("pth" | "pt") => torch::write(path, tensors),
        _ => safetensors::write(path, tensors, &[("written_by", "nephos".to_owned())]),
    }
}

/// Gathers every parameter, or its gradient.
#[derive(Default)]
struct Collector<'a> {
    path: ModulePath,
    gradients: Option<&'a Gradients>,
    tensors: Vec<NamedTensor>,
}

impl ModuleVisitor for Collector<'_> {
    keep_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.dotted();
        let tensor = match self.gradients {
            None => param.val(),
            Some(gradients) => match param.val().grad(gradients) {
                Some(gradient) => gradient,
                None => return,
            },
        };
        let shape = tensor.dims();
        let values: Vec<f32> = (tensor.into_data().try_into_vec_as()).expect("weights are floats");
        let (shape, values) = exchange_layout(&path, &shape, values);
        self.tensors.push((names::to_torch(&path), shape, values));
    }
}

/// Replaces every parameter and notes what does not fit.
#[derive(Default)]
struct Loader {
    path: ModulePath,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    problems: Vec<String>,
}

impl Loader {
    /// The numbers for the parameter at the current path, of shape `expected`, in
    /// the network's layout; notes why there are none.
    fn take(&mut self, expected: &[usize]) -> Option<Vec<f32>> {
        let path = self.path.dotted();
        let name = names::to_torch(&path);
        let mut wanted = expected.to_vec();
        if names::is_transposed(&path, wanted.len()) {
            wanted.reverse();
        }
        let problem = match self.tensors.remove(&name) {
            None => format!("missing: {name} {wanted:?}"),
            Some((shape, _)) if shape != wanted => {
                format!("of another shape: {name} {shape:?}, expected {wanted:?}")
            }
            Some((_, values)) if values.len() != wanted.iter().product::<usize>() => {
                format!("{name} holds {} numbers, not {wanted:?}", values.len())
            }
            Some((_, values)) if !values.iter().all(|v| v.is_finite()) => {
                format!("not finite: {name}")
            }
            Some((shape, values)) => return Some(exchange_layout(&path, &shape, values).1),
        };
        self.problems.push(problem);
        None
    }
}

impl ModuleMapper for Loader {
    keep_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Neither shape nor device draws the weights of a fresh network.
        let shape: [usize; D] = param.lazy_shape().dims();
        let Some(values) = self.take(&shape) else {
            return param;
        };
        let data = TensorData::new(values, shape);
        let tensor = Tensor::from_data(data, &param.lazy_device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}

/// Between the network's layout and PyTorch's, either way: the two differ by a
/// transposition, or not at all.
fn exchange_layout(path: &str, shape: &[usize], values: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let &[rows, cols] = shape else {
        return (shape.to_vec(), values);
    };
    if !names::is_transposed(path, shape.len()) {
        return (shape.to_vec(), values);
    }
    let transposed = (0..cols)
        .flat_map(|col| (0..rows).map(move |row| row * cols + col))
        .map(|place| values[place])
        .collect();
    (vec![cols, rows], transposed)
}
