//! Integration tests of the library, one binary so that it links once.

mod pickle;
mod tiny;
mod weights;
