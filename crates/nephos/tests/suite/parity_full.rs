//! The reference at its full size against PyTorch, both ways, where PyTorch is
//! installed (`NEPHOS_PYTHON` names the interpreter, else `python3`).

use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::{Device, Tensor, TensorData};
use nephos::config::Config;
use nephos::model::weights::{collect, read, write};
use nephos::model::{Bundle, Segmenter};

/// Largest absolute difference of logits.
const OUTPUT: f32 = 1e-4;

fn python() -> Option<Command> {
    let python = std::env::var("NEPHOS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import torch"]).output();
    found.is_ok_and(|output| output.status.success()).then(|| {
        let mut command = Command::new(python);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/full");
        command.arg("-B").arg(folder.join("published_full.py"));
        command
    })
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The one tensor of a file.
fn tensor(path: PathBuf) -> (Tensor<4>, Vec<f32>) {
    let (_, shape, values) = read(&path).unwrap().remove(0);
    let data = TensorData::new(values.clone(), shape);
    (Tensor::from_data(data, &Device::flex()), values)
}

fn check_logits(folder: &Path, bundle: &Bundle) {
    let (images, _) = tensor(folder.join("images.safetensors"));
    let (_, golden) = tensor(folder.join("logits.safetensors"));
    let ours = bundle.segmenter.forward(images);
    assert_eq!(ours.dims(), [1, 4, 509, 509]);
    let ours: Vec<f32> = ours.into_data().try_into_vec().unwrap();
    let pairs = ours.iter().zip(&golden);
    let difference = pairs.fold(0.0f32, |max, (a, b)| {
        assert!(a.is_finite());
        max.max((a - b).abs())
    });
    println!("largest difference from PyTorch: {difference:e}");
    assert!(difference <= OUTPUT, "logits differ by {difference}");
}

#[test]
fn the_reference_agrees_with_pytorch_both_ways() {
    let Some(mut make) = python() else {
        println!("SKIPPED: full-size parity needs Python with torch (NEPHOS_PYTHON)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(make.arg("make").arg(folder));

    // What PyTorch saved, read here.
    let config = Config::default();
    for name in ["weights.safetensors", "weights.pth"] {
        let path = folder.join(name);
        let tensors = read(&path).unwrap();
        let imported = Bundle::from_tensors(config.clone(), tensors, &path, &Device::flex());
        check_logits(folder, &imported.unwrap());
    }

    // What is written here, read by PyTorch.
    let device = Device::flex();
    let segmenter = Segmenter::new(&config.model, config.channels(), &device);
    let (images, _) = tensor(folder.join("images.safetensors"));
    let logits = segmenter.forward(images);
    let shape = logits.dims().to_vec();
    let values = logits.into_data().try_into_vec().unwrap();
    let ours = ("logits".to_owned(), shape, values);
    write(&folder.join("ours.safetensors"), &[ours]).unwrap();
    for name in ["exported.safetensors", "exported.pth"] {
        let exported = folder.join(name);
        write(&exported, &collect(&segmenter)).unwrap();
        let mut check = python().unwrap();
        let difference = run(check.arg("check").arg(&exported).arg(folder));
        println!("largest difference in PyTorch, {name}: {difference}");
        assert!(difference.parse::<f32>().unwrap() <= OUTPUT, "{difference}");
    }
}
