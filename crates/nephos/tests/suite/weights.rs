//! Bundles, and weights under PyTorch's names.

use std::path::Path;

use nephos::config::{Affinity, Config};
use nephos::device::Device;
use nephos::weights::{Bundle, Parameters, Summary, read, write};

use crate::tiny;

fn bundle(seed: u64) -> Bundle {
    Bundle {
        summary: Summary {
            epochs: Some(3),
            best_val_loss: Some(0.25),
            ..Summary::default()
        },
        ..tiny::bundle(&tiny::config(), seed)
    }
}

#[test]
fn the_reference_has_the_published_number_of_parameters() {
    let config = Config::default();
    assert_eq!(
        Parameters::count(&config.model, config.channels()),
        11_245_316
    );
    let stored = tiny::bundle(&config, 1).tensors;
    let stored: usize = stored.iter().map(|(_, _, values)| values.len()).sum();
    assert_eq!(stored, 11_245_316);
}

#[test]
fn a_bundle_is_read_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (
        folder.path().join("a.nephos"),
        folder.path().join("b.nephos"),
    );
    let saved = bundle(1);
    saved.save(&first).unwrap();
    let loaded = Bundle::load(&first).unwrap();
    assert_eq!(loaded.config, saved.config);
    assert_eq!(loaded.summary, saved.summary);
    assert_eq!(loaded.tensors, saved.tensors);
    // The same model gives the same bytes.
    loaded.save(&second).unwrap();
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap());
}

#[test]
fn a_loaded_model_can_be_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nephos");
    bundle(1).save(&path).unwrap();
    let loaded = Bundle::load(&path).unwrap();
    let learner = Device::cpu().learner(&loaded.config, Some(loaded.tensors.clone()));
    let learner = learner.unwrap();
    let parameters = learner.parameters().unwrap();
    assert_eq!(parameters.len(), loaded.tensors.len());
}

#[test]
fn every_misfit_is_listed_at_once() {
    let Bundle {
        config, tensors, ..
    } = bundle(1);
    let mut tensors = tensors;
    let missing = tensors.remove(0).0;
    let reshaped = tensors[1].0.clone();
    tensors[1].1 = vec![3, 3];
    let poisoned = tensors[4].0.clone();
    tensors[4].2[0] = f32::NAN;
    tensors.push(("decoder.extra".to_owned(), vec![1], vec![0.0]));
    let error = Bundle::from_tensors(config, tensors, Path::new("x.pth"))
        .unwrap_err()
        .to_string();
    for part in [
        "x.pth".to_owned(),
        format!("missing: {missing} ["),
        format!("of another shape: {reshaped} [3, 3], expected ["),
        format!("not finite: {poisoned}"),
        "unexpected: decoder.extra [1]".to_owned(),
    ] {
        assert!(error.contains(&part), "`{part}` in: {error}");
    }
}

#[test]
fn names_may_carry_the_prefix_of_data_parallel() {
    let from = bundle(1);
    let tensors = from.tensors.iter().cloned();
    let prefixed = tensors.map(|(name, shape, values)| (format!("module.{name}"), shape, values));
    let to = Bundle::from_tensors(from.config, prefixed.collect(), Path::new("x.pth")).unwrap();
    assert_eq!(to.tensors, from.tensors);
}

#[test]
fn a_file_of_tensors_is_no_bundle_but_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let saved = bundle(1);
    let tensors = saved.tensors.clone();
    write(&path, &tensors).unwrap();
    let error = Bundle::load(&path).unwrap_err().to_string();
    assert!(error.contains("nephos weights import"), "{error}");
    let mut read = read(&path).unwrap();
    let mut tensors = tensors;
    read.sort_by(|a, b| a.0.cmp(&b.0));
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(read, tensors);
    let imported = Bundle::from_tensors(saved.config, read, &path).unwrap();
    assert_eq!(imported.tensors, saved.tensors);
}

#[test]
fn broken_bundles_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nephos");
    bundle(1).save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let replaced = |from: &str, to: &str| {
        let text = std::str::from_utf8(&whole[8..header]).unwrap();
        assert!(text.contains(from), "{from}");
        // As one of an older version, whose checksum does not find what is wrong first.
        assert!(text.contains("\"sha256\":"));
        let text = text.replacen("\"sha256\":", "\"sha000\":", 1);
        let text = text.replacen(from, to, 1);
        let length = (text.len() as u64).to_le_bytes();
        [&length, text.as_bytes(), &whole[header..]].concat()
    };
    let huge = [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat();
    for (case, bytes) in [
        ("empty", Vec::new()),
        ("cut in the length", whole[..5].to_vec()),
        ("cut in the header", whole[..header / 2].to_vec()),
        ("cut in the numbers", whole[..whole.len() - 4].to_vec()),
        (
            "more than the header states",
            [&whole[..], &[0; 4]].concat(),
        ),
        ("a header past the end", huge),
        (
            "another format",
            replaced("\"format\":\"nephos\"", "\"format\":\"nephox\""),
        ),
        (
            "a newer format",
            replaced("\"format_version\":\"1\"", "\"format_version\":\"9\""),
        ),
        ("no summary", replaced("\"summary\":", "\"sommary\":")),
        (
            "a model of no classes",
            replaced("classes = 4", "classes = 0"),
        ),
        (
            "a model too deep to build",
            replaced("depth = 2", "depth = 999999999999"),
        ),
        (
            "a model too wide to count",
            replaced("feed_forward = 64", "feed_forward = 9000000000000000000"),
        ),
        (
            "other weights than configured",
            replaced("depth = 2", "depth = 3"),
        ),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = Bundle::load(&path).unwrap_err().to_string();
        assert!(error.contains("a.nephos"), "{case}: {error}");
    }
    let error = Bundle::load(Path::new("nowhere.nephos")).unwrap_err();
    assert!(error.to_string().contains("nowhere.nephos"), "{error}");
}

#[test]
fn extra_parameters_of_nephos_are_kept() {
    let mut config = tiny::config();
    config.model.graph.affinity = Affinity::Bias;
    config.model.graph.heads = 4;
    config.model.encoder.position = nephos::config::PositionKind::Learned;
    config.model.encoder.final_norm = true;
    let tensors = tiny::bundle(&config, 5).tensors;
    let names: Vec<&str> = tensors.iter().map(|(name, _, _)| name.as_str()).collect();
    for name in [
        "block12.position.embedding",
        "block12.transformer.encoder.norm.weight",
        "gat.layers.0.affinity_scale",
        "gat.layers.1.a.weight",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let (device, origin) = (Device::cpu(), Path::new("x"));
    let scores = |tensors| {
        let network = device.network(&config.model, 3, tensors, origin).unwrap();
        network.forward(tiny::images(2, 40, 40)).unwrap()
    };
    let parameters = Parameters::from_torch(&config.model, 3, tensors.clone(), origin).unwrap();
    assert_eq!(scores(parameters.to_torch()), scores(tensors));
    assert_ne!(
        scores(parameters.into_torch()),
        scores(tiny::bundle(&config, 6).tensors)
    );
}
