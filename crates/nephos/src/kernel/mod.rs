//! Where Burn meets the arithmetic of [`nephos_kernel`].
//!
//! On the CPU an operation is two functions on slices, forward and backward, of which
//! the `record` module makes one step of autodiff; `decoder` is the pattern. On a GPU
//! graph attention is a backend extension: a trait that names both passes, marked
//! `#[backend_extension]`, implemented for CubeCL's backend with kernels and for
//! `Autodiff<B, C>` by the `step` module ([`graph`]). Layers ask `is_cpu` and
//! `is_gpu`, and else compute the same with plain tensors, which is also the readable
//! form.

pub(crate) mod adam;
pub(crate) mod decoder;
pub(crate) mod dropout;
pub(crate) mod encoder;
#[cfg(feature = "cube")]
mod gpu;
pub mod graph;
pub(crate) mod loss;
pub(crate) mod patches;
pub(crate) mod planes;
pub(crate) mod pyramid;
mod record;
mod slices;
#[cfg(feature = "cube")]
mod step;

pub(crate) use record::is_recorded;

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// Whether tensors of `device` are computed by this crate's kernels.
pub(crate) fn is_cpu(device: &Device) -> bool {
    matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Flex(_)
    )
}

/// Whether tensors of `device` are computed on a GPU.
pub(crate) fn is_gpu(device: &Device) -> bool {
    !is_cpu(device)
}
