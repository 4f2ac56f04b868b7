//! `nephos weights`

use std::path::Path;

use assert_cmd::Command;
use nephos::config::Config;
use nephos::model::weights::{NamedTensor, collect, read, write};
use nephos::model::{Bundle, Segmenter};
use predicates::str::contains;

use super::tiny::MODEL;

fn nephos() -> Command {
    Command::cargo_bin("nephos").unwrap()
}

/// `nephos weights import` of `in.safetensors` to `m.nephos` by `c.toml`, all in
/// `folder`.
fn import(folder: &Path) -> Command {
    let mut command = nephos();
    (command.args(["weights", "import"]))
        .arg(folder.join("in.safetensors"))
        .arg("--config")
        .arg(folder.join("c.toml"))
        .arg("-o")
        .arg(folder.join("m.nephos"));
    command
}

fn sorted(path: &Path) -> Vec<NamedTensor> {
    let mut tensors = read(path).unwrap();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

#[test]
fn weights_go_in_and_out_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("c.toml"), MODEL).unwrap();
    let config = Config::load(&file("c.toml"), &[]).unwrap();
    let device = nephos::device::select("cpu").unwrap();
    let tensors = collect(&Segmenter::new(&config.model, 3, &device));
    write(&file("in.safetensors"), &tensors).unwrap();

    import(folder.path())
        .assert()
        .success()
        .stdout(contains("m.nephos"));
    assert_eq!(
        Bundle::load(&file("m.nephos"), &device).unwrap().config,
        config
    );

    for out in ["out.safetensors", "out.pth"] {
        (nephos().args(["weights", "export"]).arg(file("m.nephos")))
            .arg("-o")
            .arg(file(out))
            .assert()
            .success();
        assert_eq!(sorted(&file(out)), sorted(&file("in.safetensors")));
    }
}

#[test]
fn weights_of_another_model_are_refused_with_every_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("c.toml"), MODEL).unwrap();
    let tensors = [(
        "module.decoder.conv_out.bias".to_owned(),
        vec![3],
        vec![0.0; 3],
    )];
    write(&file("in.safetensors"), &tensors).unwrap();
    import(folder.path())
        .assert()
        .failure()
        .stderr(contains("in.safetensors"))
        .stderr(contains(
            "of another shape: decoder.conv_out.bias [3], expected [4]",
        ))
        .stderr(contains(
            "missing: block12.patch_embed.proj.weight [8, 3, 8, 8]",
        ));
    assert!(!file("m.nephos").exists());
}
