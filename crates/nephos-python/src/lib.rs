//! nephos in Python: conversion and delegation only. `python/nephos` has the functions that users
//! call, and what they say of them.

mod array;
mod error;
mod evaluate;
mod files;
mod model;
mod part;
mod predict;
mod threads;
mod train;
mod words;

use std::ffi::OsString;

use pyo3::prelude::*;

/// The native part of nephos.
#[pymodule]
mod _nephos {
    #[pymodule_export]
    use super::evaluate::{evaluate, summary};
    #[pymodule_export]
    use super::files::predict_file;
    #[pymodule_export]
    use super::main;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::part::{needed, predict_part};
    #[pymodule_export]
    use super::predict::predict;
    #[pymodule_export]
    use super::train::train;
    #[pymodule_export]
    use super::words::common_names;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}

/// Runs the command line `args`, whose first is the program's name; returns the exit status.
#[pyfunction]
fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    let success = std::process::ExitCode::SUCCESS;
    let status = py.detach(|| nephos_cli::run(args));
    u8::from(status != success)
}
