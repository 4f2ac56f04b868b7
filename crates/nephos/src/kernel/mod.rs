//! Where Burn meets the arithmetic of [`nephos_kernel`].
//!
//! On the CPU an operation is two functions on slices, forward and backward, of which
//! the `record` module makes one step of autodiff; `decoder` is the pattern. On a GPU
//! graph attention is a backend extension: a trait that names both passes, marked
//! `#[backend_extension]`, implemented for CubeCL's backend with kernels and for
//! `Autodiff<B, C>` by the `step` module ([`graph`]). Layers ask [`is_cpu`] and
//! [`is_gpu`], and else compute the same with plain tensors, which is also the readable
//! form.

#[cfg(feature = "flex")]
pub(crate) mod adam;
#[cfg(feature = "flex")]
pub(crate) mod decoder;
#[cfg(feature = "flex")]
pub(crate) mod dropout;
#[cfg(feature = "flex")]
pub(crate) mod encoder;
#[cfg(feature = "cube")]
mod gpu;
#[cfg(any(feature = "flex", feature = "cube"))]
pub mod graph;
#[cfg(feature = "flex")]
pub(crate) mod loss;
#[cfg(feature = "flex")]
pub(crate) mod patches;
#[cfg(feature = "flex")]
pub(crate) mod planes;
#[cfg(feature = "flex")]
pub(crate) mod pyramid;
#[cfg(feature = "flex")]
mod record;
#[cfg(feature = "flex")]
mod slices;
#[cfg(feature = "cube")]
mod step;

use burn::tensor::Device;

/// Whether tensors of `device` are computed by this crate's kernels.
pub fn is_cpu(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    {
        use burn::backend::DispatchDevice;
        matches!(
            device.clone().inner().as_dispatch(),
            DispatchDevice::Flex(_)
        )
    }
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// Whether tensors of `device` are computed on a GPU.
pub fn is_gpu(device: &Device) -> bool {
    #[cfg(feature = "cube")]
    {
        use burn::backend::DispatchDevice;
        matches!(
            device.clone().inner().as_dispatch(),
            DispatchDevice::Cube(_)
        )
    }
    #[cfg(not(feature = "cube"))]
    {
        let _ = device;
        false
    }
}

/// Whether operations on tensors of `device` are recorded as single steps of
/// autodiff: they are on the CPU, and a backward pass may follow.
pub(crate) fn is_recorded(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    {
        record::takes(device)
    }
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}
