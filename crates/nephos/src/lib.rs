#![doc = "Cloud segmentation for satellite images: see the [repository](https://crates.io/crates/nephos) for a tour."]
#![deny(missing_docs)]
#![deny(rustdoc::broken_intra_doc_links)]

pub mod band;
pub mod class;
pub mod config;
pub mod dataset;
pub mod device;
pub mod error;
pub mod mask;
pub mod model;
pub mod output;
pub mod predict;
pub mod report;
pub mod scene;
pub mod train;

pub use error::{Error, Result};
