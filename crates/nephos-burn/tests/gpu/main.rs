//! What runs on a GPU against the same on the CPU, on small shapes.
//!
//! ```text
//! cargo test --release -p nephos-burn --features webgpu --test gpu
//! ```
//!
//! A software renderer will do (Mesa's lavapipe, Debian `mesa-vulkan-drivers`). The device
//! is `NEPHOS_GPU_DEVICE`, of a backend that is built in (`vulkan:0`, `cuda:0`), else
//! `webgpu`. Without any the tests print `SKIPPED` and pass; one that is asked for has to
//! be there.

mod graph;
mod network;

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};

/// The device under test.
fn gpu() -> Option<Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    let found = GPU.get_or_init(|| match std::env::var("NEPHOS_GPU_DEVICE") {
        Ok(spec) => Some(find(&spec).expect("the device that was asked for")),
        Err(_) => {
            let found = find("webgpu");
            if found.is_none() {
                println!("SKIPPED: this machine or this build has no webgpu device");
            }
            found
        }
    });
    found.clone()
}

/// The device of that kind and number.
fn find(spec: &str) -> Option<Device> {
    let (kind, index) = spec.split_once(':').unwrap_or((spec, "0"));
    let found = nephos_burn::devices(kind)?;
    found.into_iter().nth(index.parse().ok()?)
}

fn cpu() -> Device {
    Device::flex()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("numbers are f32")
}

/// Holds numbers against those expected, relative to the largest of these, and returns
/// the largest difference so measured.
fn check(what: &str, ours: &[f32], expected: &[f64], tolerance: f64) -> f64 {
    check_from(1e-6, what, ours, expected, tolerance)
}

/// As [`check`], relative to `least` where all numbers are smaller.
fn check_from(least: f64, what: &str, ours: &[f32], expected: &[f64], tolerance: f64) -> f64 {
    assert_eq!(ours.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    let off = (ours.iter().zip(expected)).fold(0.0, |max: f64, (a, b)| {
        let off = (f64::from(*a) - b).abs();
        if off.is_nan() {
            f64::INFINITY
        } else {
            max.max(off)
        }
    });
    let off = off / largest.max(least);
    assert!(off <= tolerance, "{what}: off by {off:.1e} of {largest}");
    off
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}
