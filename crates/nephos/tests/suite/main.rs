//! Integration tests of the library, one binary so that it links once.

mod containers;
mod model;
mod parity;
mod parity_full;
mod pickle;
mod simulate;
mod tiny;
mod torch;
mod weights;
