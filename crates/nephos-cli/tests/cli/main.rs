//! Tests of the command line as a user types it.

mod augment;
mod benchmark;
mod cloudsen12;
mod explain;
mod info;
mod pictures;
mod pretrain;
mod scenes;
mod shipped;
mod simulate;
mod subsets;
mod tiny;
mod train;
mod usage;
mod weights;
