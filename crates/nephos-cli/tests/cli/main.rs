//! Tests of the command line as a user types it.

mod train;
mod explain;
mod weights;
mod info;
mod simulate;
