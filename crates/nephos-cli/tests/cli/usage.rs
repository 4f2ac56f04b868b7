//! Help, and errors of usage.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

const VERBS: [&str; 10] = [
    "demo", "simulate", "split", "train", "evaluate", "predict", "overlay", "explain", "weights",
    "info",
];

fn nephos(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nephos"));
    command.args(words);
    command
}

#[test]
fn every_subcommand_is_listed_and_has_an_example() {
    let listed = VERBS.iter().fold(predicate::always().boxed(), |all, verb| {
        all.and(contains(format!("\n  {verb} "))).boxed()
    });
    nephos(&["--help"]).assert().success().stdout(listed);
    for verb in VERBS {
        nephos(&[verb, "--help"])
            .assert()
            .success()
            .stdout(contains("Example").and(contains(format!("nephos {verb}"))));
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for words in [
        ["info", "no/such.pkl"].as_slice(),
        &["train", "--config", "no/such.pkl"],
        &["evaluate", "no/such.pkl", "--model", "no/such.pkl"],
        &[
            "predict",
            "no/such.pkl",
            "--model",
            "no/such.pkl",
            "--out",
            "x.tif",
        ],
    ] {
        nephos(words)
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains("error: ").and(contains("no/such.pkl")));
    }
}

#[test]
fn a_device_that_was_not_built_in_names_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    std::fs::write(&config, "[data]\ntrain = 'x.pkl'\n").unwrap();
    let mut command = nephos(&["train", "--device", "cuda:0", "--config"]);
    let outcome = command.arg(&config).assert().failure();
    if cfg!(not(feature = "cuda")) {
        outcome.stderr(contains("--features cuda"));
    }
}

#[test]
fn an_unknown_key_names_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    std::fs::write(&config, "[train]\nepoch = 3\n").unwrap();
    nephos(&["train", "--config"])
        .arg(&config)
        .assert()
        .code(1)
        .stderr(contains("c.toml").and(contains("epoch")));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    use std::process::Stdio;
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../nephos/tests/parity/pickle/numpy2_single_p4.pkl");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_nephos"))
        .arg("info")
        .arg(sample)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
}
