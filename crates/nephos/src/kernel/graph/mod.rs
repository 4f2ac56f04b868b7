//! Graph attention without its `N × N` matrix.

#[cfg(feature = "cube")]
mod attend;
#[cfg(feature = "cube")]
mod cube;
mod layer;

#[cfg(feature = "cube")]
pub use attend::{GraphOps, attend};
pub(crate) use layer::{Attention, layer};
