//! The command `nephos`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nephos_cli::run(std::env::args_os())
}
