//! State dicts that PyTorch saved, hostile ones, and ones that we save for PyTorch.

use std::io::Write;
use std::path::{Path, PathBuf};

use nephos::Error;
use nephos::weights::torch;
use nephos::weights::torch::NamedTensor;
use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use super::outside;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/torch")
}

#[test]
fn real_state_dicts_are_read_exactly() {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = expected.as_object().unwrap();
    assert!(expected.len() >= 8);
    for (file, expected) in expected {
        let expected: Vec<NamedTensor> = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(
            torch::read(&folder().join(file)).unwrap(),
            expected,
            "{file}"
        );
    }
}

#[test]
fn errors_of_old_files_explain_how_to_save_them_again() {
    let error = torch::read(&folder().join("legacy.pth")).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("torch.save"), "{error}");
}

/// An archive with this pickle and one storage of 24 bytes.
fn archive(pickle: &[u8], deflate: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let method = if deflate {
        zip::CompressionMethod::Deflated
    } else {
        zip::CompressionMethod::Stored
    };
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in [("x/data.pkl", pickle), ("x/data/0", &[0; 24])] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A dict with one tensor of storage 0; numbers as `I` lines.
fn one_tensor(class: &str, key: &str, offset: &str, shape: &str, strides: &str) -> Vec<u8> {
    let tuple = |numbers: &str| {
        let lines: String = numbers
            .split_whitespace()
            .map(|n| format!("I{n}\n"))
            .collect();
        format!("({lines}t")
    };
    let (shape, strides) = (tuple(shape), tuple(strides));
    format!(
        "}}Vw\nctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\n{class}\nV{key}\nVcpu\nI6\ntQ\
         I{offset}\n{shape}{strides}I00\nNtRs."
    )
    .into_bytes()
}

#[test]
fn hostile_state_dicts_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("w.pth");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        torch::read(&path)
    };
    let fine = one_tensor("FloatStorage", "0", "0", "2 3", "3 1");
    assert_eq!(
        read(&archive(&fine, false)).unwrap(),
        [("w".to_owned(), vec![2, 3], vec![0.0; 6])]
    );
    let tensor = |offset, shape, strides| one_tensor("FloatStorage", "0", offset, shape, strides);
    let canary = scratch.path().join("canary");
    let run = |code: &str| {
        code.replace("CANARY", canary.to_str().unwrap())
            .into_bytes()
    };
    let pickles = [
        run("cos\nsystem\n(Vtouch CANARY\ntR."),
        run("}Vw\ncposix\nsystem\n(Vtouch CANARY\ntRs."),
        run("c__builtin__\neval\n(V__import__('os').system('touch CANARY')\ntR."),
        run("(Vtouch CANARY\nios\nsystem\n."),
        b"ctorch\nload\n(Vx\ntR.".to_vec(),
        b"cnumpy\nndarray\n.".to_vec(),
        b"}.".to_vec(),
        b"].".to_vec(),
        b"}Vw\nI7\ns.".to_vec(),
        b"}Vmodel\nI7\ns.".to_vec(),
        b"}Vmodel\n}Vmodel\n}ss.".to_vec(),
        b"}Vw\nVstorage\nQs.".to_vec(),
        one_tensor("OtherStorage", "0", "0", "2 3", "3 1"),
        one_tensor("FloatStorage", "1", "0", "2 3", "3 1"),
        one_tensor("FloatStorage", "../data/0", "0", "2 3", "3 1"),
        one_tensor("DoubleStorage", "0", "0", "2 3", "3 1"),
        tensor("1", "2 3", "3 1"),
        tensor("-1", "2 3", "3 1"),
        tensor("9223372036854775807", "2 3", "3 1"),
        tensor("0", "2 3", "4 1"),
        tensor("0", "2 3", "1"),
        tensor("0", "2 -3", "3 1"),
        tensor("0", "4294967296 4294967296", "0 0"),
        tensor("0", "4294967296 4294967296 2", "9223372036854775807 3 1"),
        tensor("0", "99999999", "0"),
        [
            b"}".to_vec(),
            fine[1..fine.len() - 1].repeat(2),
            b".".to_vec(),
        ]
        .concat(),
        b"(".repeat(10_000),
        b"]".repeat(10_000),
        Vec::new(),
    ];
    for pickle in &pickles {
        let result = read(&archive(pickle, false));
        let text = String::from_utf8_lossy(&pickle[..pickle.len().min(80)]);
        let error = result.expect_err(&text);
        assert!(
            matches!(error, Error::Format { .. } | Error::Limits { .. }),
            "{error}"
        );
    }
    assert!(!canary.exists());
    assert!(read(&archive(&fine, true)).is_err(), "compressed");
    let whole = archive(&fine, false);
    for len in 0..whole.len() {
        assert!(read(&whole[..len]).is_err(), "cut to {len}");
    }
    let place = whole.windows(24).position(|w| w == [0; 24]).unwrap();
    let mut damaged = whole.clone();
    damaged[place] = 1;
    assert!(read(&damaged).unwrap_err().to_string().contains("damaged"));
}

fn tensors() -> Vec<NamedTensor> {
    let numbers = |n: usize| (0..n).map(|i| i as f32 / 8.0 - 3.0).collect::<Vec<f32>>();
    vec![
        ("encoder.weight".to_owned(), vec![4, 3, 2], numbers(24)),
        ("encoder.bias".to_owned(), vec![5], numbers(5)),
        ("scale".to_owned(), vec![], vec![0.25]),
        ("nothing".to_owned(), vec![0, 2], vec![]),
        ("zwölf".to_owned(), vec![1, 300], numbers(300)),
    ]
}

#[test]
fn written_state_dicts_are_read_back() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("w.pth");
    torch::write(&path, &tensors()).unwrap();
    assert_eq!(torch::read(&path).unwrap(), tensors());
    let wrong = [("w".to_owned(), vec![2], vec![0.0; 3])];
    assert!(matches!(torch::write(&path, &wrong), Err(Error::Usage(_))));
}

#[test]
fn pytorch_loads_written_state_dicts() {
    let Some(mut python) = outside::python("torch") else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("w.pth");
    torch::write(&path, &tensors()).unwrap();
    let script = "import json, sys, torch\n\
        state = torch.load(sys.argv[1], weights_only=True)\n\
        print(type(state).__name__)\n\
        print(json.dumps([[k, list(v.shape), v.flatten().tolist()] for k, v in state.items()\n    \
        if v.dtype == torch.float32 and v.is_contiguous()]))\n";
    let text = outside::output(python.args(["-c", script]).arg(&path));
    let (class, json) = text.split_once('\n').unwrap();
    assert_eq!(class, "OrderedDict");
    let loaded: Vec<NamedTensor> = serde_json::from_str(json).unwrap();
    assert_eq!(loaded, tensors());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn mutated_state_dicts_are_survived(
        views in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let case = if views { "views.pth" } else { "module.pth" };
        let mut bytes = std::fs::read(folder().join(case)).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let _ = torch::read(file.path());
    }

    #[test]
    fn mutated_pickles_of_tensors_are_survived(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut pickle = one_tensor("FloatStorage", "0", "0", "2 3", "3 1");
        for (place, byte) in changes {
            let place = place.index(pickle.len());
            pickle[place] = byte;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), archive(&pickle, false)).unwrap();
        let _ = torch::read(file.path());
    }
}
