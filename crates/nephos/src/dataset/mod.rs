//! Samples, splits and simulated data: what a model learns from.

mod annotation;
pub mod augment;
mod batch;
mod empty;
mod example;
mod feed;
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
mod undrawn;
mod unlabelled;

pub(crate) use annotation::label_table;
pub use batch::Batch;
pub(crate) use batch::{image_tensor, label_tensor};
pub use example::{Dataset, Example};
pub use feed::Feed;
pub use holdout::{Subset, open_filtered, open_training};
pub use inputs::Inputs;
pub use loader::{Loader, epoch_order};
pub use mix::Part;
pub(crate) use mix::{listed_names, open_mix};
pub use sampler::{Sampler, Visit};
pub(crate) use undrawn::{hidden, leave_open};
pub use unlabelled::open_unlabelled;

/// Names of the splits, in the order in which they are counted everywhere; a split's
/// file is `NAME_split.pkl`.
pub const SPLIT_NAMES: [&str; 3] = ["train", "val", "test"];
