//! Samples of one size, stacked for a model.

use ndarray::{Array3, Array4, Axis};
use nephos_kernel::loss::Label;

use super::Example;
use crate::error::{Error, Result};

/// Samples of one size, on the host; tensors are made where they are used.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Names of the samples.
    pub names: Vec<String>,
    /// `[samples, channels, height, width]`.
    pub images: Array4<f32>,
    /// `[samples, height, width]`: class codes, [`either`](nephos_kernel::loss::either)
    /// of several, or 255.
    pub labels: Array3<u8>,
}

impl Batch {
    /// Stacks `examples`.
    ///
    /// # Errors
    /// No examples, or two of different size, both named.
    pub fn stack(examples: &[Example]) -> Result<Self> {
        let first = examples
            .first()
            .ok_or_else(|| Error::usage("a batch needs at least one sample"))?;
        if let Some(other) = examples.iter().find(|e| e.image.dim() != first.image.dim()) {
            let shape = |e: &Example| {
                let (bands, height, width) = e.image.dim();
                format!("{} is {bands}×{height}×{width}", e.name)
            };
            return Err(Error::usage(format!(
                "samples of one batch must have one size, but {} and {} (bands×height×width); \
                 set data.size to crop and pad them, or train.batch_size to 1",
                shape(first),
                shape(other),
            )));
        }
        let images: Vec<_> = examples.iter().map(|e| e.image.view()).collect();
        let labels: Vec<_> = examples.iter().map(|e| e.label.view()).collect();
        let stacked = |e: ndarray::ShapeError| Error::usage(format!("a batch: {e}"));
        Ok(Self {
            names: examples.iter().map(|e| e.name.clone()).collect(),
            images: ndarray::stack(Axis(0), &images).map_err(stacked)?,
            labels: ndarray::stack(Axis(0), &labels).map_err(stacked)?,
        })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no samples; never so for a stacked batch.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Number of pixels of each class below `classes`; those that may be of several count
    /// for the first.
    pub fn class_counts(&self, classes: usize) -> Vec<u64> {
        let mut counts = vec![0; classes];
        for label in self.labels.iter().filter_map(|code| Label::of(*code)) {
            if let Some(count) = counts.get_mut(label.first()) {
                *count += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn example(name: &str, side: usize) -> Example {
        Example {
            name: name.to_owned(),
            image: Array3::from_elem((3, side, side), 0.5),
            label: Array2::from_elem((side, side), 2),
            teacher: None,
            valid: Array2::from_elem((side, side), true),
            absent: vec![false; 3],
        }
    }

    #[test]
    fn samples_are_stacked_in_order() {
        let batch = Batch::stack(&[example("a", 4), example("b", 4)]).unwrap();
        assert_eq!(batch.images.dim(), (2, 3, 4, 4));
        assert_eq!(batch.labels.dim(), (2, 4, 4));
        assert_eq!(batch.names, ["a", "b"]);
        assert_eq!(batch.class_counts(4), [0, 0, 32, 0]);
    }

    #[test]
    fn two_sizes_are_an_error_that_names_both() {
        let error = Batch::stack(&[example("a", 4), example("b", 5)]).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("a is 3×4×4"), "{message}");
        assert!(message.contains("b is 3×5×5"), "{message}");
        assert!(message.contains("data.size"), "{message}");
    }
}
