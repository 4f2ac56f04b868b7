//! ViTs of known libraries: the same features from their weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4, Axis, concatenate, s};

use super::*;
use crate::engine::CpuNetwork;
use crate::network::GraphForward;
use crate::weights::write;

fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/vit");
    folder.join(name)
}

/// The tensor `name` of the golden file.
fn golden(name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensors = read(&path("golden.safetensors")).unwrap().into_iter();
    let mut tensors: BTreeMap<_, _> = tensors.map(|(name, s, v)| (name, (s, v))).collect();
    tensors.remove(name).unwrap()
}

fn images(name: &str) -> Array4<f32> {
    let (shape, values) = golden(name);
    let shape: [usize; 4] = shape.try_into().unwrap();
    Array4::from_shape_vec(shape, values).unwrap()
}

fn tokens(name: &str) -> Array3<f32> {
    let (shape, values) = golden(name);
    let shape: [usize; 3] = shape.try_into().unwrap();
    Array3::from_shape_vec(shape, values).unwrap()
}

/// The configuration of the files beside `generate.py`.
fn config(norm_eps: f64) -> Config {
    let text = format!(
        r#"
        [model]
        image_size = 16
        patch = {{ size = 4, stride = 4, padding = 0, width = 12 }}
        graph = {{ layers = 1, width = 8 }}
        decoder = {{ width = 8 }}
        [model.encoder]
        depth = 2
        heads = 3
        feed_forward = 24
        activation = "gelu"
        norm = "pre"
        final_norm = true
        norm_eps = {norm_eps}
        position = "learned"
        dropout = 0.0
        "#
    );
    Config::parse(&text, "test", &[]).unwrap()
}

fn network(config: &Config, path: &Path) -> (CpuNetwork, Transfer) {
    let (weights, transfer) = initial(config, path).unwrap();
    let network = CpuNetwork::new(&config.model, config.channels(), weights, path).unwrap();
    (network, transfer.unwrap())
}

fn load(config: &Config, name: &str) -> (CpuNetwork, Transfer) {
    network(config, &path(name))
}

fn refusal(config: &Config, path: &Path) -> String {
    initial(config, path).unwrap_err().to_string()
}

/// Embeddings of patches and the encoder's output, `[B, N, width]` each.
fn features(network: &CpuNetwork, images: Array4<f32>) -> [Array3<f32>; 2] {
    let both = network.encode(images).unwrap(); // [B, 2 · width, rows, cols]
    let (batch, features, rows, cols) = both.dim();
    let both = both.permuted_axes([0, 2, 3, 1]);
    let both: Vec<f32> = both.iter().copied().collect();
    let both = Array3::from_shape_vec((batch, rows * cols, features), both).unwrap();
    let half = features / 2;
    [
        both.slice(s![.., .., ..half]).to_owned(),
        both.slice(s![.., .., half..]).to_owned(),
    ]
}

fn check(ours: &Array3<f32>, golden: &Array3<f32>) {
    assert_eq!(ours.dim(), golden.dim());
    for (ours, golden) in ours.iter().zip(golden) {
        assert!((ours - golden).abs() < 2e-5, "{ours} is not {golden}");
    }
}

/// The file `name` with its tensors changed, in a folder of its own.
fn changed(name: &str, change: impl Fn(&mut Vec<NamedTensor>)) -> (tempfile::TempDir, PathBuf) {
    let mut tensors = read(&path(name)).unwrap();
    change(&mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write(&path, &tensors).unwrap();
    (folder, path)
}

#[test]
fn features_are_those_of_timm() {
    let mut config = config(1e-6);
    let (network, transfer) = load(&config, "timm.safetensors");
    check(&features(&network, images("images"))[1], &tokens("timm"));
    check(
        &features(&network, images("large"))[1],
        &tokens("timm/large"),
    );
    assert_eq!(transfer.unused, [""; 0]);
    assert_eq!(transfer.taken.len(), 4, "{transfer:?}");
    assert_eq!(transfer.fresh, ["decoder (4 tensors)", "gat (2 tensors)"]);
    // Positions that are stretched once, as they are loaded.
    config.model.image_size = 32;
    let (network, transfer) = load(&config, "timm.safetensors");
    check(
        &features(&network, images("large"))[1],
        &tokens("timm/large"),
    );
    let stretched = "positions on 4 × 4 patches, interpolated to 8 × 8";
    assert!(
        transfer.taken.iter().any(|how| how == stretched),
        "{transfer:?}"
    );
}

#[test]
fn features_are_those_of_transformers_under_either_naming() {
    for name in ["transformers.safetensors", "state_dict.safetensors"] {
        let (network, transfer) = load(&config(1e-12), name);
        let [_, encoded] = features(&network, images("images"));
        check(&encoded, &tokens("transformers"));
        let unused = &transfer.unused;
        let cls = |entry: &String| entry.contains("cls_token: nephos has tokens of patches");
        assert!(unused.iter().any(cls), "{unused:?}");
        let head = unused.iter().any(|entry| entry == "classifier.weight");
        assert_eq!(head, name == "state_dict.safetensors", "{unused:?}");
        assert!(
            !unused.iter().any(|entry| entry.contains("layer")),
            "{unused:?}"
        );
    }
}

#[test]
fn an_attention_without_biases_has_zeros() {
    let is_bias = |name: &str| name.ends_with("qkv.bias") || name.ends_with("key.bias");
    for (name, golden_name) in [
        ("timm.safetensors", "timm"),
        ("transformers.safetensors", "transformers"),
    ] {
        let (_zeros, zeros) = changed(name, |tensors| {
            for (name, _, values) in tensors {
                if is_bias(name) {
                    values.fill(0.0);
                }
            }
        });
        let (_none, none) = changed(name, |tensors| tensors.retain(|(name, ..)| !is_bias(name)));
        let [zeros, none] = [zeros, none].map(|path| {
            let (network, _) = network(&config(1e-6), &path);
            features(&network, images("images"))[1].clone()
        });
        assert_eq!(zeros, none);
        assert_ne!(zeros, tokens(golden_name));
    }
}

#[test]
fn other_bands_share_the_patch_embedding() {
    let mut other = config(1e-6);
    other.data.bands = ["red", "green", "blue", "nir", "swir1"]
        .map(String::from)
        .to_vec();
    other.data.optional_bands = vec!["swir1".to_owned()];
    other.validate().unwrap();
    let (five, transfer) = load(&other, "timm.safetensors");
    assert!(
        transfer.taken[0].contains("each of 5 bands"),
        "{transfer:?}"
    );
    let (three, _) = load(&config(1e-6), "timm.safetensors");
    // A grey image; the sixth channel declares a band absent.
    let all = images("images");
    let grey = all.slice(s![.., ..1, .., ..]);
    let ones = Array4::ones(grey.dim());
    let mut of_five = vec![grey; 5];
    of_five.push(ones.view());
    let [ours, _] = features(&five, concatenate(Axis(1), &of_five).unwrap());
    let [theirs, _] = features(&three, concatenate(Axis(1), &[grey; 3]).unwrap());
    check(&ours, &theirs);
}

#[test]
fn what_the_configuration_has_no_place_for_is_reported() {
    let mut config = config(1e-6);
    config.model.patch.size = 8;
    config.model.patch.stride = 8;
    config.model.encoder.position = PositionKind::None;
    config.model.encoder.final_norm = false;
    let (_, transfer) = load(&config, "timm.safetensors");
    assert_eq!(transfer.taken, ["2 layers"]);
    for part in ["patch_embed (2", "decoder"] {
        let is_named = |entry: &String| entry.starts_with(part);
        assert!(
            transfer.fresh.iter().any(is_named),
            "{part} in {transfer:?}"
        );
    }
    for part in [
        "patch_embed.proj.weight: patches of 4 × 4 pixels, but model.patch.size is 8",
        "pos_embed: model.encoder.position is not \"learned\"",
        "norm.weight: model.encoder.final_norm is false",
    ] {
        assert!(
            transfer.unused.iter().any(|e| e == part),
            "{part} in {transfer:?}"
        );
    }
}

#[test]
fn sizes_that_differ_are_named_with_what_was_expected() {
    let mut config = config(1e-6);
    config.model.patch.width = 24;
    config.model.encoder.depth = 3;
    config.model.encoder.feed_forward = 32;
    config.model.encoder.norm = NormOrder::Post;
    config.model.encoder.activation = Activation::Relu;
    let message = refusal(&config, &path("timm.safetensors"));
    for part in [
        "timm.safetensors",
        "model.patch.width is 24, expected 12, as blocks.0.norm1.weight has",
        "model.encoder.depth is 3, expected 2",
        "model.encoder.feed_forward is 32, expected 24, as blocks.0.mlp.fc1.weight has",
        "model.encoder.norm is \"post\", expected \"pre\"",
        "model.encoder.activation is \"relu\", expected \"gelu\"",
    ] {
        assert!(message.contains(part), "`{part}` in: {message}");
    }
}

#[test]
fn broken_vits_are_refused_with_the_tensor() {
    let find = |tensors: &[NamedTensor], name: &str| {
        let place = tensors.iter().position(|(found, ..)| found == name);
        place.unwrap()
    };
    type Change<'a> = &'a dyn Fn(&mut Vec<NamedTensor>);
    let cases: [(&str, Change<'_>, &str); 5] = [
        (
            "timm.safetensors",
            &|t| {
                t.push((
                    "blocks.0.attn.q_norm.weight".to_owned(),
                    vec![4],
                    vec![1.0; 4],
                ))
            },
            "blocks.0.attn.q_norm.weight: no layer of nephos has this part",
        ),
        (
            "timm.safetensors",
            &|t| drop(t.remove(find(t, "blocks.1.mlp.fc2.bias"))),
            "layer 1 lacks what nephos calls linear2.bias",
        ),
        (
            "timm.safetensors",
            &|t| {
                let place = find(t, "blocks.0.ls1.gamma");
                t[place] = ("blocks.0.ls1.gamma".to_owned(), vec![5], vec![1.0; 5]);
            },
            "blocks.0.ls1.gamma is [5], expected [12]",
        ),
        (
            "transformers.safetensors",
            &|t| drop(t.remove(find(t, "encoder.layer.1.attention.attention.value.weight"))),
            "queries, keys or values are missing beside encoder.layer.1",
        ),
        (
            "transformers.safetensors",
            &|t| {
                let name = "encoder.layer.1.attention.attention.key.weight";
                let place = find(t, name);
                t[place] = (name.to_owned(), vec![6, 24], vec![1.0; 144]);
            },
            "key.weight is [6, 24], expected [12, 12]",
        ),
    ];
    for (name, change, part) in cases {
        let (_folder, path) = changed(name, change);
        let message = refusal(&config(1e-6), &path);
        assert!(message.contains(part), "`{part}` in: {message}");
    }
}
