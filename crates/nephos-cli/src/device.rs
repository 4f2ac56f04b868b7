//! The device that `--device` asks for.

use nephos::device::{Device, Provider};

/// What computes networks beside the engine, in this build.
#[cfg(feature = "baselines")]
const PROVIDERS: &[&dyn Provider] = &[&nephos_burn::Burn];
#[cfg(not(feature = "baselines"))]
const PROVIDERS: &[&dyn Provider] = &[];

/// The device that `spec` asks for: auto, cpu, or a backend with an optional index.
///
/// # Errors
/// As of [`nephos::device::select`].
pub fn select(spec: &str) -> nephos::Result<Device> {
    nephos::device::select(spec, PROVIDERS)
}
