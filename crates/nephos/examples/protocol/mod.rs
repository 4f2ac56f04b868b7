//! How a benchmark program is driven, so that several can take turns.
//!
//! The program prepares, prints `{"ready":true}`, and then reads a request a line
//! from standard input; each is answered by one line of JSON on standard output:
//!
//! - `time`: does the work once and answers `{"seconds":…}`;
//! - `output PATH`: writes what the work gives as a safetensors file and answers
//!   `{"output":PATH}`.
//!
//! At the end of input the program ends. While it waits it uses no processor.
//! `bench/peers/contender.py` is the same for Python.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nephos::weights::{self, NamedTensor};
use serde_json::{Value, json};

/// What the driver asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Do the work once and say how long it took.
    Time,
    /// Write what the work gives.
    Output(PathBuf),
}

/// Prints one answer.
pub fn answer(value: &Value) {
    let mut out = std::io::stdout().lock();
    // A driver that has gone away needs no answer.
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// The next request; `None` at the end of input.
pub fn request() -> Option<Request> {
    let line = std::io::stdin().lock().lines().next()?.ok()?;
    match line.split_once(' ') {
        None if line == "time" => Some(Request::Time),
        Some(("output", path)) => Some(Request::Output(path.into())),
        _ => panic!("`{line}`: expected `time` or `output PATH`"),
    }
}

/// Says that the program is ready.
pub fn ready() {
    answer(&json!({ "ready": true }));
}

/// Answers requests until there are no more: `work` is timed, `tensors` gives what
/// is written.
#[allow(dead_code, reason = "one program has a loop of its own")]
pub fn serve<T>(mut work: impl FnMut() -> T, tensors: impl Fn(T) -> Vec<NamedTensor>) {
    serve_on(|| (), |()| work(), tensors);
}

/// As [`serve`], where the work takes an input for good; to make one is not timed.
#[allow(dead_code, reason = "few programs have such work")]
pub fn serve_on<I, T>(
    mut input: impl FnMut() -> I,
    mut work: impl FnMut(I) -> T,
    tensors: impl Fn(T) -> Vec<NamedTensor>,
) {
    ready();
    while let Some(request) = request() {
        match request {
            Request::Time => {
                let input = input();
                let start = Instant::now();
                let result = work(input);
                let seconds = start.elapsed().as_secs_f64();
                drop(result);
                answer(&json!({ "seconds": seconds }));
            }
            Request::Output(path) => {
                weights::write(&path, &tensors(work(input()))).expect("the output can be written");
                answer(&json!({ "output": path }));
            }
        }
    }
}

/// The tensor called `name` of a safetensors file.
///
/// # Errors
/// The file can't be read, or has no such tensor.
#[allow(dead_code, reason = "not every program reads tensors")]
pub fn tensor(path: &Path, name: &str) -> nephos::Result<(Vec<usize>, Vec<f32>)> {
    let tensors = weights::read(path)?;
    let found = tensors.into_iter().find(|(other, ..)| other == name);
    found
        .map(|(_, shape, values)| (shape, values))
        .ok_or_else(|| nephos::Error::usage(format!("{} has no `{name}`", path.display())))
}

/// The program's arguments, as many as `usage` names.
pub fn arguments<const N: usize>(usage: &str) -> [String; N] {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.try_into().unwrap_or_else(|_| {
        eprintln!("usage: {usage}\nrequests come on standard input: see bench/peers/run.py");
        std::process::exit(2)
    })
}
