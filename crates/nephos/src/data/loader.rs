//! Batches read ahead of their use on a background thread.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Batch, DataSource, Dataset, Draw, Example};
use crate::error::{Error, Result};

/// The order in which an epoch draws `len` samples: a function of its arguments
/// alone, on every machine.
pub fn epoch_order(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        // u64 and not usize, so that 32-bit machines draw the same numbers.
        let other = rng.random_range(0..=last as u64) as usize;
        order.swap(last, other);
    }
    order
}

/// Reads batches of a [`Dataset`] in a given order. At most `ahead` batches wait
/// beside the one in use and the one being read, whatever the size of the data.
#[derive(Debug)]
pub struct Loader {
    batches: Option<Receiver<Result<Batch>>>,
    worker: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts to read samples `order` of `dataset`, `batch_size` at a time (the
    /// last batch may be smaller).
    ///
    /// # Errors
    /// The thread can't be started, or `batch_size` is 0.
    pub fn start(
        dataset: &Dataset,
        order: Vec<usize>,
        batch_size: usize,
        ahead: usize,
    ) -> Result<Self> {
        let (dataset, count) = (dataset.clone(), order.len());
        Self::spawn(0..count, batch_size, ahead, move |slot| {
            Ok(dataset.fit(dataset.get(order[slot])?))
        })
    }

    /// Starts to read the samples of epoch `epoch` of `source` from position `first` on;
    /// `draws` are all of the epoch's.
    ///
    /// # Errors
    /// As for [`Loader::start`].
    pub fn start_epoch(
        source: &Arc<DataSource>,
        epoch: u64,
        draws: Vec<Draw>,
        first: usize,
        batch_size: usize,
        ahead: usize,
    ) -> Result<Self> {
        let (source, count) = (source.clone(), draws.len());
        Self::spawn(first.min(count)..count, batch_size, ahead, move |slot| {
            source.get(draws[slot], epoch, slot)
        })
    }

    fn spawn(
        slots: Range<usize>,
        batch_size: usize,
        ahead: usize,
        read: impl Fn(usize) -> Result<Example> + Send + 'static,
    ) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::usage("`train.batch_size` must be at least 1"));
        }
        // No more capacity than there are batches.
        let (sender, batches) = sync_channel(ahead.min(slots.len()));
        let worker = std::thread::Builder::new()
            .name("nephos-loader".to_owned())
            .spawn(move || {
                for first in slots.clone().step_by(batch_size) {
                    let last = slots.end.min(first + batch_size);
                    let examples: Result<Vec<Example>> = (first..last).map(&read).collect();
                    let batch = examples.and_then(|examples| Batch::stack(&examples));
                    let failed = batch.is_err();
                    // A closed channel means that the loader was dropped.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                }
            })
            .map_err(|e| Error::unsupported("the loader's thread", e.to_string()))?;
        Ok(Self {
            batches: Some(batches),
            worker: Some(worker),
        })
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.batches.as_ref()?.recv() {
            Ok(batch) => Some(batch),
            Err(_) => {
                self.batches = None;
                if let Some(Err(panic)) = self.worker.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                None
            }
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Closing the channel first ends a worker that waits to send.
        self.batches = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ndarray::{Array2, Array3};

    use super::*;
    use crate::config::DataConfig;
    use crate::raster::DType;
    use crate::samples::SampleSource;

    /// 20 samples of one band whose pixels are the sample's number; counts reads.
    struct Numbered {
        reads: AtomicUsize,
        broken: Option<usize>,
    }

    impl SampleSource for Numbered {
        fn len(&self) -> usize {
            20
        }
        fn name(&self, index: usize) -> String {
            format!("n{index}")
        }
        fn shape(&self, _: usize) -> Result<[usize; 3]> {
            Ok([1, 4, 4])
        }
        fn dtype(&self, _: usize) -> Result<DType> {
            Ok(DType::F32)
        }
        fn channel_names(&self, _: usize) -> Result<Option<Vec<String>>> {
            Ok(Some(vec!["red".to_owned()]))
        }
        fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            if self.broken == Some(index) {
                return Err(Error::format(
                    "memory",
                    format!("sample n{index} is cut off"),
                ));
            }
            Ok(Array3::from_elem((channels.len(), 4, 4), index as f32))
        }
        fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
            let bytes = (index as f32).to_le_bytes().repeat(16);
            Ok((DType::F32, [1, 4, 4], bytes))
        }
        fn read_label(&self, _: usize) -> Result<Option<Array2<i64>>> {
            Ok(Some(Array2::zeros((4, 4))))
        }
    }

    fn dataset(broken: Option<usize>) -> (Arc<Numbered>, Dataset) {
        let source = Arc::new(Numbered {
            reads: AtomicUsize::new(0),
            broken,
        });
        let config = DataConfig {
            bands: vec!["red".to_owned()],
            scale: 1.0,
            ..DataConfig::default()
        };
        let dataset = Dataset::from_source(source.clone(), Path::new("memory"), &config).unwrap();
        (source, dataset)
    }

    #[test]
    fn the_order_is_a_permutation_that_changes_with_seed_and_epoch() {
        let order = epoch_order(20, 1, 0);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
        assert_eq!(order, epoch_order(20, 1, 0));
        assert_ne!(order, epoch_order(20, 1, 1));
        assert_ne!(order, epoch_order(20, 2, 0));
    }

    #[test]
    fn batches_come_in_order_and_the_last_is_smaller() {
        let (_, dataset) = dataset(None);
        let order = epoch_order(20, 7, 3);
        let loader = Loader::start(&dataset, order.clone(), 6, 2).unwrap();
        let batches: Vec<Batch> = loader.map(Result::unwrap).collect();
        let sizes: Vec<usize> = batches.iter().map(Batch::len).collect();
        assert_eq!(sizes, [6, 6, 6, 2]);
        let seen: Vec<usize> = batches
            .iter()
            .flat_map(|b| {
                b.images
                    .outer_iter()
                    .map(|i| i[[0, 0, 0]] as usize)
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(seen, order);
    }

    #[test]
    fn no_more_than_the_bound_is_read_ahead() {
        let (source, dataset) = dataset(None);
        let mut loader = Loader::start(&dataset, (0..20).collect(), 1, 2).unwrap();
        loader.next().unwrap().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        // One in use, two in the channel, one in the worker.
        assert!(source.reads.load(Ordering::SeqCst) <= 4);
        drop(loader);
    }

    #[test]
    fn errors_arrive_and_end_the_loader() {
        let (_, dataset) = dataset(Some(3));
        let mut loader = Loader::start(&dataset, (0..20).collect(), 2, 2).unwrap();
        assert!(loader.next().unwrap().is_ok());
        let error = loader.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("n3"), "{error}");
        assert!(loader.next().is_none());
    }
}
