//! The arithmetic of nephos on a CPU.
//!
//! Plain functions on slices of `f32`, each in a file with a readable reference
//! that its tests hold it to. Nothing here depends on networks, files or
//! configuration. Shapes are the caller's to keep: a wrong one is a panic, and
//! every function says which shapes it takes. Results do not depend on the
//! number of threads.
//!
//! The crate is compiled without overflow checks, which its hot loops cannot
//! afford; sizes are checked where they come in.

#![deny(missing_docs)]
#![deny(clippy::undocumented_unsafe_blocks)]

mod activation;
pub mod adam;
pub mod attention;
pub mod conv;
pub mod conv_blocks;
pub mod depthwise;
pub mod dropout;
pub mod encoder;
mod exponential;
pub mod format;
pub mod gemm;
pub mod graph;
pub mod interpolate;
mod lanes;
pub mod linear;
pub mod logarithm;
pub mod loss;
pub mod norm;
pub mod patches;
pub mod pool;
pub mod reach;
pub mod scratch;
mod shared;
mod sizes;
pub mod stage;
pub mod token_conv;
mod versions;
