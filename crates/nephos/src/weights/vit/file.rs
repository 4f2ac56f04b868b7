//! The tensors of a ViT's file, sorted by where they belong.

use std::collections::BTreeMap;

use super::names::{LAYERS, Naming, Place};
use crate::weights::torch::NamedTensor;

/// Shape and numbers of a tensor.
pub(super) type Numbers = (Vec<usize>, Vec<f32>);

/// What a ViT's file holds; tensors keep their own names.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Tensors of the layers and of the norm after them, by their names in nephos.
    pub tensors: BTreeMap<String, NamedTensor>,
    /// Weight and bias of the patch embedding.
    pub patches: [Option<NamedTensor>; 2],
    /// The position embedding.
    pub positions: Option<NamedTensor>,
    /// Tokens beside those of the patches.
    pub tokens: Vec<NamedTensor>,
    /// Names of what nephos has no place for.
    pub unused: Vec<String>,
    /// What is wrong with the file.
    pub problems: Vec<String>,
}

impl File {
    /// Sorts `tensors`, joins queries, keys and values, and takes LayerScale into the
    /// linear layers before it.
    pub fn sort(naming: &Naming, prefix: &str, tensors: Vec<NamedTensor>) -> Self {
        let mut file = Self::default();
        let mut thirds: BTreeMap<String, [Option<NamedTensor>; 3]> = BTreeMap::new();
        let mut scales = BTreeMap::new();
        for tensor in tensors {
            let (name, shape, values) = &tensor;
            if values.len() != shape.iter().product::<usize>() {
                let count = values.len();
                file.problems
                    .push(format!("{name} holds {count} numbers, not {shape:?}"));
                continue;
            }
            let place = (name.strip_prefix(prefix)).map_or(Place::Other, |name| naming.place(name));
            match place {
                Place::Patches { bias } => file.patches[usize::from(bias)] = Some(tensor),
                Place::Positions => file.positions = Some(tensor),
                Place::Token => file.tokens.push(tensor),
                Place::Whole(ours) => {
                    file.tensors.insert(ours, tensor);
                }
                Place::Third(ours, third) => {
                    thirds.entry(ours).or_default()[third] = Some(tensor);
                }
                Place::Scale(ours) => {
                    scales.insert(ours, tensor);
                }
                Place::Foreign => file
                    .problems
                    .push(format!("{name}: no layer of nephos has this part")),
                Place::Other => file.unused.push(tensor.0),
            }
        }
        for (ours, thirds) in thirds {
            file.join(ours, thirds);
        }
        file.complete_biases();
        for (ours, factors) in scales {
            file.scale(&ours, &factors);
        }
        file
    }

    /// Stacks the rows of queries, keys and values.
    fn join(&mut self, ours: String, thirds: [Option<NamedTensor>; 3]) {
        let present: Vec<&NamedTensor> = thirds.iter().flatten().collect();
        let Some((name, shape, _)) = present.first().map(|tensor| (*tensor).clone()) else {
            return;
        };
        let rows = shape.first().copied().unwrap_or(0);
        if let Some((other, found, _)) = present.iter().find(|(_, found, _)| *found != shape) {
            (self.problems).push(format!(
                "{other} is {found:?}, expected {shape:?} as {name}"
            ));
            return;
        }
        // An attention without some biases is one whose biases are zero.
        if present.len() < 3 && shape.len() != 1 {
            (self.problems).push(format!("queries, keys or values are missing beside {name}"));
            return;
        }
        let mut values = Vec::new();
        for third in thirds {
            values.extend(third.map_or_else(|| vec![0.0; rows], |(_, _, values)| values));
        }
        let shape = [&[rows * 3], shape.get(1..).unwrap_or_default()].concat();
        self.tensors.insert(ours, (name, shape, values));
    }

    /// An attention without biases is one whose biases are zero.
    fn complete_biases(&mut self) {
        const WEIGHT: &str = "self_attn.in_proj_weight";
        let missing: Vec<(String, NamedTensor)> = (self.tensors.iter())
            .filter_map(|(ours, (name, shape, _))| {
                let bias = format!("{}self_attn.in_proj_bias", ours.strip_suffix(WEIGHT)?);
                let rows = *shape.first()?;
                let tensor = (name.clone(), vec![rows], vec![0.0; rows]);
                (!self.tensors.contains_key(&bias)).then_some((bias, tensor))
            })
            .collect();
        self.tensors.extend(missing);
    }

    /// Multiplies the outputs of the linear layer `ours` by factors.
    fn scale(&mut self, ours: &str, (name, shape, factors): &NamedTensor) {
        for leaf in ["weight", "bias"] {
            let Some((_, found, values)) = self.tensors.get_mut(&format!("{ours}{leaf}")) else {
                continue;
            };
            let outputs = found.first().copied().unwrap_or(0);
            if *shape != [outputs] || outputs == 0 {
                (self.problems).push(format!("{name} is {shape:?}, expected [{outputs}]"));
                return;
            }
            let each = values.len() / factors.len();
            for (row, factor) in values.chunks_mut(each.max(1)).zip(factors) {
                row.iter_mut().for_each(|value| *value *= factor);
            }
        }
    }

    /// Layers, from 0 to the last of which there is a tensor.
    pub fn depth(&self) -> usize {
        let index = |name: &String| name.strip_prefix(LAYERS)?.split('.').next()?.parse().ok();
        let last = self.tensors.keys().filter_map(index).max();
        last.map_or(0, |last: usize| last + 1)
    }

    /// Axis `axis` of the tensor called `ours` in nephos, with its own name.
    pub fn axis(&self, ours: &str, axis: usize) -> Option<(usize, &str)> {
        let (name, shape, _) = self.tensors.get(ours)?;
        Some((*shape.get(axis)?, name))
    }
}
