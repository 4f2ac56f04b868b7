//! `--threshold` and `--min-recall` where scenes are predicted.

use std::path::Path;

use ndarray::{Array2, Array3};
use nephos::mask;
use nephos::raster::Window;
use nephos::scene::{self, SceneOptions};
use serde_json::Value;

use super::configs::{fail, succeed, write_image};
use super::scenes::{PREDICT, Place};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The class of each pixel by the rule of a threshold on cloud, from probabilities
/// `[classes, rows, columns]`; `None` where rounding of what is stored leaves it open.
fn by_hand(p: &Array3<f32>, threshold: f32) -> Array2<Option<u8>> {
    let (_, rows, cols) = p.dim();
    Array2::from_shape_fn((rows, cols), |at| {
        let of = |class: usize| p[[class, at.0, at.1]];
        let cloud = of(1) + of(2);
        let (a, b) = match cloud >= threshold {
            true => (1, 2),
            false => (0, 3),
        };
        let open = (cloud - threshold).abs() < 0.01 || (of(a) - of(b)).abs() < 0.01;
        (!open).then_some(if of(a) >= of(b) { a as u8 } else { b as u8 })
    })
}

#[test]
fn a_threshold_decides_between_cloud_and_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let file = |name: &str| path.join(name);
    let run = |arguments: &str| succeed(path, &arguments.split_whitespace().collect::<Vec<_>>());
    // A scene of which a third at least is cloud, and a third is not.
    let both = (0..20).find(|seed| {
        write_image(&file("a.tif"), &file("label.tif"), *seed, 128);
        run("predict a.tif --out plain.tif --with probabilities --overwrite");
        let mask = mask::read(&file("plain.tif")).unwrap();
        let cloud = mask.iter().filter(|code| [1, 2].contains(*code)).count();
        (mask.len() / 3..2 * mask.len() / 3).contains(&cloud)
    });
    assert!(both.is_some(), "a scene with cloud and clear ground");
    let p = probabilities(&file("plain_probabilities.tif"));
    let cloud = |y: usize, x: usize| p[[1, y, x]] + p[[2, y, x]];
    let mut shares: Vec<f32> = (0..128 * 128).map(|i| cloud(i / 128, i % 128)).collect();
    shares.sort_by(f32::total_cmp);
    // So that about a quarter of all pixels is cloud.
    let threshold = shares[3 * shares.len() / 4].clamp(0.05, 0.9);

    let masked = "predict a.tif --out m.tif --with summary,cloud --threshold";
    let (_, message) = run(&format!("{masked} cloud={threshold}"));
    let line = format!("cloud={threshold}: thick cloud or thin cloud from probability");
    assert!(message.contains(&line), "{message}");
    let mask = mask::read(&file("m.tif")).unwrap();
    let expected = by_hand(&p, threshold);
    let mut held = 0;
    for ((at, code), expected) in mask.indexed_iter().zip(&expected) {
        if let Some(expected) = expected {
            assert_eq!(code, expected, "{at:?}");
            held += 1;
        }
    }
    assert!(held > 8_000, "{held} pixels are decided");
    let plain = mask::read(&file("plain.tif")).unwrap();
    assert!(plain != mask, "the threshold changes something");
    let summary: Value = json(&std::fs::read_to_string(file("m.json")).unwrap());
    let calibration = summary["made"]["calibration"].as_str().unwrap();
    assert!(
        calibration.contains("thick cloud or thin cloud from probability")
            && calibration.ends_with("(asked for)"),
        "{calibration}"
    );
    assert!(run("info m.tif").0.contains("(asked for)"));

    // The same again is up to date; another threshold is another mask.
    let (_, message) = run(&format!("{masked} cloud={threshold}"));
    assert!(message.contains("skipped (up to date)"), "{message}");
    let other = format!("{masked} cloud=0.999999");
    let error = fail(path, &other.split_whitespace().collect::<Vec<_>>());
    assert!(error.contains("made with other options"), "{error}");
    // Of a batch, and of samples: pixels that are cloud from 0.95 are a part of those from 0.05.
    std::fs::copy(file("a.tif"), file("b.tif")).unwrap();
    run(&format!(
        "predict a.tif b.tif --out-dir out --threshold cloud={threshold}"
    ));
    for name in ["out/a.tif", "out/b.tif"] {
        assert_eq!(mask::read(&file(name)).unwrap(), mask, "{name}");
    }
    run("simulate --out data --train 0 --val 0 --test 2 --size 96 --pixel-size 50 --seed 5");
    let [more, fewer] = ["0.05", "0.95"].map(|threshold| {
        run(&format!(
            "predict data/test_split.pkl --sample 1 -o {threshold}.tif --threshold cloud={threshold}"
        ));
        let mask = mask::read(&file(&format!("{threshold}.tif"))).unwrap();
        mask.mapv(|code| [1, 2].contains(&code))
    });
    assert!(more.iter().zip(&fewer).all(|(more, fewer)| *more || !fewer));
    assert!(more != fewer, "the threshold of samples changes something");
}

/// `[classes, rows, columns]` of a raster of probabilities, whose scale it states.
fn probabilities(path: &Path) -> Array3<f32> {
    let names = ["blue", "green", "red", "nir"].map(String::from);
    let options = SceneOptions {
        bands: Some(names.into()),
        ..SceneOptions::default()
    };
    let scene = scene::open_scene(path, &options).unwrap();
    let [rows, cols] = scene.info().size;
    let window = Window {
        row: 0,
        col: 0,
        rows,
        cols,
    };
    scene.read(&[0, 1, 2, 3], window).unwrap()
}

#[test]
fn impossible_thresholds_are_errors_with_a_remedy() {
    let place = Place::new(&["a"]);
    let error = place.fail(&format!("{PREDICT} a.tif --min-recall cloud=0.98"));
    assert!(
        error.contains(
            "--min-recall cloud=0.98: no curve of threshold and recall of thick cloud \
                        or thin cloud is in the model"
        ) && error.contains("nephos evaluate SAMPLES --model m.nephos --calibrate NEW.nephos"),
        "{error}"
    );
    let error = place.fail(&format!("{PREDICT} a.tif --threshold snow=0.5"));
    assert!(
        error.contains("`snow` is no class") && error.contains("cloud-shadow"),
        "{error}"
    );
    let error = place.fail(&format!("{PREDICT} a.tif --threshold cloud=1.5"));
    assert!(error.contains("between 0 and 1"), "{error}");
    let both = "--threshold cloud=0.5 --min-recall cloud=0.9";
    assert!(
        place
            .fail(&format!("{PREDICT} a.tif {both}"))
            .contains("cannot be used with")
    );
}

#[test]
fn a_recall_is_reached_on_the_samples_of_the_calibration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let simulate = "simulate --out data --train 0 --val 0 --test 8 --size 96 --pixel-size 50 \
                    --seed 5";
    succeed(path, &simulate.split_whitespace().collect::<Vec<_>>());
    let data = "data/test_split.pkl";
    let (_, message) = succeed(path, &["evaluate", data, "--calibrate", "c.nephos"]);
    assert!(
        message.contains("thick cloud or thin cloud: ") && message.contains("% found from"),
        "{message}"
    );
    let (info, _) = succeed(path, &["info", "c.nephos"]);
    assert!(
        info.contains("[[calibration.curves]]") && info.contains(" recall 0.98"),
        "{info}"
    );

    // The recall in the message is that of `evaluate` with that threshold.
    let recall = |option: &[&str]| -> f64 {
        let arguments = ["evaluate", data, "--model", "c.nephos", "--json"];
        let (out, _) = succeed(path, &[&arguments[..], option].concat());
        json(&out)["scores"]["cloud"]["recall"].as_f64().unwrap()
    };
    let asked = [
        "--sample", "0", "-o", "m.tif", "--with", "summary", "--model", "c.nephos",
    ];
    let mut found = Vec::new();
    for share in ["0.9", "0.98"] {
        let option = format!("cloud={share}");
        let (_, message) = succeed(
            path,
            &[
                &["predict", data][..],
                &asked,
                &["--overwrite", "--min-recall", &option],
            ]
            .concat(),
        );
        let line = message
            .lines()
            .find(|line| line.contains("--min-recall"))
            .unwrap();
        assert!(line.contains(" on its samples"), "{line}");
        let threshold = line.split("from probability ").nth(1).unwrap();
        let threshold = threshold.split(' ').next().unwrap();
        found.push(recall(&["--threshold", &format!("cloud={threshold}")]));
        let asked: f64 = share.parse().unwrap();
        let last = found[found.len() - 1];
        assert!(
            last > asked - 0.001 && last < asked + 0.01,
            "{asked}: {last}; {line}"
        );
    }
    let plain = recall(&[]);
    assert!((plain - found[1]).abs() > 0.001, "{plain} {found:?}");
    let error = fail(
        path,
        &[
            &["predict", data][..],
            &asked,
            &["--min-recall", "thin-cloud=0.9"],
        ]
        .concat(),
    );
    assert!(
        error.contains("those of thick cloud or thin cloud"),
        "{error}"
    );

    // The user's threshold replaces the model's, with a message.
    let own = ["--calibrate", "own.nephos", "--min-recall", "cloud=0.9"];
    succeed(path, &[&["evaluate", data][..], &own].concat());
    let (_, message) = succeed(
        path,
        &[
            "predict",
            data,
            "--sample",
            "0",
            "-o",
            "o.tif",
            "--model",
            "own.nephos",
            "--threshold",
            "cloud=0.4",
        ],
    );
    assert!(
        message.contains("in place of the model's own: thick cloud or thin cloud"),
        "{message}"
    );
}
