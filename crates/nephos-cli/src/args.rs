//! The command line as typed.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    augment, benchmark, config, demo, evaluate, explain, info, overlay, predict, pretrain,
    simulate, split, train, weights,
};

/// Cloud segmentation for satellite images: a Vision Transformer refined by a
/// Graph Attention Network.
#[derive(Debug, Parser)]
#[command(name = "nephos", version, propagate_version = true)]
pub struct Cli {
    /// Fewer messages: errors and results only
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// More messages (twice: everything)
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
    Config(config::Args),
    Predict(predict::Args),
    Overlay(overlay::Args),
    Explain(explain::Args),
    Weights(weights::Args),
    Info(info::Args),
}

impl Cli {
    /// What `args` say, the first of which is the program's name; ends the process where they
    /// are wrong or ask for help.
    pub fn of(args: impl IntoIterator<Item = OsString>) -> Self {
        let matches = with_negative_numbers(Self::command()).get_matches_from(args);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// A command all of whose options take a negative number for a value, not for an option, so
/// that one out of range is reported as such.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let takes_value = !arg.is_positional() && arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_value)
    });
    let names: Vec<String> = (command.get_subcommands())
        .map(|command| command.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, with_negative_numbers)
    })
}

/// Whether files that nephos wrote may be replaced.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Overwrite {
    /// Replace outputs that are there already, where nephos wrote them; nothing else is ever
    /// replaced
    #[arg(long)]
    pub overwrite: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_takes_a_negative_number() {
        let words = [
            "nephos", "predict", "a.tif", "--scale", "-1", "--nodata", "-9999", "--offset", "-1e3",
        ];
        let matches = with_negative_numbers(Cli::command()).try_get_matches_from(words);
        assert!(matches.is_ok(), "{matches:?}");
        let window = ["nephos", "predict", "a.tif", "--window", "-3"];
        let error = with_negative_numbers(Cli::command())
            .try_get_matches_from(window)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("invalid value '-3' for '--window"),
            "{error}"
        );
        Cli::command().debug_assert();
    }
}
