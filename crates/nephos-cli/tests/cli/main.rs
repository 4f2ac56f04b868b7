//! Tests of the command line as a user types it.

mod augment;
mod benchmark;
mod cloudsen12;
mod configs;
mod decision;
mod explain;
mod info;
mod inputs;
mod outputs;
mod page;
mod pictures;
mod pretrain;
mod radiometry;
mod scenes;
mod scoring;
mod shipped;
mod simulate;
mod subsets;
mod tiny;
mod train;
mod training_data;
mod usage;
mod weights;
