//! Tests of the command line as a user types it.

mod train;
mod explain;
mod pictures;
mod weights;
mod info;
mod simulate;
