//! The command line as typed.

use clap::{Parser, Subcommand};

use crate::commands::{
    augment, benchmark, demo, evaluate, explain, info, overlay, predict, pretrain, simulate, split,
    train, weights,
};

/// Cloud segmentation for satellite images: a Vision Transformer refined by a
/// Graph Attention Network.
#[derive(Debug, Parser)]
#[command(name = "nephos", version, propagate_version = true)]
pub struct Cli {
    /// Say less: errors and results only
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Say more (twice: everything)
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Args),
    Simulate(simulate::Args),
    Split(split::Args),
    Augment(augment::Args),
    Pretrain(Box<pretrain::Args>),
    Train(Box<train::Args>),
    Evaluate(evaluate::Args),
    Benchmark(Box<benchmark::Args>),
    Predict(predict::Args),
    Overlay(overlay::Args),
    Explain(explain::Args),
    Weights(weights::Args),
    Info(info::Args),
}
