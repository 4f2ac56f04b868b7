//! The reference at its full size against PyTorch, both ways, where PyTorch is
//! installed (`NEPHOS_PYTHON` names the interpreter, else `python3`).

use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array4;
use nephos::Model;
use nephos::config::Config;
use nephos::device::Device;
use nephos::network::Forward;
use nephos::weights::{Bundle, read, write};

use super::{outside, tiny};

/// Largest absolute difference of logits.
const OUTPUT: f32 = 1e-4;

fn published() -> Option<Command> {
    let mut python = outside::python("torch, safetensors")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/full");
    python.arg("-B").arg(folder.join("published_full.py"));
    Some(python)
}

/// The one tensor of a file.
fn tensor(path: PathBuf) -> Array4<f32> {
    let (_, shape, values) = read(&path).unwrap().remove(0);
    let shape: [usize; 4] = shape.try_into().unwrap();
    Array4::from_shape_vec(shape, values).unwrap()
}

fn logits(bundle: &Bundle, images: Array4<f32>) -> Array4<f32> {
    let network = Model::new(bundle.clone(), &Device::cpu()).unwrap();
    network.forward(images).unwrap()
}

fn check_logits(folder: &Path, bundle: &Bundle) {
    let golden = tensor(folder.join("logits.safetensors"));
    let ours = logits(bundle, tensor(folder.join("images.safetensors")));
    assert_eq!(ours.dim(), (1, 4, 509, 509));
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
    let Some(mut make) = published() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    outside::output(make.arg("make").arg(folder));

    // What PyTorch saved, read here.
    let config = Config::default();
    for name in ["weights.safetensors", "weights.pth"] {
        let path = folder.join(name);
        let tensors = read(&path).unwrap();
        let imported = Bundle::from_tensors(config.clone(), tensors, &path);
        check_logits(folder, &imported.unwrap());
    }

    // What is written here, read by PyTorch.
    let bundle = tiny::bundle(&config, 1);
    let logits = logits(&bundle, tensor(folder.join("images.safetensors")));
    let shape = logits.shape().to_vec();
    let values = logits.into_iter().collect();
    let ours = ("logits".to_owned(), shape, values);
    write(&folder.join("ours.safetensors"), &[ours]).unwrap();
    for name in ["exported.safetensors", "exported.pth"] {
        let exported = folder.join(name);
        write(&exported, &bundle.tensors).unwrap();
        let mut check = published().unwrap();
        let difference = outside::output(check.arg("check").arg(&exported).arg(folder));
        let difference = difference.trim();
        println!("largest difference in PyTorch, {name}: {difference}");
        assert!(difference.parse::<f32>().unwrap() <= OUTPUT, "{difference}");
    }
}
