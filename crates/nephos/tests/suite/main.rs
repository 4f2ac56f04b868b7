//! Integration tests of the library, one binary so that it links once.

mod pickle;
mod tiny;
mod weights;
mod containers;
mod model;
mod parity;
mod parity_full;
mod simulate;
mod torch;
