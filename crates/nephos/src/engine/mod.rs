//! The graph transformer on a CPU, without tensors; its arithmetic is that of `nephos-kernel`.
//!
//! [`Parameters`](crate::weights::Parameters) are the weights by name. The layers are those of `layers`, each with a forward
//! pass that inference and training share and a backward pass. [`Engine`] packs their weights for
//! inference, [`CpuLearner`] trains them; [`CpuNetwork`] is what predictions call. Tests hold them
//! to PyTorch's golden tensors, and to the network in `nephos-burn`.

mod cost;
mod decoder;
mod embed;
mod encoder;
mod explain;
mod gradients;
mod graph;
mod inference;
mod layers;
mod learner;
mod network;
#[cfg(test)]
mod parity;
mod per_image;
mod position;
mod shape;
mod stem;
mod weights;

pub use cost::multiplications;
pub use inference::{Engine, Scratch};
pub use learner::{CpuLearner, layer_share};
pub use nephos_kernel::stage::Stage;
pub use network::CpuNetwork;
#[doc(hidden)]
pub use network::check_affinity_nodes;
pub use position::sincos;
pub use stem::{GAIN, SHIFT};
pub use weights::Weights;
