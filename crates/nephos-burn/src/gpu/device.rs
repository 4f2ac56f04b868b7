//! What the kernels in CubeCL share.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Where tensors are made and kernels run.
#[derive(Clone)]
pub(super) struct Gpu {
    pub client: Client,
    pub device: CubeDevice,
}

impl Gpu {
    pub fn of(tensor: &CubeTensor) -> Self {
        Self {
            client: tensor.client.clone(),
            device: tensor.device.clone(),
        }
    }

    /// A tensor that a kernel will fill.
    pub fn empty(&self, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
        let (client, device) = (self.client.clone(), self.device.clone());
        empty_device_contiguous_dtype(client, device, shape.into(), dtype)
    }

    pub fn floats(&self, shape: impl Into<Shape>) -> CubeTensor {
        self.empty(shape, DType::F32)
    }

    /// Cubes of which each unit has its `ABSOLUTE_POS` in at least `0..units`.
    pub fn units(&self, units: usize) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new(&self.client, units);
        (calculate_cube_count_elemwise(&self.client, units, dim), dim)
    }

    /// At least `count` cubes of `units` units, a power of two, or of the largest one that
    /// the device has.
    pub fn cubes(&self, count: usize, units: u32) -> (CubeCount, CubeDim) {
        let most = self.client.properties().hardware.max_units_per_cube;
        let dim = CubeDim::new_1d(units.min(1 << most.max(1).ilog2()));
        let all = count * dim.num_elems() as usize;
        (calculate_cube_count_elemwise(&self.client, all, dim), dim)
    }
}

/// A tensor as the argument of a kernel.
pub(super) fn arg(tensor: &CubeTensor) -> BufferArg {
    tensor.clone().into_buffer_arg()
}
