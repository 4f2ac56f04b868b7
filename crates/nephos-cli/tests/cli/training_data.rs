//! A model or a configuration has nothing of its training samples that affects others.

use std::path::Path;

use nephos::mask;
use nephos::weights::{self, Bundle};
use serde_json::Value;

use super::configs::{fail, succeed, write_image};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Samples of simulated scenes, called 0, 1, ….
fn samples(folder: &Path) {
    let arguments = "simulate --out data --train 0 --val 0 --test 6 --size 96 --pixel-size 50 \
                     --seed 5";
    succeed(folder, &arguments.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn scores_do_not_depend_on_the_name_of_a_scene() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // Each is labelled as the model has it, so that all scores are 1; some of it is shadow.
    let shadow = (0..20).find(|seed| {
        write_image(&path.join("mine.tif"), &path.join("truth.tif"), *seed, 128);
        succeed(
            path,
            &["predict", "mine.tif", "-o", "label.tif", "--overwrite"],
        );
        let mask = mask::read(&path.join("label.tif")).unwrap();
        mask.iter().filter(|code| **code == 3).count() > 200
    });
    assert!(shadow.is_some(), "a scene with shadow");
    // A name that `data.labels.annotated_in` of the weights that come with nephos lists.
    std::fs::copy(path.join("mine.tif"), path.join("Forest_05.tif")).unwrap();
    for scene in ["mine.tif", "Forest_05.tif"] {
        let (out, _) = succeed(
            path,
            &["evaluate", scene, "--labels", "label.tif", "--json"],
        );
        let scores = json(&out);
        for class in scores["scores"]["classes"].as_array().unwrap() {
            if class["pixels"] != 0 {
                assert_eq!(class["iou"], 1.0, "{scene}: {class}");
            }
        }
    }
}

#[test]
fn names_of_other_samples_do_not_apply_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    samples(path);
    let evaluate = |set: &[&str]| {
        let arguments = [&["evaluate", "data/test_split.pkl", "--json"][..], set].concat();
        let (out, message) = succeed(path, &arguments);
        (json(&out)["scores"].clone(), message)
    };
    let shadow = |scores: &Value| scores["classes"][3]["iou"].as_f64().unwrap();
    let (plain, message) = evaluate(&[]);
    assert!(shadow(&plain) > 0.05, "{plain}");
    assert!(!message.contains("note:"), "{message}");
    let (foreign, message) =
        evaluate(&["--set", "data.labels.annotated_in={3=['Forest_05', 'x']}"]);
    assert_eq!(foreign, plain);
    let note = "note: data.labels.annotated_in does not apply to data/test_split.pkl: none of the 2 \
                names that it lists is a sample's";
    assert_eq!(message.matches(note).count(), 1, "{message}");
    // Those of its own samples apply.
    let (own, message) = evaluate(&["--set", "data.labels.annotated_in={3=['0']}"]);
    assert!(!message.contains("note:"), "{message}");
    assert_ne!(own, plain);
    let (none, _) = evaluate(&["--set", "data.labels.annotated_in={3=[]}"]);
    assert_eq!(shadow(&none), 0.0, "{none}");
}

#[test]
fn a_bundle_carries_nothing_of_the_machine_it_was_trained_on() {
    let mut bundle = Bundle::load(Path::new("tiny")).unwrap();
    let data = &mut bundle.config.data;
    // Its header, of an older version, has more keys.
    assert!(data.labels.annotated_in.is_empty() && data.mix.is_empty() && data.train.is_none());
    assert!(data.augment.is_default() && data.sampling.is_default());
    let kept = bundle.config.clone();
    let data = &mut bundle.config.data;
    data.train = Some("/secret/samples".into());
    data.val_names = vec!["secret".to_owned()];
    data.filter = vec!["secret=1".to_owned()];
    data.augment.paste.from = Some("/secret/clouds".into());
    data.labels
        .annotated_in
        .insert("3".to_owned(), vec!["secret".to_owned()]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.nephos");
    bundle.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
    assert_eq!(Bundle::load(&path).unwrap().config, kept);
}

#[test]
fn a_bundle_whose_bytes_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.nephos");
    let bundle = Bundle::load(Path::new("tiny")).unwrap();
    bundle.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
    // A weight, and a figure in the header: neither breaks the format.
    let scale = bytes
        .windows(14)
        .position(|part| part == b"scale = 5000.0")
        .unwrap();
    for place in [header + 1000, bytes.len() - 2, scale + 8] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let error = Bundle::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("m.nephos") && error.contains("checksum"),
            "{error}"
        );
        let start = weights::initial(&bundle.config, &path);
        assert!(start.unwrap_err().to_string().contains("checksum"));
    }
    std::fs::write(&path, &bytes).unwrap();
    Bundle::load(&path).unwrap();
}

#[test]
fn a_calibration_leaves_no_class_worse() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    samples(path);
    let calibrate = [
        "evaluate",
        "data/test_split.pkl",
        "--json",
        "--calibrate",
        "c.nephos",
    ];
    let (before, _) = succeed(path, &calibrate[..3]);
    let (after, message) = succeed(path, &calibrate);
    assert!(
        message.contains("Calibrated on") && message.contains("pixels of these samples"),
        "{message}"
    );
    let iou = |text: &str| -> Vec<f64> {
        let classes = json(text)["scores"]["classes"].clone();
        let classes = classes.as_array().unwrap().iter();
        classes
            .map(|class| class["iou"].as_f64().unwrap())
            .collect()
    };
    for (before, after) in iou(&before).into_iter().zip(iou(&after)) {
        assert!(after >= before, "{before} {after}: {message}");
    }
    let error = fail(
        path,
        &["evaluate", "data/test_split.pkl", "--temperature-only"],
    );
    assert!(error.contains("--calibrate"), "{error}");
    let (_, message) = succeed(
        path,
        &[&calibrate[..], &["--temperature-only", "--overwrite"]].concat(),
    );
    assert!(
        message.contains("a temperature alone was asked for"),
        "{message}"
    );

    // Shadow labelled as thick cloud and the other way round: no bias corrects that.
    let swapped = "data.labels.map={1=3, 3=1}";
    std::fs::remove_file(path.join("c.nephos")).unwrap();
    let error = fail(path, &[&calibrate[..], &["--set", swapped]].concat());
    assert!(
        error.contains("calibration refused: ") && error.contains("test_split"),
        "{error}"
    );
    assert!(!path.join("c.nephos").exists());
}

#[test]
fn counts_of_one_are_singular() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let simulate = "simulate --out data --train 1 --val 1 --test 0 --size 40 --pixel-size 80";
    succeed(path, &simulate.split_whitespace().collect::<Vec<_>>());
    let (info, _) = succeed(path, &["info", "data/train_split.pkl"]);
    assert!(
        info.contains("arrays, 1 sample\n") && info.contains("uint16: 1 sample\n"),
        "{info}"
    );
    let (scores, _) = succeed(path, &["evaluate", "data/train_split.pkl"]);
    assert!(
        scores.contains("data/train_split.pkl: 1 sample, cross-entropy"),
        "{scores}"
    );
    let set = [
        "data.train=data/train_split.pkl",
        "data.val=data/val_split.pkl",
        "train.epochs=1",
    ];
    let mut train = vec!["train", "--config", "demo", "--out", "run"];
    train.extend(set.iter().flat_map(|set| ["--set", *set]));
    let (out, message) = succeed(path, &train);
    assert!(out.contains("Finished after 1 epoch.\n"), "{out}");
    assert!(
        message.contains("1 training sample, 1 validation sample;"),
        "{message}"
    );
    for text in [info, scores, out, message] {
        for wrong in [
            "1 samples",
            "1 images ",
            "1 epochs",
            "1 steps",
            "0.00 images/s",
        ] {
            let found = text.match_indices(wrong).any(|(place, _)| {
                !text[..place].ends_with(|c: char| c.is_ascii_digit() || c == '.')
            });
            assert!(!found, "{wrong}: {text}");
        }
    }
}
