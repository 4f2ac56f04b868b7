//! The engine of nephos and its network as Burn modules, held to each other in every
//! configuration that changes the path through the network.

mod changes;
mod predicting;
mod training;

use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{Array3, Array4};
use nephos::config::Config;
use nephos::device::{Device, Provider};
use nephos::weights::{NamedTensor, Parameters};
use nephos_burn::Burn;
use nephos_kernel::loss::either;

/// Burn has one generator per process: a test that draws from it or seeds it locks this.
fn generator() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine, and Burn on a CPU.
fn devices() -> [Device; 2] {
    [Device::cpu(), Device::of(Burn.cpu())]
}

/// Weights whose affinity counts: fresh ones may have a scale of 0.
fn weights(config: &Config, seed: u64) -> Vec<NamedTensor> {
    let mut parameters = Parameters::draw(&config.model, config.channels(), seed);
    for parameter in parameters.iter_mut() {
        if parameter.name.ends_with("affinity_scale") {
            parameter.values.fill(1.5);
        }
    }
    parameters.into_torch()
}

/// Numbers in [0, 1) that look random.
fn number(place: usize) -> f32 {
    let mut x = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 40) as f32 / (1u64 << 24) as f32
}

fn images(config: &Config, [batch, height, width]: [usize; 3]) -> Array4<f32> {
    let shape = (batch, config.channels(), height, width);
    let mut place = 0;
    Array4::from_shape_simple_fn(shape, || {
        place += 1;
        number(place)
    })
}

/// Stripes of classes, some pixels unknown, some of one of two classes.
fn labels(config: &Config, [batch, height, width]: [usize; 3]) -> Array3<u8> {
    let classes = config.model.classes;
    Array3::from_shape_fn((batch, height, width), |(image, y, x)| {
        match (y * width + x) % 11 {
            0 => 255,
            1 => either(&[0, classes - 1]),
            _ => ((y / 7 + x / 5 + image) % classes) as u8,
        }
    })
}

/// The largest difference, and the largest number of the second.
fn difference<'a>(
    ours: impl IntoIterator<Item = &'a f32>,
    theirs: impl IntoIterator<Item = &'a f32>,
) -> (f32, f32) {
    let (mut ours, mut theirs) = (ours.into_iter(), theirs.into_iter());
    let mut most = (0.0f32, 0.0f32);
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return most,
            (Some(a), Some(b)) => {
                assert!(a.is_finite() && b.is_finite(), "{a} {b}");
                most = (most.0.max((a - b).abs()), most.1.max(b.abs()));
            }
            _ => panic!("another number of numbers"),
        }
    }
}
