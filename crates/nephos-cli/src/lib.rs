//! The command line of nephos: `nephos`, and the same in the Python wheel.

mod args;
mod commands;
mod decision_args;
mod device;
mod model_args;
mod options;
mod scene_args;
mod subject;
mod threads;
mod ui;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::ui::Ui;

/// Runs the command line `args`, whose first is the program's name, in this process: it starts the
/// threads and the log of the whole process, and may be called once. Ends the process where `args`
/// are wrong or ask for help.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::of(args);
    let ui = Ui::new(cli.quiet);
    start_log(&cli, &ui);
    let result = start_threads(&cli.command).and_then(|()| dispatch(cli.command, &ui));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Later lines are indented: no text from a file can look like a message.
            let text = ui::in_words(&error).replace('\n', "\n  ");
            ui.message(&format!("error: {text}"));
            ExitCode::FAILURE
        }
    }
}

/// Starts the threads of the whole process, before anything needs them.
fn start_threads(command: &Command) -> anyhow::Result<()> {
    let threads = match command {
        Command::Predict(args) => args.threads(),
        _ => None,
    };
    threads::start(threads)
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
        Command::Config(args) => commands::config::run(args, ui),
        Command::Predict(args) => commands::predict::run(args, ui),
        Command::Overlay(args) => commands::overlay::run(args, ui),
        Command::Explain(args) => commands::explain::run(args, ui),
        Command::Weights(args) => commands::weights::run(args, ui),
        Command::Info(args) => commands::info::run(args, ui),
    }
}

/// Log messages go to standard error, above the progress bars.
fn start_log(cli: &Cli, ui: &Ui) {
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let default = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (_, 0) => "warn,nephos=info",
        (_, 1) => "info,nephos=debug",
        _ => "debug",
    };
    let parsed = |levels: &str| levels.parse::<Targets>().ok();
    let given = std::env::var("RUST_LOG").ok();
    let levels = (given.as_deref().and_then(parsed)).or_else(|| parsed(default));
    // https://no-color.org
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let bars = ui.bars().clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal() && !no_colour)
        .without_time()
        .with_target(false)
        .fmt_fields(log_fields())
        .with_writer(move || ui::LogWriter::new(bars.clone()))
        .with_filter(levels.unwrap_or_default());
    tracing_subscriber::registry().with(layer).init();
}

/// Writes the fields of a log message on one line, without control characters.
fn log_fields() -> impl for<'a> tracing_subscriber::fmt::FormatFields<'a> + 'static {
    use tracing_subscriber::field::MakeExt;
    tracing_subscriber::fmt::format::debug_fn(|writer, field, value| {
        let text = format!("{value:?}");
        let text = options::in_words_of_the_command_line(&text);
        let text = nephos::text::one_line(&text);
        match field.name() {
            "message" => write!(writer, "{text}"),
            name => write!(writer, "{name}={text}"),
        }
    })
    .delimited(" ")
}
