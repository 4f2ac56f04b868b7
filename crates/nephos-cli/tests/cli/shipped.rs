//! The model that comes with nephos, with a scene alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nephos::mask;

fn nephos(folder: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_nephos"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    output
}

#[test]
fn a_simulated_scene_is_segmented_by_the_shipped_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let simulate = ["--size", "128", "--pixel-size", "40", "--seed", "3"];
    let samples = ["--train", "0", "--val", "0", "--test", "6"];
    let arguments: Vec<&str> = (["simulate", "--out", "data"].into_iter())
        .chain(simulate)
        .chain(samples)
        .collect();
    nephos(path, &arguments);
    let output = nephos(path, &["evaluate", "data/test_split.pkl", "--json"]);
    let scores: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let miou = scores["scores"]["miou"].as_f64().unwrap();
    assert!(
        miou > 0.4,
        "mIoU {miou} on what it was trained on the likes of"
    );

    let message = nephos(
        path,
        &[
            "predict",
            "data/test_split.pkl",
            "--sample",
            "0",
            "-o",
            "m.tif",
        ],
    );
    let named = mask::read(&path.join("m.tif")).unwrap();
    assert!(named.dim() == (128, 128));
    // Without --out the mask is named after the scene.
    nephos(path, &["predict", "data/test_split.pkl", "--sample", "0"]);
    let found: Vec<_> = (path.read_dir().unwrap())
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with("_mask.tif"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(mask::read(&path.join(&found[0])).unwrap(), named);
    assert!(!String::from_utf8_lossy(&message.stderr).contains("warning"));
}

#[test]
fn info_prints_the_model_card() {
    let folder = tempfile::tempdir().unwrap();
    let card = nephos(folder.path(), &["info", "tiny"]).stdout;
    let card = String::from_utf8_lossy(&card);
    for word in ["Landsat 8 Biome", "licence", "fails"] {
        assert!(card.contains(word), "{word}: {card}");
    }
    let json = nephos(folder.path(), &["info", "tiny", "--json"]).stdout;
    let report: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(report["parameters"].as_u64().unwrap() > 100_000);
}

/// Scenes that are no part of the repository.
fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    path.is_dir().then_some(path)
}

#[test]
fn real_scenes_of_two_sensors_are_read_and_segmented() {
    let Some(shared) = shared() else {
        eprintln!("SKIPPED: there is no ../shared/data");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let landsat = shared.join("landsat8_scene");
    let output = nephos(
        folder.path(),
        &["predict", landsat.to_str().unwrap(), "-o", "m.tif"],
    );
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("all of the model's"), "{message}");
    let mask = mask::read(&folder.path().join("m.tif")).unwrap();
    // Broken, thin cloud: no mask is without cloud, and none is all cloud.
    let cloud = mask.iter().filter(|code| matches!(code, 1 | 2)).count();
    let share = cloud as f64 / mask.len() as f64;
    assert!((0.03..0.9).contains(&share), "cloud over {share:.2}");
}

#[test]
fn products_are_drawn_and_explained_around_a_pixel() {
    let Some(shared) = shared() else {
        eprintln!("SKIPPED: there is no ../shared/data");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let product = |name: &str, ending: &str| {
        let mut entries = shared
            .join(name)
            .read_dir()
            .unwrap()
            .map(|e| e.unwrap().path());
        let found = entries.find(|path| path.to_string_lossy().ends_with(ending));
        found.unwrap().to_str().unwrap().to_owned()
    };
    let landsat = shared.join("landsat8_scene").to_str().unwrap().to_owned();
    let safe = product("sentinel2_safe_60m", ".SAFE");
    for scene in [&landsat, &safe] {
        let at = ["--at", "300,300"];
        let explain = ["explain", scene, at[0], at[1], "-o", "why.png"];
        let message = nephos(folder.path(), &explain).stderr;
        let message = String::from_utf8_lossy(&message);
        assert!(
            message.contains("rows 240 to 351 and columns 240 to 351"),
            "{message}"
        );
        let overlay = [
            "overlay", scene, "--model", "tiny", at[0], at[1], "--size", "200",
        ];
        let message = nephos(folder.path(), &[&overlay[..], &["-o", "part.png"]].concat()).stderr;
        let message = String::from_utf8_lossy(&message);
        assert!(message.contains("rows 200 to 399"), "{message}");
        for picture in ["why.png", "part.png"] {
            std::fs::remove_file(folder.path().join(picture)).unwrap();
        }
    }
}
