//! The network of nephos as Burn modules, and the three baselines it is compared with.
//!
//! Its arithmetic is written once, as plain tensor operations that every device of Burn
//! computes, forward and backward; on a GPU graph attention without dropout has kernels of its
//! own (`gpu`, in CubeCL). On a CPU nephos computes its own network by
//! [`nephos::engine`], which is the faster form of the same; there this crate adds the baselines
//! ([`ModelKind`](nephos::config::ModelKind)). Tests hold the two forms to each other.
//!
//! [`Burn`] is what a program gives to [`nephos::device::select`]:
//!
//! ```
//! let device = nephos::device::select("auto", &[&nephos_burn::Burn])?;
//! # Ok::<(), nephos::Error>(())
//! ```
//!
//! To read the network, begin with [`GraphTransformer`]: it is the whole forward pass. Its parts
//! are in the order of the data: stem, patch embedding, position, encoder, affinity, graph
//! attention, decoder. [`Segmenter`] is whichever network a configuration names.

#![deny(missing_docs)]
#![deny(rustdoc::broken_intra_doc_links)]

mod affinity;
mod arrays;
mod attention;
mod backend;
mod baseline;
mod compute;
mod cost;
mod decoder;
mod device;
mod encoder;
#[cfg(feature = "cube")]
pub mod gpu;
mod graph;
mod graph_transformer;
mod interpolate;
mod learner;
mod loss;
mod module_path;
mod network;
mod optimizer;
mod pad;
mod patch_embed;
mod position;
mod residual;
mod segmenter;
mod stem;
pub mod tensors;
mod upsample;

pub use backend::{Burn, BurnBackend};
pub use baseline::Baseline;
pub use device::of_kind as devices;
pub use graph_transformer::GraphTransformer;
pub use learner::BurnLearner;
pub use loss::Loss;
pub use network::BurnNetwork;
pub use optimizer::Optimizer;
pub use segmenter::Segmenter;
