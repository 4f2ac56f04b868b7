//! The network and its weights.
//!
//! [`Segmenter`] is whichever network a configuration names. Read [`GraphTransformer`]
//! first: it is the whole forward pass of the network of nephos. Its parts stand in the
//! order of the data: stem, patch embedding, position, encoder, affinity, graph
//! attention, decoder.

mod affinity;
mod attention;
mod baseline;
mod compute;
mod cost;
pub mod cpu;
mod decoder;
mod encoder;
mod graph;
mod graph_transformer;
mod interpolate;
mod memory;
mod module_path;
mod pad;
mod patch_embed;
mod position;
mod residual;
mod segmenter;
mod stem;
mod upsample;
pub mod weights;

pub use affinity::{affinity, unit};
pub use baseline::Baseline;
pub use compute::Compute;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use graph::{Graph, GraphAttention, Watch};
pub use graph_transformer::{Explanation, GraphTransformer};
pub(crate) use memory::check_network;
pub(crate) use module_path::{ModulePath, keep_path};
pub use patch_embed::PatchEmbed;
pub use segmenter::Segmenter;
pub use weights::{Bundle, Summary};
