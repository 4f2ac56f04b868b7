//! Whether a training can fit the machine at all.

use crate::config::Config;
use crate::data::Dataset;
use crate::error::Result;
use crate::memory;
use crate::weights::check_network;

/// Bytes of a number.
const NUMBER: u128 = 4;

/// Batches beside those read ahead: one that is read and one in use.
const AT_WORK: usize = 2;

/// Refuses what can't fit: batches read ahead, or a network, that alone
/// take more than the machine's memory. What fits this may still be too much, since activations
/// are not counted.
///
/// # Errors
/// The bytes, and the keys that determine them.
pub(super) fn check(config: &Config, train: &Dataset) -> Result<()> {
    check_network(&config.model, config.channels())?;
    let settings = &config.train;
    let keys = format!(
        "train.batch_size = {} and train.prefetch = {}",
        settings.batch_size, settings.prefetch
    );
    memory::check_memory(&keys, "batches of these samples", batches(config, train)?)
}

/// Bytes of the batches that are in memory at once.
fn batches(config: &Config, train: &Dataset) -> Result<u128> {
    let data = &config.data;
    let [height, width] = match data.augment.crop.or(data.size) {
        Some(side) => [side; 2],
        None => train.size_of(0)?,
    };
    let samples = data.sampling.epoch.unwrap_or(train.len()).max(1);
    let size = config.train.batch_size.min(samples);
    let waiting = (config.train.prefetch + AT_WORK).min(samples.div_ceil(size));
    let numbers = [size, waiting, config.channels(), height, width];
    Ok(numbers.iter().map(|n| *n as u128).product::<u128>() * NUMBER)
}
