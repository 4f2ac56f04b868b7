//! One file per subcommand: its arguments and what it does.

pub mod augment;
pub mod benchmark;
pub mod config;
pub mod demo;
pub mod evaluate;
pub mod explain;
pub mod info;
pub mod overlay;
pub mod predict;
pub mod pretrain;
pub mod simulate;
pub mod split;
pub mod train;
mod train_progress;
pub mod weights;
