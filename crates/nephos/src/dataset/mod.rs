//! Samples, splits and simulated data: what a model learns from.

mod example;
pub mod simulate;
pub mod split;

pub use example::{Dataset, Example};

/// Names of the splits, in the order in which they are counted everywhere; a split's
/// file is `NAME_split.pkl`.
pub const SPLIT_NAMES: [&str; 3] = ["train", "val", "test"];
