//! Which reader a path gets.

use std::path::Path;

use super::SampleSource;
use super::pickle::PickleSource;
use crate::error::Result;

/// Opens a container of samples, chosen by what the file holds and, where that
/// does not tell, by the name's extension.
///
/// # Errors
/// The path is not there, or its format is unknown or broken.
pub fn open(path: &Path) -> Result<Box<dyn SampleSource>> {
    Ok(Box::new(PickleSource::open(path)?))
}
