//! Containers of samples: pickles, NumPy archives, CloudSEN12+, rasters with labels, lists of
//! samples of others.
//!
//! Each is a [`SampleSource`], which has the shape of each sample and reads channels of one
//! sample on request; no container is held in memory.

mod array;
mod channels_last;
mod npz;
mod numpy;
mod open;
mod pairs;
pub mod pickle;
mod sample_list;
mod source;
mod subset_of;
mod table;
mod taco;

pub(crate) use numpy::Header as NpyHeader;
pub(crate) use open::open_as;
pub use open::{is_container, open};
pub use sample_list::{Part, SampleList};
pub use source::SampleSource;
pub(crate) use source::{check_sample, whole_numbers};
pub(crate) use subset_of::SubsetOf;
pub use table::Table;
pub use taco::TacoSource;
pub(crate) use taco::parquet_table;
