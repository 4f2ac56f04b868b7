//! Integration tests of the library, one binary so that it links once.

mod containers;
mod pickle;
mod model;
mod parity;
mod parity_full;
mod tiny;
mod weights;
mod torch;
