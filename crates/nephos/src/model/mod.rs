//! The network and its weights.
//!
//! Read [`Segmenter`] first: it is the whole forward pass. Its parts stand in the
//! order of the data: stem, patch embedding, position, encoder, affinity, graph
//! attention, decoder.

mod affinity;
mod attention;
mod compute;
pub mod cpu;
mod decoder;
mod encoder;
mod graph;
mod interpolate;
mod patch_embed;
mod position;
mod residual;
mod segmenter;
mod stem;
mod upsample;
pub mod weights;

pub use affinity::{affinity, cosine_affinity, unit};
pub use compute::Compute;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use graph::{Graph, GraphAttention, Watch};
pub use patch_embed::PatchEmbed;
pub use segmenter::{Explanation, Segmenter};
pub use weights::{Bundle, Summary};
