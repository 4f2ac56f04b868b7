//! What a state dict's pickle means: tensors as views of storages.

use crate::samples::pickle::machine::Host;
use crate::samples::pickle::payload::Payload;
use crate::samples::pickle::value::{Heap, Value};

/// The globals of a state dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Number),
}

/// Number format of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    F16,
    BF16,
    F32,
    F64,
    /// Whole numbers: counters, not weights.
    Whole,
}

impl Number {
    /// Bytes of one number; `None` for whole numbers, which are never read.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::F16 | Self::BF16 => Some(2),
            Self::F32 => Some(4),
            Self::F64 => Some(8),
            Self::Whole => None,
        }
    }
}

const GLOBALS: [(&str, &str, Global); 13] = [
    ("collections", "OrderedDict", Global::OrderedDict),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensor),
    (
        "torch._utils",
        "_rebuild_parameter",
        Global::RebuildParameter,
    ),
    ("torch", "HalfStorage", Global::Storage(Number::F16)),
    ("torch", "BFloat16Storage", Global::Storage(Number::BF16)),
    ("torch", "FloatStorage", Global::Storage(Number::F32)),
    ("torch", "DoubleStorage", Global::Storage(Number::F64)),
    ("torch", "LongStorage", Global::Storage(Number::Whole)),
    ("torch", "IntStorage", Global::Storage(Number::Whole)),
    ("torch", "ShortStorage", Global::Storage(Number::Whole)),
    ("torch", "CharStorage", Global::Storage(Number::Whole)),
    ("torch", "ByteStorage", Global::Storage(Number::Whole)),
    ("torch", "BoolStorage", Global::Storage(Number::Whole)),
];

/// Numbers in an entry of the archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storage {
    pub number: Number,
    /// Name of the entry `data/KEY`.
    pub key: Payload,
}

/// A view of a storage; lengths in numbers.
#[derive(Debug, Clone)]
pub(crate) struct StoredTensor {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

enum Object {
    Storage(Storage),
    Tensor(StoredTensor),
}

/// The storages and tensors of one pickle.
#[derive(Default)]
pub(crate) struct TorchHost {
    objects: Vec<Object>,
}

impl TorchHost {
    pub fn tensor(&self, value: Value) -> Option<&StoredTensor> {
        match value {
            Value::Object(id) => match self.objects.get(id as usize)? {
                Object::Tensor(tensor) => Some(tensor),
                Object::Storage(_) => None,
            },
            _ => None,
        }
    }

    fn storage(&self, value: Value) -> Option<Storage> {
        match value {
            Value::Object(id) => match self.objects.get(id as usize)? {
                Object::Storage(storage) => Some(*storage),
                Object::Tensor(_) => None,
            },
            _ => None,
        }
    }

    fn keep(&mut self, object: Object) -> Value {
        self.objects.push(object);
        Value::Object(self.objects.len() as u32 - 1)
    }
}

fn length(value: Value) -> Result<usize, String> {
    match value {
        Value::Int(number) => {
            usize::try_from(number).map_err(|_| format!("a negative length, {number}"))
        }
        other => Err(format!("expected a length, found {}", other.kind())),
    }
}

fn lengths(heap: &Heap<'_>, value: Value) -> Result<Vec<usize>, String> {
    heap.arguments(value)?.iter().copied().map(length).collect()
}

impl Host for TorchHost {
    fn global(&self, module: &str, name: &str) -> Option<u8> {
        GLOBALS
            .iter()
            .position(|(known, attribute, _)| *known == module && *attribute == name)
            .map(|position| position as u8)
    }

    fn reduce(
        &mut self,
        heap: &mut Heap<'_>,
        global: u8,
        arguments: Value,
    ) -> Result<Value, String> {
        let (_, _, global) = GLOBALS[usize::from(global)];
        match (global, heap.arguments(arguments)?) {
            (Global::OrderedDict, []) => Ok(heap.new_dict()),
            // Storage, offset, shape, strides, requires_grad, hooks, metadata.
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                let tensor = StoredTensor {
                    storage: self
                        .storage(*storage)
                        .ok_or_else(|| format!("a tensor of {}", storage.kind()))?,
                    offset: length(*offset)?,
                    shape: lengths(heap, *shape)?,
                    strides: lengths(heap, *strides)?,
                };
                if tensor.shape.len() != tensor.strides.len() {
                    return Err("a tensor with more axes than strides, or fewer".to_owned());
                }
                Ok(self.keep(Object::Tensor(tensor)))
            }
            (Global::RebuildParameter, [data, ..]) if self.tensor(*data).is_some() => Ok(*data),
            _ => Err("a call with arguments that PyTorch never writes".to_owned()),
        }
    }

    fn build(&mut self, _heap: &mut Heap<'_>, target: Value, _state: Value) -> Result<(), String> {
        match target {
            // The versions of modules, an attribute of the dict.
            Value::Dict(_) => Ok(()),
            other => Err(format!("a state for {}", other.kind())),
        }
    }

    fn persistent(&mut self, heap: &mut Heap<'_>, id: Value) -> Result<Value, String> {
        // 'storage', class, key, device, numbers. The device plays no part here,
        // and the count is the entry's size.
        match *heap.arguments(id)? {
            [
                kind,
                Value::Global(class),
                Value::Text(key),
                Value::Text(_),
                Value::Int(_),
            ] if heap.name(kind)? == "storage" => {
                let (_, _, Global::Storage(number)) = GLOBALS[usize::from(class)] else {
                    return Err("a storage of no known class".to_owned());
                };
                Ok(self.keep(Object::Storage(Storage { number, key })))
            }
            _ => Err("a reference that is no storage".to_owned()),
        }
    }
}
