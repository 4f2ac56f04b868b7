//! `nephos explain`

use assert_cmd::Command;
use predicates::str::contains;

use super::scenes::write_scene;
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

/// A folder with `m.nephos`, an untrained model, and `a.tif`, a scene larger than its
/// window.
fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save_untrained("[data]\nscale = 10000.0\n", &folder.path().join("m.nephos"));
    write_scene(&folder.path().join("a.tif"), [150, 90], 1);
    folder
}

fn nephos(folder: &tempfile::TempDir, arguments: &str) -> assert_cmd::assert::Assert {
    Command::cargo_bin("nephos")
        .unwrap()
        .current_dir(folder.path())
        .args(arguments.split_whitespace())
        .assert()
}

fn width(folder: &tempfile::TempDir, name: &str) -> u32 {
    let bytes = std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    u32::from_be_bytes(bytes[16..20].try_into().unwrap())
}

#[test]
fn a_scene_is_explained_in_a_window_around_the_patch() {
    let folder = scene();
    let explain = "explain a.tif --scale 255 --overwrite -o why.png";
    // The window of the model, at a multiple of its patches.
    nephos(&folder, &format!("{explain} --model m.nephos --at 100,60"))
        .success()
        .stderr(contains(
            "patch 2,2 of a, rows 80 to 111 and columns 40 to 71",
        ))
        .stderr(contains("at pixel 100,60"));
    // Of another size, at the edge of the scene.
    let last = format!("{explain} --model m.nephos --at 149,0 --size 61");
    nephos(&folder, &last)
        .success()
        .stderr(contains("rows 89 to 149 and columns 0 to 60"));
    // The model that comes with nephos, in a window as wide as a patch attends (112 pixels),
    // around a patch of its choice.
    let default = nephos(&folder, explain)
        .success()
        .stderr(contains("and columns 0 to 89"))
        .stderr(contains("cloud's edge"));
    let said = String::from_utf8_lossy(&default.get_output().stderr).into_owned();
    let rows = said.split_once(", rows ").unwrap().1;
    let (first, rest) = rows.split_once(" to ").unwrap();
    let last = rest.split_once(" and columns").unwrap().0;
    let height = last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap();
    assert_eq!(height, 112, "{said}");
    let fails = |arguments: &str, expected: &str| {
        nephos(&folder, arguments)
            .failure()
            .stderr(contains(expected));
    };
    std::fs::remove_file(folder.path().join("why.png")).unwrap();
    fails(
        &format!("{explain} --at 150,0"),
        "--at 150,0 lies outside the image: a has 150 × 90 pixels",
    );
    fails(
        &format!("{explain} --sample 1"),
        "--sample is for containers",
    );
    fails(&format!("{explain} --size 0"), "--size");
    fails("explain missing.tif -o why.png", "missing.tif");
    assert!(!folder.path().join("why.png").exists());
}

#[test]
fn a_scene_is_drawn_with_its_mask_whole_or_in_a_window() {
    let folder = scene();
    let overlay = "overlay a.tif --scale 255";
    nephos(&folder, &format!("{overlay} -o image.png")).success();
    nephos(&folder, &format!("{overlay} --model m.nephos -o whole.png")).success();
    assert!(width(&folder, "whole.png") > width(&folder, "image.png"));
    nephos(
        &folder,
        &format!("{overlay} --model tiny --at 100,60 --size 40 -o part.png"),
    )
    .success()
    .stderr(contains("rows 80 to 119 of 150, columns 40 to 79 of 90"));
    // A mask that is there already, by its path or by its name in a folder.
    nephos(
        &folder,
        "predict a.tif --scale 255 --model m.nephos --out-dir masks",
    )
    .success();
    nephos(
        &folder,
        &format!("{overlay} --prediction masks -o folder.png"),
    )
    .success();
    nephos(
        &folder,
        &format!("{overlay} --prediction masks/a.tif --at 9,9 --size 20 -o file.png"),
    )
    .success();
    assert_eq!(width(&folder, "folder.png"), width(&folder, "whole.png"));

    write_scene(&folder.path().join("b.tif"), [20, 20], 1);
    let fails = |arguments: &str, expected: &str| {
        nephos(&folder, arguments)
            .failure()
            .stderr(contains(expected));
        assert!(!folder.path().join("no.png").exists());
    };
    fails(
        "overlay b.tif --scale 255 --prediction masks/a.tif -o no.png",
        "a mask of 150 × 90 pixels for b with 20 × 20",
    );
    fails(
        "overlay b.tif --scale 255 --prediction masks -o no.png",
        "no mask b.tif",
    );
    fails(
        &format!("{overlay} --at 0,90 -o no.png"),
        "--at 0,90 lies outside",
    );
    fails(
        &format!("{overlay} --samples 0 -o no.png"),
        "--samples is for containers",
    );
}

#[test]
fn a_window_of_samples_is_drawn_too() {
    let folder = scene();
    std::fs::write(folder.path().join("in.npy"), npy()).unwrap();
    save_untrained(DATA, &folder.path().join("s.nephos"));
    nephos(
        &folder,
        "overlay in.npy --model s.nephos --at 12,39 --size 16 -o part.png",
    )
    .success();
    nephos(
        &folder,
        "overlay in.npy --model s.nephos --at 32,0 -o no.png",
    )
    .failure()
    .stderr(contains("--at 32,0 lies outside the image"));
    // Without a pixel: the patch at a cloud's edge, or the middle.
    nephos(&folder, "explain in.npy --model s.nephos -o why.png")
        .success()
        .stderr(contains("cloud's edge"));
}
