//! Samples, splits and simulated data for training and evaluation.

mod annotation;
pub mod augment;
mod batch;
mod data_source;
mod empty;
mod example;
mod gaps;
mod holdout;
mod inputs;
mod loader;
mod mix;
mod reading;
mod sampler;
mod scene;
pub mod simulate;
pub mod split;
mod teacher;
mod unannotated;
mod unlabelled;

pub(crate) use annotation::label_table;
pub use batch::Batch;
pub use data_source::DataSource;
pub use example::{Dataset, Example};
pub use holdout::{Subset, open_filtered, open_training};
pub use inputs::Inputs;
pub use loader::Loader;
pub(crate) use loader::epoch_order;
pub use mix::Part;
pub(crate) use mix::{listed_names, open_mix};
pub use sampler::Draw;
pub(crate) use sampler::Sampler;
pub(crate) use unannotated::{possible_classes, set_possible_classes};
pub use unlabelled::open_unlabelled;

/// Names of the splits, in the order in which they are counted everywhere; a split's
/// file is `NAME_split.pkl`.
pub const SPLIT_NAMES: [&str; 3] = ["train", "val", "test"];
