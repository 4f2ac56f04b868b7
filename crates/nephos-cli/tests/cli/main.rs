//! Tests of the command line as a user types it.

mod explain;
mod info;
mod pictures;
mod scenes;
mod simulate;
mod tiny;
mod train;
mod usage;
mod weights;
