//! Resources outside the repository, where available: Python with a
//! module, and real images.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Reports that a test, or a part of it, does not run for want of `what` (`python`, `torch` or
/// `images`); a failure where `NEPHOS_REQUIRE` names it, separated by commas. Straight to
/// standard error: the harness would keep what `println!` says of a test that passes.
pub fn skipped(what: &str, reason: &str) {
    let required = std::env::var("NEPHOS_REQUIRE").unwrap_or_default();
    let required = required.split(',').any(|entry| entry.trim() == what);
    assert!(!required, "{reason}; NEPHOS_REQUIRE asks for {what}");
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
    let what = match modules.contains("torch") {
        true => "torch",
        false => "python",
    };
    let reason = format!("{name} can't import {modules}; NEPHOS_PYTHON names the interpreter");
    skipped(what, &reason);
    None
}

/// What a command prints; it must succeed.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder of the real images beside the repository.
pub fn images(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    skipped("images", &format!("no real images at {}", folder.display()));
    None
}
