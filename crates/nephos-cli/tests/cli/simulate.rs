//! `nephos simulate` and `nephos split`.

use assert_cmd::Command;
use predicates::str::contains;

fn nephos() -> Command {
    Command::cargo_bin("nephos").unwrap()
}

#[test]
fn simulated_samples_can_be_split() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let small = ["--size", "48", "--pixel-size", "80"];
    nephos()
        .args([
            "simulate",
            "--train",
            "8",
            "--val",
            "1",
            "--test",
            "0",
            "--images-per-roi",
            "2",
        ])
        .args(small)
        .arg("--out")
        .arg(&data)
        .assert()
        .success()
        .stdout(contains("data"));
    assert!(!data.join("test_split.pkl").exists());
    let split = |more: &[&str], out: &str| {
        let mut command = nephos();
        command
            .arg("split")
            .arg(data.join("train_split.pkl"))
            .arg("--metadata")
            .arg(data.join("metadata.csv"))
            .args(["--where", "split=train"])
            .arg("--out")
            .arg(folder.path().join(out))
            .args(more);
        command.assert()
    };
    let counts = ["--train", "5", "--val", "2", "--test", "1"];
    split(&counts, "a")
        .success()
        .stdout(contains("train          5"))
        .stderr(contains("--group-by"));
    let silent = [&counts[..], &["--allow-leakage"]].concat();
    let quiet = split(&silent, "b").success();
    assert!(quiet.get_output().stderr.is_empty());
    for file in [
        "train_split.pkl",
        "val_split.pkl",
        "test_split.pkl",
        "split.json",
    ] {
        let read = |run: &str| std::fs::read(folder.path().join(run).join(file)).unwrap();
        assert!(read("a") == read("b"), "{file} differs");
    }
    let grouped = [&counts[..], &["--group-by", "roi_id"]].concat();
    split(&grouped, "c")
        .failure()
        .stderr(contains("in 4 groups"));
    assert!(!folder.path().join("c").exists());
    split(
        &[
            "--train",
            "4",
            "--val",
            "2",
            "--test",
            "2",
            "--group-by",
            "roi_id",
        ],
        "c",
    )
    .success();
    split(&["--train", "99", "--val", "2", "--test", "2"], "d")
        .failure()
        .stderr(contains("103 samples were asked for"));
}

#[test]
fn a_preview_is_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.png");
    nephos()
        .args([
            "simulate",
            "--size",
            "40",
            "--preview-count",
            "3",
            "--preview",
        ])
        .arg(&path)
        .assert()
        .success();
    assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn what_can_not_be_simulated_is_said() {
    nephos()
        .args(["simulate"])
        .assert()
        .failure()
        .stderr(contains("--out"));
    nephos()
        .args(["simulate", "--size", "8", "--preview", "p.png"])
        .assert()
        .failure()
        .stderr(contains("32 to 10980 pixels a side, not 8"));
}
