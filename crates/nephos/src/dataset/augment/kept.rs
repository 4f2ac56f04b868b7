//! Samples kept as they were read: a small data set is read from its files once, not in
//! every epoch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dataset::{Dataset, Example};
use crate::error::Result;

/// Bytes of images that are kept at most.
const ROOM: usize = 256 << 20;

/// The samples of one data set that were read first.
#[derive(Clone, Default)]
pub(super) struct Kept {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    samples: HashMap<usize, Arc<Example>>,
    bytes: usize,
}

impl Kept {
    /// Sample `index` of `dataset`, which is the same in every call.
    ///
    /// # Errors
    /// As for [`Dataset::get`].
    pub fn read(&self, dataset: &Dataset, index: usize) -> Result<Example> {
        // What a thread that panicked has left is whole: nothing is changed in place.
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = lock().samples.get(&index).cloned() {
            return Ok(Example::clone(&sample));
        }
        let sample = dataset.labelled_bands(index)?;
        let bytes = size_of_val(sample.image.as_slice().unwrap_or_default());
        let mut state = lock();
        if state.bytes + bytes <= ROOM {
            state.bytes += bytes;
            state.samples.insert(index, Arc::new(sample.clone()));
        }
        Ok(sample)
    }
}
