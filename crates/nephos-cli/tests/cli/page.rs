//! The page beside a mask, in a real browser where there is one.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use nephos::data::simulate::Simulator;
use serde_json::json;

const BROWSER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// Whether `node`, playwright-core and Chromium are there; says so where they are not, and fails
/// where `NEPHOS_REQUIRE` names `browser`.
fn browser() -> bool {
    let modules = std::env::var("NEPHOS_NODE_MODULES");
    let modules = modules.unwrap_or_else(|_| format!("{BROWSER}/node_modules"));
    let browser = std::env::var("NEPHOS_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
    let runs = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    };
    if Path::new(&modules).join("playwright-core").is_dir() && runs("node") && runs(&browser) {
        return true;
    }
    let required = std::env::var("NEPHOS_REQUIRE").unwrap_or_default();
    let reason = "no node, playwright-core (NEPHOS_NODE_MODULES) or chromium (NEPHOS_BROWSER)";
    let required = required.split(',').any(|entry| entry.trim() == "browser");
    assert!(!required, "{reason}; NEPHOS_REQUIRE asks for browser");
    let line = format!("SKIPPED: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    false
}

#[test]
fn a_page_shows_the_mask_to_the_pixel() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let scene = Simulator::default().simulate(42, 0, 96).unwrap();
    scene.write(&path("scene.tif")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nephos"));
    let arguments = "predict scene.tif --out mask.tif --with html,probabilities";
    let output = command
        .current_dir(folder.path())
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let html = std::fs::read_to_string(path("mask.html")).unwrap();
    assert!(html.contains("scene") && html.len() < 1 << 20);

    let mask = nephos::mask::read(&path("mask.tif")).unwrap();
    let stored = path("mask_probabilities.tif");
    let stored = nephos::mask::reduced_probabilities(&stored, usize::MAX).unwrap();
    let (rows, cols) = mask.dim();
    let places: Vec<_> = (0..rows * cols)
        .step_by(211)
        .map(|at| [at / cols, at % cols])
        .map(|[row, col]| {
            // Stored are 250ths.
            let percents: Vec<u32> = (0..4)
                .map(|class| (f64::from(stored[[class, row, col]]) / 2.5).round() as u32)
                .collect();
            json!({ "row": row, "col": col, "percents": percents })
        })
        .collect();
    let codes: Vec<Vec<u8>> = mask.outer_iter().map(|row| row.to_vec()).collect();
    let present = |code: u8| mask.iter().any(|found| *found == code);
    assert!(
        present(0) && (present(1) || present(2)),
        "a mask of one class"
    );
    let classes = nephos::class::Class::ALL;
    let expected = json!({
        "codes": codes, "places": places,
        "names": classes.map(|class| class.name()), "colours": classes.map(|class| class.colour()),
    });
    std::fs::write(path("expected.json"), expected.to_string()).unwrap();
    if !browser() {
        return;
    }
    let mut node = Command::new("node");
    node.arg(format!("{BROWSER}/page.mjs"))
        .args([path("mask.html"), path("expected.json")]);
    if std::env::var_os("NEPHOS_NODE_MODULES").is_none() {
        node.env("NEPHOS_NODE_MODULES", format!("{BROWSER}/node_modules"));
    }
    let output = node.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("checks"),
        "{said}{error}"
    );
}
