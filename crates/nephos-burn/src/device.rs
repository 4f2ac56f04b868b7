//! The devices that Burn computes on, in this build.

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// The devices of one backend (`vulkan`, `metal`, `webgpu` or `cuda`), or `None` when it was not compiled in.
///
/// Burn panics when it is asked for a device that is not there, so devices are
/// only ever taken from this list.
pub fn of_kind(kind: &str) -> Option<Vec<Device>> {
    #[allow(unused_imports)]
    use burn::tensor::DeviceType;
    match kind {
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::enumerate(DeviceType::Vulkan).into_vec()),
        #[cfg(feature = "metal")]
        "metal" => Some(Device::enumerate(DeviceType::Metal).into_vec()),
        // Burn's `WebGpu` is a browser's; a native program reaches the same by `Wgpu`.
        #[cfg(feature = "webgpu")]
        "webgpu" => Some(Device::enumerate(DeviceType::Wgpu).into_vec()),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::enumerate(DeviceType::Cuda).into_vec()),
        _ => None,
    }
}

/// Whether a processor plays the GPU, as Mesa's lavapipe does.
pub(crate) fn is_software(gpu: &Device) -> bool {
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "webgpu"))]
    {
        use burn::backend::{CubeDevice, WgpuDeviceKind};
        matches!(
            gpu.as_dispatch(),
            DispatchDevice::Cube(CubeDevice::Wgpu(wgpu)) if wgpu.kind == WgpuDeviceKind::Cpu
        )
    }
    #[cfg(not(any(feature = "vulkan", feature = "metal", feature = "webgpu")))]
    {
        let _ = gpu;
        false
    }
}

/// Whether tensors of `device` are computed on a GPU.
pub(crate) fn is_gpu(device: &Device) -> bool {
    let device = device.clone().inner();
    !matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}
