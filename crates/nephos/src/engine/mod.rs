//! The graph transformer on a CPU, without tensors; its arithmetic is that of `nephos-kernel`.
//!
//! [`Parameters`](crate::weights::Parameters) are the weights by name. [`Engine`] packs them for inference, [`CpuLearner`]
//! trains them, layer by layer in the `training` module; [`CpuNetwork`] is what predictions
//! call. Tests hold them to PyTorch's golden tensors, and to the network in `nephos-burn`.

mod apart;
mod conv;
mod cost;
mod decoder;
mod embed;
mod encoder;
mod explain;
mod graph;
mod learner;
mod linear;
mod network;
mod packed;
mod position;
mod pyramid;
mod stem;
mod training;
mod weights;

pub use cost::multiplications;
pub use learner::{CpuLearner, layer_share};
pub use network::CpuNetwork;
#[doc(hidden)]
pub use network::check_affinity_nodes;
pub use packed::{Engine, Scratch, Stage};
pub use position::sincos;
pub use stem::{GAIN, SHIFT};
pub use weights::Weights;
