//! `nephos simulate` and `nephos split`.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
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
        .stderr(contains("103 samples were requested"));
}

/// The table that `simulate` writes is of three files: the rows of the one at hand are taken.
#[test]
fn the_simulators_table_fits_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str| {
        let mut command = nephos();
        command
            .current_dir(folder.path())
            .args(arguments.split_whitespace());
        command.assert()
    };
    run("simulate --out data --train 6 --val 4 --test 1 --size 40 --pixel-size 80").success();
    let split = "--metadata data/metadata.csv --train 2 --val 1 --test 1 --group-by roi_id";
    for name in ["train", "val"] {
        run(&format!("split data/{name}_split.pkl {split} --out {name}"))
            .success()
            .stderr(contains(format!("the rows of split {name} were taken")));
    }
    // As chosen by hand.
    run(&format!(
        "split data/train_split.pkl {split} --where split=train --out hand"
    ))
    .success()
    .stderr("");
    let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
    assert!(read("train/train_split.pkl") == read("hand/train_split.pkl"));
    // Under another name it is ambiguous.
    std::fs::rename(
        folder.path().join("data/train_split.pkl"),
        folder.path().join("data/all.pkl"),
    )
    .unwrap();
    run(&format!("split data/all.pkl {split} --out other"))
        .failure()
        .stderr(contains("same sample").and(contains("--where split=train")));
}

#[test]
fn more_samples_than_can_be_counted_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str| {
        let mut command = nephos();
        command
            .current_dir(folder.path())
            .args(arguments.split_whitespace());
        command.assert()
    };
    run("simulate --out data --train 2 --val 0 --test 0 --size 40").success();
    run("split data/train_split.pkl --out s --train 18446744073709551615 --val 1 --test 0")
        .failure()
        .code(1)
        .stderr(contains("were requested, but data/train_split.pkl has 2"));
    run("split data/train_split.pkl --out s --train 1 --val 1 --test 0")
        .success()
        .stdout(contains(" 1 class ").and(contains("2 classes")));
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
fn impossible_simulations_are_errors() {
    nephos()
        .args(["simulate"])
        .assert()
        .failure()
        .stderr(contains("--out"));
    nephos()
        .args(["simulate", "--size", "8", "--preview", "p.png"])
        .assert()
        .failure()
        .stderr(contains("32 to 10980 pixels per side, not 8"));
}

#[test]
fn simulated_skies_go_over_real_images_that_are_clear() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let clear = data.join("sentinel2_l1c_clear");
    if !clear.is_dir() {
        eprintln!("SKIPPED: there is no ../shared/data/sentinel2_l1c_clear");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let over = |ground: &Path, out: &str, more: &[&str]| {
        nephos()
            .args(["simulate", "--train", "3", "--val", "1", "--test", "0"])
            .arg("--ground")
            .arg(ground)
            .arg("--out")
            .arg(folder.path().join(out))
            .args(more)
            .assert()
    };
    over(&clear, "seven", &[])
        .success()
        .stderr(contains("31 images serve as ground"));
    let images = |out: &str| {
        std::fs::read_dir(folder.path().join(out).join("train/image"))
            .unwrap()
            .count()
    };
    assert_eq!(images("seven"), 3);
    let catalogue = data.join("sentinel2_cloud_catalogue");
    over(&catalogue, "rgb", &[])
        .failure()
        .stderr(contains("--pixel-size"));
    over(&catalogue, "rgb", &["--pixel-size", "45"])
        .success()
        .stderr(contains("86 images serve as ground; 256 have cloud"));
    assert_eq!(images("rgb"), 3);
    // Options of simulated land are refused there.
    over(&clear, "none", &["--realistic"])
        .failure()
        .stderr(contains("cannot be used with"));
}

#[test]
fn realistic_images_and_pictures_of_eight_bits_are_optional() {
    let folder = tempfile::tempdir().unwrap();
    let run = |share: &str| {
        nephos()
            .args(["simulate", "--train", "2", "--val", "0", "--test", "0"])
            .args(["--size", "32", "--realistic", "--eight-bit", share, "--out"])
            .arg(folder.path().join("data"))
            .arg("--overwrite")
            .assert()
    };
    run("0.5").success();
    assert!(folder.path().join("data/train_split.pkl").exists());
    run("2").failure().stderr(contains("0..=1, not 2"));
}
