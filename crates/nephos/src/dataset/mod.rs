//! Samples, splits and simulated data: what a model learns from.

mod example;

pub use example::{Dataset, Example};
