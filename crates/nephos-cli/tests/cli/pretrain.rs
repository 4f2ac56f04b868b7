//! `nephos pretrain`: images without labels, then a start from their weights.

use std::path::Path;
use std::process::{Command, Output};

use super::scenes::write_scene;
use super::tiny::MODEL;

const HEAD: &str = "
name = 'small'
[data]
bands = ['red', 'green', 'blue', 'nir', 'swir16']
optional_bands = ['nir', 'swir16']
scale = 10000.0
[data.augment]
rotate = true
crop = 32
band_dropout = 0.3
[pretrain]
block = 16
[train]
epochs = 2
batch_size = 4
";

fn nephos(folder: &Path, arguments: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nephos"))
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .args(more)
        .output()
        .unwrap()
}

fn succeed(output: Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    message
}

#[test]
fn pretrained_weights_are_a_start_for_training() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("small.toml"), format!("{HEAD}{MODEL}")).unwrap();
    let simulate = "simulate --out sim --train 8 --val 0 --test 0 --size 48 --pixel-size 40";
    succeed(nephos(path, simulate, &[]));
    let pretrain = "pretrain sim/train_split.pkl --config small.toml --out before";
    succeed(nephos(path, pretrain, &[]));
    // The same once more: the same weights.
    let weights = |name: &str| std::fs::read(path.join(name)).unwrap();
    let again = pretrain.replace("before", "again");
    succeed(nephos(path, &again, &[]));
    assert!(weights("before/last.nephos") == weights("again/last.nephos"));

    // It has no classes.
    let predict = "predict sim/train_split.pkl --sample 0 -o m.tif -m before/last.nephos";
    let refused = nephos(path, predict, &[]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && message.contains("--init"),
        "{message}"
    );

    // All but the last layer is taken, and a model of classes comes of it.
    let sets = "--set data.train=sim/train_split.pkl --set train.epochs=1";
    let train = format!("train --config small.toml --init before/last.nephos --out after {sets}");
    let message = succeed(nephos(path, &train, &[]));
    assert!(
        message.contains("at a random start: decoder.conv_out"),
        "{message}"
    );
    let predict = predict.replace("before", "after");
    succeed(nephos(path, &predict, &[]));

    // Another network does not start from it.
    let wider = nephos(
        path,
        &train.replace("after", "wider"),
        &["--set", "model.decoder.width=12"],
    );
    let message = String::from_utf8_lossy(&wider.stderr);
    assert!(
        !wider.status.success() && message.contains("do not fit"),
        "{message}"
    );
}

#[test]
fn scenes_are_cut_into_tiles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let text = format!("{HEAD}{MODEL}").replace("epochs = 2", "epochs = 1");
    std::fs::write(path.join("small.toml"), text).unwrap();
    write_scene(&path.join("scene.tif"), [80, 112], 3);
    let pretrain = "pretrain scene.tif --scale 255 --config small.toml --tile 48 --out run";
    let message = succeed(nephos(path, pretrain, &[]));
    // Two rows and three columns of tiles.
    assert!(message.contains("6 images without labels"), "{message}");
    let refused = nephos(
        path,
        &pretrain.replace("--tile 48 --out run", "--tile 0 --out other"),
        &[],
    );
    assert!(!refused.status.success());
    std::fs::write(path.join("broken.tif"), b"II*").unwrap();
    let refused = nephos(path, &pretrain.replace("scene", "broken"), &[]);
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && message.contains("broken.tif"),
        "{message}"
    );
}
