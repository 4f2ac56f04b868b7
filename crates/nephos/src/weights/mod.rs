//! Weights in files: the bundles of nephos, and exchange with PyTorch.
//!
//! Outside the network weights have one form, that of the published model's
//! PyTorch `state_dict`: its names (`weights/names.rs`), and linear layers as
//! `[outputs, inputs]`. A bundle therefore opens in Python as a state dict.

mod baseline_names;
mod bundle;
pub mod exchange;
mod identity;
mod memory;
pub(crate) mod names;
mod parameters;
pub(crate) mod safetensors;
mod shipped;
mod tensors;
pub mod torch;
mod vit;

pub use bundle::{Bundle, Summary};
pub use identity::Identity;
pub(crate) use identity::fingerprint;
pub(crate) use identity::hex;
pub use shipped::{Bytes, Shipped, TINY};
pub use tensors::{read, write};
pub use vit::{Transfer, initial};

pub(crate) use memory::check_network;
pub use parameters::{Parameter, Parameters};
pub use torch::NamedTensor;
