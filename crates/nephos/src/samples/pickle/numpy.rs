//! What NumPy's pickles mean: the allowed globals, and arrays as positions in the
//! file.

use super::machine::Host;
use super::payload::Payload;
use super::value::{Heap, Value};
use crate::samples::array::{ArrayLayout, ElementType};

/// The globals that NumPy 1.x and 2.x name in pickles of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Global {
    Reconstruct,
    FromBuffer,
    NdArray,
    DType,
    Encode,
}

const GLOBALS: [(&str, &str, Global); 7] = [
    ("numpy.core.multiarray", "_reconstruct", Global::Reconstruct),
    (
        "numpy._core.multiarray",
        "_reconstruct",
        Global::Reconstruct,
    ),
    ("numpy.core.numeric", "_frombuffer", Global::FromBuffer),
    ("numpy._core.numeric", "_frombuffer", Global::FromBuffer),
    ("numpy", "ndarray", Global::NdArray),
    ("numpy", "dtype", Global::DType),
    ("_codecs", "encode", Global::Encode),
];

/// One array of the pickle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredArray {
    pub layout: ArrayLayout,
    pub payload: Payload,
}

#[derive(Debug, Clone, Copy)]
enum Object {
    /// An array; `None` until its state is set.
    Array(Option<StoredArray>),
    DType(ElementType),
}

/// The arrays and data types of one pickle.
#[derive(Default)]
pub(crate) struct NumpyHost {
    objects: Vec<Object>,
}

impl NumpyHost {
    /// The array that `value` is.
    pub fn array(&self, value: Value) -> Result<StoredArray, String> {
        match self.object(value) {
            Some(Object::Array(Some(array))) => Ok(array),
            Some(Object::Array(None)) => Err("an array without its data".to_owned()),
            Some(Object::DType(_)) => Err("expected an array, found a data type".to_owned()),
            None => Err(format!("expected an array, found {}", value.kind())),
        }
    }

    fn object(&self, value: Value) -> Option<Object> {
        match value {
            Value::Object(id) => self.objects.get(id as usize).copied(),
            _ => None,
        }
    }

    fn keep(&mut self, object: Object) -> Value {
        self.objects.push(object);
        Value::Object(self.objects.len() as u32 - 1)
    }

    fn element(&self, value: Value) -> Result<ElementType, String> {
        match self.object(value) {
            Some(Object::DType(element)) => Ok(element),
            _ => Err(format!("expected a data type, found {}", value.kind())),
        }
    }

    fn stored(
        &self,
        heap: &Heap<'_>,
        shape: Value,
        element: Value,
        fortran: bool,
        data: Value,
    ) -> Result<StoredArray, String> {
        let axes = heap
            .arguments(shape)?
            .iter()
            .map(|axis| match axis {
                Value::Int(length) => u64::try_from(*length)
                    .map_err(|_| format!("a shape with a negative length, {length}")),
                other => Err(format!("a shape with {} in it", other.kind())),
            })
            .collect::<Result<Vec<u64>, String>>()?;
        let layout = ArrayLayout::new(self.element(element)?, fortran, &axes)?;
        let (Value::Bytes(payload) | Value::Text(payload)) = data else {
            return Err(format!("expected an array's bytes, found {}", data.kind()));
        };
        let expected = layout.byte_len();
        if !payload.may_hold(expected) {
            return Err(format!(
                "the shape {axes:?} needs {expected} bytes, the data are {}",
                payload.len
            ));
        }
        Ok(StoredArray { layout, payload })
    }
}

impl Host for NumpyHost {
    fn global(&self, module: &str, name: &str) -> Option<u8> {
        GLOBALS
            .iter()
            .find(|(known, attribute, _)| *known == module && *attribute == name)
            .map(|(_, _, global)| *global as u8)
    }

    fn reduce(
        &mut self,
        heap: &mut Heap<'_>,
        global: u8,
        arguments: Value,
    ) -> Result<Value, String> {
        let arguments = heap.arguments(arguments)?;
        let is = |requested: Global| global == requested as u8;
        match *arguments {
            [
                Value::Global(class),
                Value::Tuple { .. },
                Value::Text(_) | Value::Bytes(_),
            ] if is(Global::Reconstruct) && class == Global::NdArray as u8 => {
                Ok(self.keep(Object::Array(None)))
            }
            [
                code,
                Value::Bool(_) | Value::Int(_),
                Value::Bool(_) | Value::Int(_),
            ] if is(Global::DType) => {
                let element = ElementType::parse(&heap.name(code)?)?;
                Ok(self.keep(Object::DType(element)))
            }
            [Value::Text(text), codec] if is(Global::Encode) => match heap.name(codec)?.as_str() {
                "latin1" | "latin-1" => Ok(Value::Bytes(text)),
                other => Err(format!("bytes encoded as `{}`", other.escape_debug())),
            },
            [data, element, shape, order] if is(Global::FromBuffer) => {
                let fortran = match heap.name(order)?.as_str() {
                    "C" => false,
                    "F" => true,
                    other => return Err(format!("array order `{}`", other.escape_debug())),
                };
                let array = self.stored(heap, shape, element, fortran, data)?;
                Ok(self.keep(Object::Array(Some(array))))
            }
            _ => Err("a call with arguments that NumPy never writes".to_owned()),
        }
    }

    fn build(&mut self, heap: &mut Heap<'_>, target: Value, state: Value) -> Result<(), String> {
        let items = heap.arguments(state)?;
        let replacement = match (self.object(target), items) {
            (
                Some(Object::Array(_)),
                [
                    Value::Int(_),
                    shape,
                    element,
                    order @ (Value::Bool(_) | Value::Int(_)),
                    data,
                ],
            ) => {
                let fortran = matches!(order, Value::Bool(true) | Value::Int(1..));
                Object::Array(Some(self.stored(heap, *shape, *element, fortran, *data)?))
            }
            // Version, byte order, then the fields of a structured type, all
            // None for plain numbers.
            (
                Some(Object::DType(element)),
                [
                    Value::Int(3..=4),
                    order,
                    Value::None,
                    Value::None,
                    Value::None,
                    ..,
                ],
            ) => Object::DType(ElementType {
                big_endian: match heap.name(*order)?.as_str() {
                    "<" | "|" | "=" => false,
                    ">" => true,
                    other => return Err(format!("byte order `{}`", other.escape_debug())),
                },
                ..element
            }),
            (Some(Object::DType(_)), _) => return Err("a structured data type".to_owned()),
            _ => return Err(format!("a state for {}", target.kind())),
        };
        if let Value::Object(id) = target
            && let Some(object) = self.objects.get_mut(id as usize)
        {
            *object = replacement;
        }
        Ok(())
    }

    fn persistent(&mut self, _heap: &mut Heap<'_>, _id: Value) -> Result<Value, String> {
        Err("the pickle refers to objects outside of it".to_owned())
    }
}
