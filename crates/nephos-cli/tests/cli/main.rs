//! Tests of the command line as a user types it.

mod info;
mod simulate;
mod train;
mod weights;
