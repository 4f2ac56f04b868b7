//! Weights by name, taken one at a time.

use std::collections::BTreeMap;

/// The weights of a network under PyTorch's names and in its layouts, as
/// [`weights::read`](crate::weights::read) gives them. Each is dropped once it is packed.
#[derive(Debug, Default)]
pub struct Weights(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl FromIterator<(String, Vec<usize>, Vec<f32>)> for Weights {
    fn from_iter<I: IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>>(tensors: I) -> Self {
        let tensors = tensors.into_iter();
        Self(
            tensors
                .map(|(name, shape, values)| (name, (shape, values)))
                .collect(),
        )
    }
}

impl Weights {
    /// Takes the weight `name`, if it is there and has this shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let (found, values) = self.0.remove(name)?;
        let fits = found == shape && values.len() == shape.iter().product::<usize>();
        fits.then_some(values)
    }

    /// The shape of the weight `name`.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|(shape, _)| shape.as_slice())
    }

    /// Whether all have been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
