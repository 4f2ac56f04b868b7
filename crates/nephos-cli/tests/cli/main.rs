//! Tests of the command line as a user types it.

mod train;
mod weights;
mod simulate;
mod info;
