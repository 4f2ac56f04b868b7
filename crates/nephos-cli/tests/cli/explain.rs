//! `nephos explain`

use assert_cmd::Command;
use predicates::str::contains;

use super::tiny::save_untrained;

const DATA: &str = "
[data]
channels = [\"red\", \"green\", \"blue\"]
scale = 1.0
";

/// A `.npy` file of one sample `[1, 3, 32, 40]`.
fn npy() -> Vec<u8> {
    let dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 32, 40), }";
    let header = format!("{dict:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend((0..3 * 32 * 40).flat_map(|i| ((i % 17) as f32 / 17.0).to_le_bytes()));
    bytes
}

#[test]
fn a_patch_is_explained_over_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    save_untrained(DATA, &file("m.nephos"));
    std::fs::write(file("in.npy"), npy()).unwrap();
    let explain = |at: &str| {
        let mut command = Command::cargo_bin("nephos").unwrap();
        command
            .arg("explain")
            .arg(file("in.npy"))
            .arg("--model")
            .arg(file("m.nephos"))
            .args(["--at", at, "--device", "cpu", "-o"])
            .arg(file("out.png"));
        command.assert()
    };
    explain("32,0")
        .failure()
        .stderr(contains("outside the image"));
    explain("a,b").failure().stderr(contains("ROW,COL"));
    assert!(!file("out.png").exists());
    explain("12,39")
        .success()
        .stdout(contains("out.png"))
        .stderr(contains("patch 1,4"));
    assert!(
        std::fs::read(file("out.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
}
