//! Integration tests of the library, one binary so that it links once.

mod cog;
mod containers;
mod dataset;
mod masks;
mod model;
mod outside;
mod parity;
mod parity_full;
mod pickle;
mod predictions;
mod products;
mod simulate;
mod tiny;
mod torch;
mod weights;
