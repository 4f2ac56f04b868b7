//! Parameters under PyTorch's names and in its layouts, either way.

use std::collections::BTreeMap;
use std::path::Path;

use super::names;
use crate::error::{Error, Result};
use crate::weights::torch::NamedTensor;

/// Tensors of a file, from which a network takes its parameters.
pub struct TorchTensors {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    problems: Vec<String>,
}

impl TorchTensors {
    /// Of tensors in any order, with or without the prefix `module.`.
    pub fn new(tensors: Vec<NamedTensor>) -> Self {
        let mut file = Self {
            tensors: BTreeMap::new(),
            problems: Vec::new(),
        };
        for (name, shape, values) in tensors {
            let name = names::without_parallel(&name).to_owned();
            if names::is_counter(&name) {
                continue;
            }
            if file.tensors.contains_key(&name) {
                file.problems.push(format!("there twice: {name}"));
            }
            file.tensors.insert(name, (shape, values));
        }
        file
    }

    /// The values of the parameter `path`, of the network's shape, in the network's layout;
    /// where there are none that fit, notes why.
    pub fn take(&mut self, path: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let (_, shape, values) = self.take_stored(path, shape)?;
        Some(exchange_layout(path, &shape, values).1)
    }

    /// As [`TorchTensors::take`], in PyTorch's layout.
    pub fn take_stored(&mut self, path: &str, shape: &[usize]) -> Option<NamedTensor> {
        let (name, wanted) = stored(path, shape);
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
            Some((shape, values)) => return Some((name, shape, values)),
        };
        self.problems.push(problem);
        None
    }

    /// Whether every parameter was found and no tensor is left.
    ///
    /// # Errors
    /// All that does not fit, in one message that calls the file `origin`.
    pub fn finish(mut self, origin: &Path) -> Result<()> {
        for (name, (shape, _)) in &self.tensors {
            (self.problems).push(format!("unexpected: {name} {shape:?}"));
        }
        if self.problems.is_empty() {
            return Ok(());
        }
        let problems = self.problems.join("\n  ");
        Err(Error::format(
            origin,
            format!("the weights do not fit the model:\n  {problems}"),
        ))
    }
}

/// The name and the extents under which PyTorch stores the parameter `path` of a shape.
pub fn stored(path: &str, shape: &[usize]) -> (String, Vec<usize>) {
    let mut shape = shape.to_vec();
    if names::is_transposed(path, shape.len()) {
        shape.reverse();
    }
    (names::to_torch(path), shape)
}

/// The parameter `path` as PyTorch names and stores it.
pub fn export(path: &str, shape: &[usize], values: Vec<f32>) -> NamedTensor {
    let (shape, values) = exchange_layout(path, shape, values);
    (names::to_torch(path), shape, values)
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
