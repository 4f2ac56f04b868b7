//! Cache of samples as they were read: a small data set is read from its files once, not in
//! every epoch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array3, Axis};

use crate::data::{Dataset, Example};
use crate::error::Result;

/// Bytes of images that are cached at most.
const MAX_BYTES: usize = 1 << 30;

/// The samples of one data set that were read first.
#[derive(Clone, Default)]
pub(crate) struct SampleCache {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    samples: HashMap<usize, Arc<Example>>,
    bytes: usize,
}

impl SampleCache {
    /// Sample `index` of `dataset`, which is the same in every call, [`packed`]. What is an
    /// array in memory or in a mapped file is read anew each time: that is as fast.
    ///
    /// # Errors
    /// As for [`Dataset::get`].
    pub fn read(&self, dataset: &Dataset, index: usize) -> Result<Arc<Example>> {
        // A poisoned lock is safe to reuse: nothing is changed in place.
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = lock().samples.get(&index) {
            return Ok(sample.clone());
        }
        let sample = Arc::new(packed(dataset.labelled_bands(index)?));
        if dataset.is_raster(index)? {
            let bytes = size_of_val(sample.image.as_slice().unwrap_or_default());
            let mut state = lock();
            if state.bytes + bytes <= MAX_BYTES {
                state.bytes += bytes;
                state.samples.insert(index, sample.clone());
            }
        }
        Ok(sample)
    }
}

/// The sample with those planes alone of its bands that are there.
fn packed(sample: Example) -> Example {
    let there: Vec<usize> = (0..sample.absent.len())
        .filter(|band| !sample.absent[*band])
        .collect();
    if there.len() == sample.absent.len() {
        return sample;
    }
    Example {
        image: sample.image.select(Axis(0), &there),
        ..sample
    }
}

/// Planes of all bands, 0 where absent, of those that are there.
pub(crate) fn spread(image: Array3<f32>, absent: &[bool]) -> Array3<f32> {
    let (planes, height, width) = image.dim();
    if planes == absent.len() {
        return image;
    }
    let mut all = Array3::zeros((absent.len(), height, width));
    let there = (all.outer_iter_mut().zip(absent)).filter(|(_, absent)| !**absent);
    for ((mut band, _), plane) in there.zip(image.outer_iter()) {
        band.assign(&plane);
    }
    all
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn unpacking_restores_all_bands() {
        let sample = Example {
            name: "s".to_owned(),
            image: array![[[0.0]], [[2.0]], [[0.0]], [[4.0]]],
            label: Array2::zeros((1, 1)),
            teacher: None,
            valid: Array2::from_elem((1, 1), true),
            absent: vec![true, false, true, false],
        };
        let small = packed(sample.clone());
        assert_eq!(small.image, array![[[2.0]], [[4.0]]]);
        assert_eq!(spread(small.image, &sample.absent), sample.image);
    }
}
