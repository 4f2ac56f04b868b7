//! `nephos weights`

use std::path::Path;

use assert_cmd::Command;
use nephos::config::Config;
use nephos::weights::{Bundle, NamedTensor, Parameters, read, write};
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
    let tensors = Parameters::draw(&config.model, 3, config.seed).into_torch();
    write(&file("in.safetensors"), &tensors).unwrap();

    import(folder.path())
        .assert()
        .success()
        .stdout(contains("m.nephos"));
    assert_eq!(Bundle::load(&file("m.nephos")).unwrap().config, config);

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
fn a_vit_of_timm_becomes_the_encoder_with_a_full_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let config = r#"
[model]
image_size = 24
patch = { size = 4, stride = 4, padding = 0, width = 12 }
graph = { layers = 1, width = 8 }
decoder = { width = 8 }
[model.encoder]
depth = 2
heads = 3
feed_forward = 24
activation = "gelu"
norm = "pre"
final_norm = true
norm_eps = 1e-6
position = "learned"
"#;
    std::fs::write(file("c.toml"), config).unwrap();
    let vit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nephos/tests/parity/vit");
    std::fs::copy(vit.join("timm.safetensors"), file("in.safetensors")).unwrap();
    let message = import(folder.path()).assert().success();
    let message = (message.stdout(contains("m.nephos")))
        .stderr(contains("taken: patch embedding, 3 bands in their order"))
        .stderr(contains("interpolated to 6 × 6"))
        .stderr(contains("at a random start: gat (2 tensors)"))
        .stderr(contains("not in the file: model.encoder.heads = 3"));
    drop(message);
    let bundle = Bundle::load(&file("m.nephos")).unwrap();
    assert_eq!(bundle.config.model.encoder.norm_eps, 1e-6);
    // The rest is drawn by the seed: the same file again.
    let first = std::fs::read(file("m.nephos")).unwrap();
    import(folder.path()).arg("--overwrite").assert().success();
    assert!(std::fs::read(file("m.nephos")).unwrap() == first);
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

#[test]
fn a_model_goes_out_as_onnx_with_its_bands() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tiny.onnx");
    let export = |options: &[&str]| {
        let mut command = nephos();
        command.args(["weights", "export", "tiny", "-o"]).arg(&out);
        command.args(options).assert()
    };
    (export(&["--bands", "blue,green,red,nir"]).success())
        .stdout(contains("tiny.onnx"))
        .stderr(contains("bands blue, green, red, nir, divided by 255"));
    let first = std::fs::read(&out).unwrap();
    assert!(first.windows(13).any(|text| text == b"tiles_overlap"));
    export(&[]).failure().stderr(contains("--overwrite"));
    let reflectance = ["--overwrite", "--scale", "1", "--divided-by", "1"];
    (export(&reflectance).success()).stderr(contains(
        "cirrus, as they are; reflectance = (number + 0) / 1",
    ));
    assert!(std::fs::read(&out).unwrap() != first);

    let wrong = ["--overwrite", "--bands", "green,red"];
    export(&wrong)
        .failure()
        .stderr(contains("--bands: the model needs blue"));
    (export(&["--overwrite", "--divided-by", "0"]).failure())
        .stderr(contains("--divided-by must be a number above 0"));
    (nephos().args(["weights", "export", "tiny", "--logits", "-o"]))
        .arg(folder.path().join("tiny.pth"))
        .assert()
        .failure()
        .stderr(contains("--logits is for ONNX"));
}
