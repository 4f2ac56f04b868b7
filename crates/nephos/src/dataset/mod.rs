//! Samples, splits and simulated data: what a model learns from.

mod batch;
mod example;
mod holdout;
mod loader;

pub use batch::Batch;
pub use example::{Dataset, Example};
pub use holdout::{Subset, open_training};
pub use loader::{Loader, epoch_order};
