//! Stored numbers, from bytes in the machine's order.

use bytemuck::Pod;

use crate::raster::DType;

/// One sample of each pixel, converted: `bytes` are pixels of `samples` samples.
pub(crate) fn convert<T>(
    dtype: DType,
    bytes: &[u8],
    samples: usize,
    sample: usize,
    convert: impl Fn(f64) -> T,
) -> Vec<T> {
    let plane = Plane {
        bytes,
        samples,
        sample,
    };
    match dtype {
        DType::Bool | DType::U8 => plane.each(|v: u8| convert(v.into())),
        DType::I8 => plane.each(|v: i8| convert(v.into())),
        DType::U16 => plane.each(|v: u16| convert(v.into())),
        DType::I16 => plane.each(|v: i16| convert(v.into())),
        DType::U32 => plane.each(|v: u32| convert(v.into())),
        DType::I32 => plane.each(|v: i32| convert(v.into())),
        DType::I64 => plane.each(|v: i64| convert(v as f64)),
        DType::F16 => plane.each(|v: half::f16| convert(v.into())),
        DType::F32 => plane.each(|v: f32| convert(v.into())),
        DType::F64 => plane.each(convert),
    }
}

struct Plane<'a> {
    bytes: &'a [u8],
    samples: usize,
    sample: usize,
}

impl Plane<'_> {
    fn each<S: Pod, T>(&self, convert: impl Fn(S) -> T) -> Vec<T> {
        let size = size_of::<S>();
        let start = self.sample * size;
        (self.bytes.chunks_exact(size * self.samples))
            .map(|pixel| convert(bytemuck::pod_read_unaligned(&pixel[start..start + size])))
            .collect()
    }
}

/// The bytes of one stored number, in the machine's order; the number must fit.
pub(crate) fn of_number(dtype: DType, number: f64) -> Vec<u8> {
    match dtype {
        DType::Bool | DType::U8 => vec![number as u8],
        DType::I8 => (number as i8).to_ne_bytes().to_vec(),
        DType::U16 => (number as u16).to_ne_bytes().to_vec(),
        DType::I16 => (number as i16).to_ne_bytes().to_vec(),
        DType::U32 => (number as u32).to_ne_bytes().to_vec(),
        DType::I32 => (number as i32).to_ne_bytes().to_vec(),
        DType::I64 => (number as i64).to_ne_bytes().to_vec(),
        DType::F16 => half::f16::from_f64(number).to_ne_bytes().to_vec(),
        DType::F32 => (number as f32).to_ne_bytes().to_vec(),
        DType::F64 => number.to_ne_bytes().to_vec(),
    }
}

/// Turns numbers of `size` bytes around.
pub(crate) fn swap(bytes: &mut [u8], size: usize) {
    for number in bytes.chunks_exact_mut(size) {
        number.reverse();
    }
}
