//! Integration tests of the library, one binary so that it links once.

mod containers;
mod pickle;
mod simulate;
mod torch;
