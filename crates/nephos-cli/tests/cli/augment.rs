//! `nephos augment`: a picture of every augmentation.

use assert_cmd::Command;
use predicates::str::contains;

fn nephos(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::cargo_bin("nephos").unwrap();
    command.current_dir(folder.path());
    command
}

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/augment.toml");
    std::fs::copy(config, folder.path().join("augment.toml")).unwrap();
    nephos(&folder)
        .args("simulate --train 4 --val 0 --test 0 --size 64 --pixel-size 80 --out .".split(' '))
        .assert()
        .success();
    folder
}

const DRAW: &str = "augment train_split.pkl --config augment.toml --set data.augment.crop=48";

#[test]
fn all_augmentations_are_drawn_and_the_picture_is_reproducible() {
    let folder = place();
    let draw = |out: &str| {
        nephos(&folder)
            .args(DRAW.split(' '))
            .args(["--side", "40", "-o", out])
            .assert()
            .success()
            .stdout(contains(out));
        std::fs::read(folder.path().join(out)).unwrap()
    };
    assert_eq!(draw("one.png"), draw("two.png"));
}

#[test]
fn augmentations_that_are_off_or_unknown_are_errors() {
    let folder = place();
    let only = |only: &str, set: &str| {
        let mut command = nephos(&folder);
        command
            .args(DRAW.split(' '))
            .args(["-o", "x.png", "--only", only, "--set", set]);
        command.assert().failure()
    };
    only("fog", "seed=1").stderr(contains("there are rotate, flip"));
    only("haze", "data.augment.haze=0.0").stderr(contains("data.augment.haze is off"));
}
