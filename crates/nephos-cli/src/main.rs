//! The command line of nephos.

mod args;
mod commands;
mod model_args;
mod scene_args;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::ui::Ui;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = Ui::new(cli.quiet);
    start_log(&cli, &ui);
    let result = dispatch(cli.command, &ui);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; `demo` calls it for each of its own.
fn dispatch(command: Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => commands::demo::run(args, ui),
        Command::Simulate(args) => commands::simulate::run(args, ui),
        Command::Split(args) => commands::split::run(args, ui),
        Command::Augment(args) => commands::augment::run(args, ui),
        Command::Pretrain(args) => commands::pretrain::run(*args, ui),
        Command::Train(args) => commands::train::run(*args, ui),
        Command::Evaluate(args) => commands::evaluate::run(args, ui),
        Command::Benchmark(args) => commands::benchmark::run(*args, ui),
        Command::Predict(args) => commands::predict::run(args, ui),
        Command::Overlay(args) => commands::overlay::run(args, ui),
        Command::Explain(args) => commands::explain::run(args, ui),
        Command::Weights(args) => commands::weights::run(args, ui),
        Command::Info(args) => commands::info::run(args, ui),
    }
}

/// Log messages go to standard error, above the progress bars.
fn start_log(cli: &Cli, ui: &Ui) {
    use tracing_subscriber::EnvFilter;
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (_, 0) => "warn,nephos=info",
        (_, 1) => "info,nephos=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let bars = ui.bars().clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .without_time()
        .with_target(false)
        .with_writer(move || ui::LogWriter::new(bars.clone()))
        .init();
}
