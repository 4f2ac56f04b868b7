//! Graph attention without its `N × N` matrix.

#[cfg(feature = "cube")]
mod attend;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod layer;

#[cfg(feature = "cube")]
pub use attend::{GraphOps, attend};
#[cfg(feature = "flex")]
pub(crate) use layer::{Attention, layer};
