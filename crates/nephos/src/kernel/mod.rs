//! Where Burn meets the arithmetic of [`nephos_kernel`].
//!
//! Each operation is a backend extension: a trait whose methods [`Flex`] fills
//! with a kernel and autodiff with a derivative written by hand, and a function on
//! tensors that calls it. Other backends don't have these operations: layers ask
//! [`is_cpu`] and else compute the same with plain tensors, which is also the
//! readable form. Sorted [`graph`] attention is on GPUs too ([`has_graph`]).
//!
//! To add one: name the forward and the backward pass in a trait marked
//! `#[backend_extension(Flex, Autodiff)]`, implement both for [`Flex`] on slices
//! (the `slices` module), implement the forward pass for `Autodiff<B, C>` by preparing a
//! [`Backward`](burn::backend::autodiff::ops::Backward) whose state holds what the
//! backward pass reads. `graph` is the pattern. What only training uses is simpler:
//! the `record` module makes one step of autodiff of two functions on slices.
//!
//! [`Flex`]: burn::backend::Flex

#[cfg(feature = "flex")]
pub(crate) mod adam;
#[cfg(feature = "flex")]
pub(crate) mod decoder;
#[cfg(feature = "cube")]
pub mod drop;
#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) mod dropout;
#[cfg(feature = "flex")]
pub(crate) mod encoder;
#[cfg(feature = "cube")]
mod gpu;
#[cfg(any(feature = "flex", feature = "cube"))]
pub mod graph;
#[cfg(feature = "flex")]
pub(crate) mod loss;
#[cfg(feature = "cube")]
pub mod norm;
#[cfg(feature = "flex")]
pub(crate) mod patches;
#[cfg(feature = "flex")]
pub(crate) mod planes;
#[cfg(feature = "flex")]
pub(crate) mod pyramid;
#[cfg(feature = "flex")]
mod record;
#[cfg(feature = "cube")]
pub mod share;
#[cfg(feature = "flex")]
mod slices;
#[cfg(feature = "cube")]
pub mod softmax;
#[cfg(any(feature = "flex", feature = "cube"))]
mod step;
#[cfg(feature = "cube")]
pub(crate) mod update;

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

/// Whether `device` has [`graph`] attention as a kernel of its own: a CPU or a GPU.
pub fn has_graph(device: &Device) -> bool {
    is_gpu(device) || is_cpu(device)
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
