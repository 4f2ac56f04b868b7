//! NumPy's arrays as the library's views of stored numbers.

use nephos::scene::{ArrayBand, ArrayOptions, ArrayScene, ArrayValues};
use numpy::{PyReadonlyArray4, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::error::OrException;

/// An array `(images, bands, y, x)` that is not written to meanwhile.
pub enum Stored<'py> {
    U8(PyReadonlyArray4<'py, u8>),
    I8(PyReadonlyArray4<'py, i8>),
    U16(PyReadonlyArray4<'py, u16>),
    I16(PyReadonlyArray4<'py, i16>),
    U32(PyReadonlyArray4<'py, u32>),
    I32(PyReadonlyArray4<'py, i32>),
    I64(PyReadonlyArray4<'py, i64>),
    F32(PyReadonlyArray4<'py, f32>),
    F64(PyReadonlyArray4<'py, f64>),
}

impl<'py> Stored<'py> {
    /// # Errors
    /// `TypeError`: another number format, or not four axes.
    pub fn of(array: &Bound<'py, PyUntypedArray>) -> PyResult<Self> {
        macro_rules! first {
            ($($format:ident),*) => {
                $(if let Ok(array) = array.extract() {
                    return Ok(Self::$format(array));
                })*
            };
        }
        first!(U16, F32, I16, U8, F64, I32, U32, I64, I8);
        Err(PyTypeError::new_err(format!(
            "an array of {} with {} axes; numbers of 8, 16 or 32 bits, int64 or float64 are \
             expected",
            array.dtype(),
            array.ndim()
        )))
    }

    /// The numbers, where they lie.
    pub fn values(&self) -> ArrayValues<'_> {
        match self {
            Self::U8(array) => ArrayValues::U8(array.as_array()),
            Self::I8(array) => ArrayValues::I8(array.as_array()),
            Self::U16(array) => ArrayValues::U16(array.as_array()),
            Self::I16(array) => ArrayValues::I16(array.as_array()),
            Self::U32(array) => ArrayValues::U32(array.as_array()),
            Self::I32(array) => ArrayValues::I32(array.as_array()),
            Self::I64(array) => ArrayValues::I64(array.as_array()),
            Self::F32(array) => ArrayValues::F32(array.as_array()),
            Self::F64(array) => ArrayValues::F64(array.as_array()),
        }
    }
}

/// A plane of an array: name, `scale_factor`, `add_offset` and `nodata`.
pub type Plane = (String, Option<f64>, Option<f64>, Option<f64>);

/// The array as a scene of these planes, read by a model with `model_bands`.
///
/// # Errors
/// `ValueError`: see [`ArrayScene::new`].
pub fn scene<'a>(
    values: ArrayValues<'a>,
    planes: Vec<Plane>,
    options: &ArrayOptions,
) -> PyResult<ArrayScene<'a>> {
    let band = |(name, scale_factor, add_offset, nodata): Plane| ArrayBand {
        name,
        scale_factor,
        add_offset,
        nodata,
    };
    let bands: Vec<ArrayBand> = planes.into_iter().map(band).collect();
    ArrayScene::new("x", values, &bands, options).or_exception()
}
