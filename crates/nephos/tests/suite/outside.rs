//! What tests use from outside the repository, where it is there: Python with a
//! module, and real images.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says that a test, or a part of it, does not run. Straight to standard error:
/// the harness would keep what `println!` says of a test that passes.
pub fn skipped(reason: &str) {
    let line = format!("SKIPPED: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// An interpreter that can import `modules`: `NEPHOS_PYTHON`, else `python3`.
pub fn python(modules: &str) -> Option<Command> {
    let name = std::env::var("NEPHOS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&name)
        .args(["-c", &format!("import {modules}")])
        .output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(Command::new(name));
    }
    skipped(&format!(
        "{name} can't import {modules}; NEPHOS_PYTHON names the interpreter"
    ));
    None
}

/// What a command prints; it must succeed.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder of the real images that lie beside the repository.
pub fn images(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    skipped(&format!("no real images at {}", folder.display()));
    None
}
